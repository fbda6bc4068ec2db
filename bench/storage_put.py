"""Sealing into the embedded store beside a running Kubo that only adds the plain bytes."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.claims import Item
from bench.storage_kit import (
    KIB,
    MIB,
    Contest,
    Fresh,
    Pairs,
    Parties,
    costs,
    lone_node,
    raw_add,
)
from storage.embedded import EmbeddedStore
from storage.kubo import KuboStore

SIZES = {"1m": (MIB, 15), "10m": (10 * MIB, 11), "100m": (100 * MIB, 7), "1g": (1024 * MIB, 3)}
"""Bytes, and how many pairs are measured."""
SYNCED_PAIRS = {"1m": 7, "10m": 5, "100m": 3, "1g": 1}
_QUICK = {"1m": 64 * KIB, "10m": 256 * KIB, "100m": MIB, "1g": 3 * MIB}
LIMIT = 1.0


def run(quick: bool) -> Iterator[Item]:
    """`put_*` with neither side waiting for the disk; both waiting is in a table apart."""
    for sync in (False, True):
        lines = []
        with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
            folder = Path(name)
            with lone_node(folder / "node", sync=sync) as node, node.store() as kubo:
                for size, (full, pairs) in SIZES.items():
                    count = 1 if quick else SYNCED_PAIRS[size] if sync else pairs
                    bytes_ = _QUICK[size] if quick else full
                    found = _puts(folder, kubo, node.pid, bytes_, count, sync=sync)
                    lines.append(found.line(f"put_{size}"))
                    if not sync:
                        yield found.claim(f"put_{size}", LIMIT, judge=not quick)
        how = "both wait for the disk (fsync)" if sync else "neither waits for the disk"
        yield costs(f"encrypt, add and pin over a node's add of the plain bytes: {how}", lines)


def _puts(folder: Path, kubo: KuboStore, pid: int, size: int, pairs: int, *, sync: bool) -> Pairs:
    parties = Parties()

    def ours(plaintext: bytes) -> None:
        parties.seal(store, plaintext)

    def peer(plaintext: bytes) -> None:
        kept.append(raw_add(kubo, plaintext))

    def prepare() -> bytes:
        for path in (store.path / "blocks").iterdir():  # the disk must hold one put, not all
            shutil.rmtree(path)
        while kept:
            kubo.control.unpin(kept.pop())
            kubo.rpc.read("repo/gc", {"quiet": "true"}, limit=1 << 26, timeout_s=600)
        return fresh()

    kept: list[str] = []
    fresh = Fresh(size)
    store = EmbeddedStore.create(folder / secrets.token_hex(4), durable=sync)
    return Contest(prepare, ours, peer, pid).run(pairs)
