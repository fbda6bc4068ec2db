"""Exact aggregation beside what it replaces: a weighted sum of float32 arrays."""

from __future__ import annotations

import numpy as np

from bench.claims import Claim, ratio
from federated.aggregate import WeightedSum
from federated.grid import Grid
from federated.schema import Array, Schema

HOSPITALS = 10
CLIP_BITS = 24


def run(quick: bool) -> list[Claim]:
    """One claim: the exact mean of ten updates, over NumPy's float32 mean of as many."""
    size = 100_000 if quick else 10_000_000
    schema = Schema.of("I32", {"w": (size,)})
    grid = Grid(CLIP_BITS, 10 << CLIP_BITS)
    generator = np.random.default_rng(1)
    updates = [
        generator.integers(-grid.bound, grid.bound, size, dtype=np.int32) for _ in range(HOSPITALS)
    ]
    floats = [update.astype(np.float32) for update in updates]
    weights = list(range(50, 50 + HOSPITALS))
    return [
        ratio(
            "sum_10x10m",
            lambda: _exact(schema, grid, updates, weights),
            lambda: _float32(floats, weights),
            limit=4.0,
            runs=3 if quick else 7,
            judge=not quick,
        )
    ]


def _exact(schema: Schema, grid: Grid, updates: list[Array], weights: list[int]) -> object:
    total = WeightedSum(schema, grid)
    for update, weight in zip(updates, weights, strict=True):
        total.add([update], weight)
    return total.mean()


def _float32(updates: list[Array], weights: list[int]) -> object:
    total = np.zeros_like(updates[0])
    for update, weight in zip(updates, weights, strict=True):
        total += update * np.float32(weight)
    return total / np.float32(sum(weights))
