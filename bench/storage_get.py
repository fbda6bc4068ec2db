"""Reading from the embedded store, verified and decrypted; recipients, memory, many artefacts."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from bench.claims import Claim, Item, judged
from bench.storage_kit import CONTEXT, KIB, MIB, Contest, Fresh, Parties, costs
from bench.storage_profile import profile
from storage.artefact import rewrap
from storage.cores import on_all_cores
from storage.embedded import EmbeddedStore
from storage.keys import Identity
from storage.payload import payload_size
from storage.sealed import Sealed
from storage.unixfs import CHUNK_SIZE

FEW, MANY = 1_000, 100_000
BATCH, BATCHES = 100, 10
_ROOT = Path(__file__).resolve().parents[1]


def run(quick: bool) -> Iterator[Item]:
    """`get_100m`, `get_hash_100m`, `recipients_50`, `rewrap_1g`, `put_memory_2g`, `many_small`."""
    size, pairs = (3 * MIB, 1) if quick else (100 * MIB, 9)
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        yield from _gets(Path(name), size, pairs, judge=not quick)
        yield from _recipients(Path(name), size, pairs, judge=not quick)
        yield _rewrap(Path(name), 3 * MIB if quick else 1024 * MIB, judge=not quick)
        yield _memory(64 * MIB if quick else 2048 * MIB, judge=not quick)
        yield _many(Path(name), 200 if quick else MANY, judge=not quick)


def _gets(folder: Path, size: int, pairs: int, *, judge: bool) -> Iterator[Item]:
    parties, store = Parties(), EmbeddedStore.create(folder / "get", durable=False)
    plaintext, plain = Fresh(size)(), folder / "plain"
    plain.write_bytes(plaintext)
    sealed = parties.seal(store, plaintext)
    leaves = [os.urandom(CHUNK_SIZE) for _ in range(payload_size(size) // CHUNK_SIZE)]

    def ours(_: None) -> None:
        if len(parties.open(store, sealed).read()) != size:
            raise SystemExit("the store gave another number of bytes than were sealed")

    reading = Contest(_nothing, ours, lambda _: plain.read_bytes()).run(pairs)
    hashing = Contest(_nothing, ours, lambda _: _hash(leaves)).run(pairs)
    yield reading.claim("get_100m", 2.0, judge=judge)
    yield hashing.claim("get_hash_100m", 1.3, judge=judge)
    opened, room = parties.open(store, sealed), memoryview(bytearray(size))
    keeping = Contest(
        _nothing, lambda _: opened.payload.read_into(room), lambda _: _hash(leaves)
    ).run(pairs)
    lines = [
        reading.line("over reading the plain file"),
        hashing.line("over SHA-256 alone"),
        keeping.line("into kept memory, over SHA-256 alone"),
    ]
    yield costs("verified, decrypted read of 100 MiB", lines)
    yield profile(plain, opened)


def _nothing() -> None:
    """Both sides read what is there."""


def _hash(leaves: list[bytes]) -> None:
    def work(mine: Iterator[bytes]) -> None:
        for leaf in mine:
            hashlib.sha256(leaf).digest()

    on_all_cores(work, leaves)


def _recipients(folder: Path, size: int, pairs: int, *, judge: bool) -> Iterator[Item]:
    store = EmbeddedStore.create(folder / "recipients", durable=False)
    many, few = (Parties(readers=[Identity.generate() for _ in range(n)]) for n in (50, 3))
    found = Contest(
        Fresh(size), lambda plain: many.seal(store, plain), lambda plain: few.seal(store, plain)
    ).run(pairs)
    yield found.claim("recipients_50", 1.05, judge=judge)
    yield costs("sealing for 50 recipients over sealing for 3", [found.line("100 MiB")])


def _rewrap(folder: Path, size: int, *, judge: bool) -> Claim:
    parties, store = Parties(), EmbeddedStore.create(folder / "rewrap", durable=False)
    sealed = parties.seal(store, Fresh(size)())
    took = [_seconds(lambda: _add_recipient(parties, store, sealed)) for _ in range(7)]
    value = median(took)
    return judged("rewrap_1g", value, 0.0, "s", value, "<=", 0.05, judge=judge)


def _add_recipient(parties: Parties, store: EmbeddedStore, sealed: Sealed) -> None:
    rewrap(
        store,
        sealed.manifest_digest,
        parties.readers[0],
        wrapper=parties.sender,
        recipients=[Identity.generate().recipient],
        expected_context=CONTEXT,
        expected_signer=parties.sender.signer,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _memory(size: int, *, judge: bool) -> Claim:
    command = [sys.executable, "-m", "bench.storage_memory", str(size)]
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    peak = json.loads(done.stdout) / MIB
    return judged("put_memory_2g", peak, size / MIB, "MiB", peak, "<=", 64, judge=judge)


def _many(folder: Path, many: int, *, judge: bool) -> Claim:
    """Batches in turn in a store that holds few artefacts and in one that holds many."""
    parties = Parties()
    few = min(FEW, many // 2)
    stores = {n: EmbeddedStore.create(folder / f"held-{n}", durable=False) for n in (few, many)}
    held = {n: [_small(parties, store) for _ in range(n)] for n, store in stores.items()}
    rates: dict[int, list[float]] = {few: [], many: []}
    for number in range(BATCHES):
        for n in sorted(stores, reverse=number % 2 == 1):
            old = held[n][number :: max(1, n // BATCH)][:BATCH]
            rates[n].append(1 / _seconds(lambda n=n, old=old: _batch(parties, stores[n], old)))  # type: ignore[misc]
    value = median(a / b for a, b in zip(rates[many], rates[few], strict=True))
    ours, peer = (2 * BATCH * median(rates[n]) for n in (many, few))
    return judged("many_small", ours, peer, "/s", value, ">=", 0.8, judge=judge)


def _batch(parties: Parties, store: EmbeddedStore, old: list[Sealed]) -> None:
    for sealed in old:
        _small(parties, store)
        parties.open(store, sealed).read()


def _small(parties: Parties, store: EmbeddedStore) -> Sealed:
    return parties.seal(store, os.urandom(KIB))
