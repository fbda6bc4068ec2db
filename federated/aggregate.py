"""The aggregate: an exact weighted sum of integers, one correctly rounded division, one addition.

Integer sums do not depend on the order or the machine, and a round needs one accumulator however
many hospitals there are. Nothing here uses BLAS, a float reduction or torch.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from federated.errors import AggregationError
from federated.grid import Grid
from federated.schema import Array, Parameters, Schema

_SEGMENT = 1 << 16  # elements that are worked on at once: what a core keeps close
_EXACT = 1 << 53
_INT64_MAX = (1 << 63) - 1


class WeightedSum:
    """Σ weight · update over hospitals, in int64, added one segment at a time."""

    def __init__(self, schema: Schema, grid: Grid) -> None:
        self._schema = schema
        self._grid = grid
        self._steps = np.zeros(schema.size, dtype=np.int64)
        self._weighted = np.empty(min(_SEGMENT, schema.size), dtype=np.int64)
        self._broken = False
        self.weight = 0

    def add(self, segments: Iterable[Array], weight: int) -> None:
        """Add one hospital's update, as consecutive flat segments of grid steps.

        The update was judged before: its coordinates are within the bound. Raises
        `AggregationError` when the segments do not fill the schema (the sum is then unusable) or
        when the weighted sum could leave int64.
        """
        if weight < 1 or (self.weight + weight) * self._grid.bound > _INT64_MAX:
            raise AggregationError(f"weight {weight} is below 1, or the sum could leave 64 bits")
        self._accumulate(segments, weight)
        self.weight += weight

    def _accumulate(self, segments: Iterable[Array], weight: int) -> None:
        offset, self._broken = 0, True
        for segment in segments:
            for start in range(0, len(segment), _SEGMENT):
                part = segment[start : start + _SEGMENT]
                self._add(offset + start, part, weight)
            offset += len(segment)
        if offset != len(self._steps):
            raise AggregationError(f"an update has {offset} of {len(self._steps)} elements")
        self._broken = False

    def _add(self, offset: int, part: Array, weight: int) -> None:
        end = offset + len(part)
        if end > len(self._steps) or not self._grid.in_range(part):
            raise AggregationError("a segment is too long or off the grid; judge updates first")
        weighted = self._weighted[: len(part)]
        np.multiply(part, weight, out=weighted, dtype=np.int64)
        self._steps[offset:end] += weighted

    def steps(self) -> Array:
        """The sum so far, in weighted grid steps.  # (size,) int64"""
        return self._whole().copy()

    def mean(self, over: int | None = None) -> dict[str, Array]:
        """The weighted mean as float64 tensors, each element rounded once.

        `over` is a weight to divide by in the place of that of what was added: the mean as if who
        has the rest of it had returned zeros.
        """
        if not self.weight:
            raise AggregationError("nothing was added; a mean needs at least one update")
        weight = self.weight if over is None else over
        if weight < self.weight:
            raise AggregationError(f"{self.weight} was added, more than the weight {weight}")
        return self._schema.unflatten(divide(self._whole(), weight << self._grid.bits))

    def _whole(self) -> Array:
        if self._broken:
            raise AggregationError("an update was added in part; begin the sum anew")
        return self._steps

    def without(self, updates: Iterable[tuple[Iterable[Array], int]]) -> WeightedSum:
        """Another sum, less some of the updates that were added, each with its weight.

        The sum is exact, so taking updates out gives what summing all others gives.
        """
        rest = WeightedSum(self._schema, self._grid)
        rest._steps, rest.weight = self.steps(), self.weight
        for segments, weight in updates:
            if not 0 < weight < rest.weight:
                raise AggregationError("nobody is left without this update, or it was never added")
            rest._accumulate(segments, -weight)
            rest.weight -= weight
        return rest


def divide(numerators: Array, denominator: int) -> Array:
    """int64 numerators over one positive integer: float64, correctly rounded.  # (n,)

    Where both are exact in float64 one IEEE division rounds once; elsewhere Python divides
    integers, which also rounds once.
    """
    odd_part = denominator >> ((denominator & -denominator).bit_length() - 1)
    exact = odd_part < _EXACT and denominator.bit_length() <= 900  # beyond, some turn subnormal
    result: Array = np.empty(len(numerators))
    for start in range(0, len(numerators), _SEGMENT):
        part = numerators[start : start + _SEGMENT]
        wide = np.flatnonzero((part > _EXACT) | (part < -_EXACT)) if exact else range(len(part))
        if exact:
            result[start : start + _SEGMENT] = part.astype(np.float64) / float(denominator)
        for index in wide:
            result[start + index] = int(part[index]) / denominator
    return result


def add_mean(parameters: Parameters, mean: Parameters) -> dict[str, Array]:
    """float32 parameters plus a float64 mean, added in float64 and rounded to float32."""
    with np.errstate(over="ignore"):
        result = {
            name: (array.astype(np.float64) + mean[name]).astype(np.float32)
            for name, array in parameters.items()
        }
    for name, array in result.items():
        if not np.isfinite(array).all():
            raise AggregationError(f"tensor {name} left float32; lower the clip or learning rate")
    return result
