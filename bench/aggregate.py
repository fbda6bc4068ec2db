"""Exact aggregation beside what it replaces: a sum of float32 arrays that lie in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.claims import Claim, ratio
from federated.aggregate import WeightedSum
from federated.grid import Grid
from federated.schema import Array, Schema
from federated.stored import Stored
from federated.tensors import encode_tensors

UPDATES = 50
DISTINCT = 5  # as many different ones; each is summed often, from a file of its own
CLIP_BITS = 24
GRID = Grid(CLIP_BITS, 10 << CLIP_BITS)


def run(quick: bool) -> list[Claim]:
    """The weighted mean of updates that lie decrypted on disk, over NumPy's unweighted sum.

    Ours multiplies by a weight, checks every element and divides, on all cores; NumPy adds in place
    on one, as it does. Files are read and in the system's cache.
    """
    count, size = (5, 100_000) if quick else (UPDATES, 10_000_000)
    schema = Schema.of("I32", {"w": (size,)})
    vectors = distinct(size)
    floats = [vector.astype(np.float32) for vector in vectors]
    with tempfile.TemporaryDirectory(prefix="consilium-bench-") as name:
        plain = [encode_tensors({"w": vector}, schema) for vector in vectors]
        spools = [Stored.spooled([plain[n % DISTINCT]], Path(name)) for n in range(count)]
        del plain
        updates = [(update, 50 + n) for n, update in enumerate(spools)]
        return [
            ratio(
                "sum_50x10m",
                lambda: _exact(schema, updates),
                lambda: _float32([floats[n % DISTINCT] for n in range(count)]),
                limit=2.0,
                runs=3 if quick else 7,
                judge=not quick,
            )
        ]


def distinct(size: int) -> list[Array]:
    """Updates with coordinates as large as a norm of the bound lets all of them be."""
    most = int(GRID.bound / np.sqrt(size))
    source = np.random.default_rng(1)
    return [source.integers(-most, most, size, dtype=np.int32) for _ in range(DISTINCT)]


def _exact(schema: Schema, updates: Sequence[tuple[Stored, int]]) -> object:
    total = WeightedSum(schema, GRID)
    total.add_stored(updates)
    return total.take_mean()


def _float32(updates: Sequence[Array]) -> object:
    total = np.zeros_like(updates[0])
    for update in updates:
        total += update
    return total
