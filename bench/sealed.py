"""Aggregation from sealed updates: beside hashing and decrypting alone, and the memory it takes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.claims import Claim, judged, ratio
from federated.aggregate import WeightedSum
from federated.combining import total_of
from federated.grid import Grid
from federated.models import update_schema
from federated.schema import Array
from federated.spec import Choice, StudySpec
from federated.studies import wisconsin_spec
from federated.tensors import encode_tensors, encoded_size
from storage.artefact import open_artefact, seal
from storage.cores import on_all_cores
from storage.embedded import EmbeddedStore
from storage.keys import Identity
from storage.signing import Sender, SigningKey
from storage.unixfs import CHUNK_SIZE

UPDATES, DISTINCT = 50, 5
WIDTH, FEW = 3146, 256  # hidden units: 10,001,135 parameters, and 74,753 in a quick run
_ROOT = Path(__file__).resolve().parents[1]
_CONTEXT = bytes(32)


@dataclass(frozen=True, slots=True)
class Sealed:
    """Updates of one study in a store, for the holder of `identity`."""

    spec: StudySpec
    store: EmbeddedStore
    identity: Identity
    sender: Sender
    manifests: Sequence[bytes]


def run(quick: bool) -> list[Claim]:
    """The time of 50 updates, on all cores on both sides; the peak of a process that does it."""
    count = 4 if quick else UPDATES
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        sealed = write(Path(name), FEW if quick else WIDTH)
        blocks = _blocks(sealed)
        both = ratio(
            "aggregate_50x10m",
            lambda: aggregate(sealed, count),
            lambda: _decrypt(blocks, count),
            limit=1.3,
            runs=1 if quick else 5,
            judge=not quick,
        )
    return [both, _memory(quick, count)]


def study(width: int) -> StudySpec:
    """A network whose parameters are nearly all in one square matrix."""
    return replace(wisconsin_spec(hospitals=4), model=Choice("mlp", {"hidden": [width, width]}))


def write(folder: Path, width: int) -> Sealed:
    """Seal a few distinct updates into a store of its own."""
    spec, store = study(width), EmbeddedStore.create(folder / "store")
    schema, identity = update_schema(spec), Identity.generate()
    sender = Sender(secrets.token_bytes(20), SigningKey.generate())
    most = int(Grid.of(spec.grid).bound / np.sqrt(schema.size))
    source, manifests = np.random.default_rng(1), []
    for _ in range(DISTINCT):
        vector: Array = source.integers(-most, most, schema.size, dtype=np.int32)
        made = seal(
            store,
            encode_tensors(schema.unflatten(vector), schema),
            kind="update",
            schema=schema.digest(),
            context=_CONTEXT,
            sender=sender,
            recipients=[identity.recipient],
        )
        manifests.append(made.manifest_digest)
    return Sealed(spec, store, identity, sender, manifests)


def aggregate(sealed: Sealed, count: int) -> object:
    """What a center does with submissions: fetch, verify, decrypt, judge, sum, divide."""
    total = total_of(sealed.spec)
    assert isinstance(total, WeightedSum)
    for number in range(count):
        opened = open_artefact(
            sealed.store,
            sealed.manifests[number % DISTINCT],
            sealed.identity,
            expected_context=_CONTEXT,
            expected_signer=sealed.sender.signer,
        )
        if not total.add_judged(opened.payload, 50 + number):
            raise SystemExit("an update of the bench is not within its study's rules")
    return total.take_mean()


def _blocks(sealed: Sealed) -> list[list[bytes]]:
    """As many bytes as the payloads have, in memory, cut as they are."""
    size = encoded_size(update_schema(sealed.spec))
    cut = [CHUNK_SIZE] * (size // CHUNK_SIZE) + [size % CHUNK_SIZE]
    cipher = AESGCM(_KEY)
    return [
        [cipher.encrypt(_NONCE, os.urandom(length - 16), b"") for length in cut]
        for _ in range(DISTINCT)
    ]


_KEY, _NONCE = secrets.token_bytes(32), bytes(12)


def _decrypt(updates: Sequence[Sequence[bytes]], count: int) -> None:
    cipher = AESGCM(_KEY)

    def work(blocks: Iterator[bytes]) -> None:
        for block in blocks:
            hashlib.sha256(block).digest()
            cipher.decrypt(_NONCE, block, b"")

    on_all_cores(work, [block for n in range(count) for block in updates[n % DISTINCT]])


def _memory(quick: bool, count: int) -> Claim:
    width = FEW if quick else WIDTH
    size = encoded_size(update_schema(study(width)))
    command = [sys.executable, "-m", "bench.sealed", str(width), str(count)]
    env = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    peak = json.loads(done.stdout)
    return judged(
        "aggregate_memory",
        peak / 2**20,
        size / 2**20,
        "MiB",
        peak / size,
        "<=",
        2.5,
        judge=not quick,
    )


def main(width: int, count: int) -> None:
    """Print how many bytes this process grew by, at its peak, while it aggregated."""
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        sealed = write(Path(name), width)
        aggregate(sealed, 1)  # libraries load what they need
        idle = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew
        aggregate(sealed, count)
        print(_resident("VmHWM") - idle)


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{which}:"))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
