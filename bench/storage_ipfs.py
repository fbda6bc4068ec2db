"""Sealing into real IPFS nodes beside what anybody's add, cat and pin over them take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from api.demo.transfer import SIZES, transfers
from api.demo.world import build_world
from bench.claims import Item, reported
from bench.storage_kit import KIB, MIB, Contest, Fresh, Parties, costs, lone_node, raw_add, raw_cat
from storage.backends import KUBO_PRIVATE
from storage.kubo import KuboStore

_QUICK_SIZES = {"10 KiB": (10 * KIB, 1), "1 MiB": (MIB, 1)}


def run(quick: bool) -> Iterator[Item]:
    """`kubo_put_100m`, `kubo_get_100m`, `chain_record_*`."""
    size, pairs = (2 * MIB, 1) if quick else (100 * MIB, 7)
    with (
        tempfile.TemporaryDirectory(prefix="consilium-bench-") as name,
        lone_node(Path(name), sync=False) as node,
        node.store() as kubo,
    ):
        yield from _puts(kubo, node.pid, size, pairs, judge=not quick)
        yield from _gets(kubo, node.pid, size, pairs, judge=not quick)
    yield from _records(quick)


def _puts(kubo: KuboStore, pid: int, size: int, pairs: int, *, judge: bool) -> Iterator[Item]:
    parties, fresh = Parties(), Fresh(size)

    def prepare() -> bytes:
        for cid in kubo.pins():
            kubo.unpin(cid)
        kubo.rpc.read("repo/gc", {"quiet": "true"}, limit=1 << 26, timeout_s=600)
        return fresh()

    found = Contest(
        prepare, lambda plain: parties.seal(kubo, plain), lambda plain: raw_add(kubo, plain), pid
    ).run(pairs)
    yield found.claim("kubo_put_100m", 1.25, judge=judge)
    yield costs("encrypt, add and pin over the RPC, over its add", [found.line("100 MiB")])


def _gets(kubo: KuboStore, pid: int, size: int, pairs: int, *, judge: bool) -> Iterator[Item]:
    parties, plaintext = Parties(), Fresh(size)()
    sealed, plain = parties.seal(kubo, plaintext), raw_add(kubo, plaintext)

    def ours(_: None) -> None:
        if len(parties.open(kubo, sealed).read()) != size:
            raise SystemExit("the node gave another number of bytes than were sealed")

    found = Contest(lambda: None, ours, lambda _: raw_cat(kubo, plain, size), pid).run(pairs)
    yield found.claim("kubo_get_100m", 1.25, judge=judge)
    yield costs("verified, decrypted read over the RPC, over its cat", [found.line("100 MiB")])


def _records(quick: bool) -> Iterator[Item]:
    """Private IPFS with its record on the chain over without: reported, never judged."""
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        world = build_world(Path(name), ["north"], _quiet, KUBO_PRIVATE)
        try:
            cases = transfers(world, _quiet, _QUICK_SIZES if quick else SIZES)
        finally:
            world.stop()
    for case in cases:
        with_record = case.recorded_upload_s + case.recorded_download_s
        alone = case.ipfs_upload_s + case.ipfs_download_s
        name = "chain_record_" + case.what.replace(" ", "").lower().removesuffix("ib")
        yield reported(name, with_record, alone, "s", with_record / alone)


def _quiet(who: str, what: str) -> None:
    del who, what
