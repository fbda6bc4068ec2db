"""The aggregate: an exact weighted sum of integers, one correctly rounded division, one addition.

Integer sums do not depend on the order or the machine, and a round needs one accumulator however
many hospitals there are. Nothing here uses BLAS, a float reduction or torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from federated.errors import AggregationError
from federated.grid import Grid
from federated.schema import DTYPES, Array, Parameters, Schema
from federated.segment_sum import SEGMENT, SegmentSum
from federated.stored import Stored
from storage.cores import on_all_cores

_EXACT = 1 << 53
_INT64_MAX = (1 << 63) - 1
_IN_PART = "an update was added in part; begin the sum anew"


class WeightedSum:
    """Σ weight · update over hospitals, one segment at a time; 8 bytes a parameter.

    All partial sums are integers. While they stay within 2⁵³ they are kept in float64, which holds
    each of them exactly and which processors multiply several at a time; beyond, in int64.
    """

    def __init__(self, schema: Schema, grid: Grid) -> None:
        self._schema = schema
        self._grid = grid
        self._sum: Array = np.zeros(schema.size)
        self._unusable = ""
        self.weight = 0

    def add(self, segments: Iterable[Array], weight: int) -> None:
        """Add one hospital's update, as consecutive flat segments of grid steps.

        The update was judged before: its coordinates are within the bound. Raises
        `AggregationError` when the segments do not fill the schema (the sum is then unusable) or
        when the weighted sum could leave int64.
        """
        self._make_room([weight])
        self._accumulate(segments, weight)
        self.weight += weight

    def add_stored(self, updates: Sequence[tuple[Stored, int]]) -> None:
        """Add hospitals' updates from where they lie, each with its weight, on all cores.

        Every segment of the sum is visited once, for all of them; else as `add`. Each update was
        judged, so its encoding is the schema's.
        """
        weights = [weight for _, weight in updates]
        self._make_room(weights)
        fillers = [(stored.filler(self._schema), weight) for stored, weight in updates]

        def add_segments(starts: Iterator[int]) -> None:
            adder = SegmentSum(self._grid.bound, self._sum)
            part = np.empty(min(SEGMENT, len(self._sum)), DTYPES[self._schema.dtype])
            for start in starts:
                at = self._sum[start : start + SEGMENT]
                for fill, weight in fillers:
                    fill(start, part[: len(at)])
                    adder.add(at, part[: len(at)], weight)
                adder.flush(at)

        self._unusable = _IN_PART
        on_all_cores(add_segments, range(0, len(self._sum), SEGMENT))
        self._unusable = ""
        self.weight += sum(weights)

    def _make_room(self, weights: Sequence[int]) -> None:
        """Raise unless the weights can be added; go over to int64 where float64 will not do."""
        self._check_usable()
        if min(weights, default=1) < 1:
            raise AggregationError("a weight is below 1; each hospital counts for its patients")
        most = (self.weight + sum(weights)) * self._grid.bound
        if most > _INT64_MAX:
            raise AggregationError("the weighted sum could leave 64 bits; lower clip or weights")
        if most > _EXACT and self._sum.dtype == np.float64:
            wide = self._sum.view(np.int64)
            for start in range(0, len(wide), SEGMENT):
                wide[start : start + SEGMENT] = self._sum[start : start + SEGMENT].copy()
            self._sum = wide

    def _accumulate(self, segments: Iterable[Array], weight: int) -> None:
        offset, self._unusable = 0, _IN_PART
        adder = SegmentSum(self._grid.bound, self._sum)
        for segment in segments:
            if offset + len(segment) > len(self._sum):
                raise AggregationError("an update is longer than the schema; judge updates first")
            for start in range(0, len(segment), SEGMENT):
                part = segment[start : start + SEGMENT]
                at = self._sum[offset + start :][: len(part)]
                adder.add(at, part, weight)
                adder.flush(at)
            offset += len(segment)
        if offset != len(self._sum):
            raise AggregationError(f"an update has {offset} of {len(self._sum)} elements")
        self._unusable = ""

    def steps(self) -> Array:
        """The sum so far, in weighted grid steps.  # (size,) int64"""
        self._check_usable()
        return self._sum.astype(np.int64)

    def mean(self, over: int | None = None) -> dict[str, Array]:
        """The weighted mean as float64 tensors, each element rounded once.

        `over` is a weight to divide by in the place of that of what was added: the mean as if who
        has the rest of it had returned zeros.
        """
        self._check_usable()
        if not self.weight:
            raise AggregationError("nothing was added; a mean needs at least one update")
        weight = self.weight if over is None else over
        if weight < self.weight:
            raise AggregationError(f"{self.weight} was added, more than the weight {weight}")
        return self._schema.unflatten(divide(self._sum, weight << self._grid.bits))

    def take_mean(self) -> dict[str, Array]:
        """The mean in the sum's own memory: a second vector is not needed, the sum is used up."""
        self._check_usable()
        if not self.weight:
            raise AggregationError("nothing was added; a mean needs at least one update")
        self._unusable = "the sum was taken for its mean; begin it anew"
        mean = self._sum.view(np.float64)
        divide(self._sum, self.weight << self._grid.bits, out=mean)
        return self._schema.unflatten(mean)

    def _check_usable(self) -> None:
        if self._unusable:
            raise AggregationError(self._unusable)

    def without(self, updates: Iterable[tuple[Iterable[Array], int]]) -> WeightedSum:
        """Another sum, less some of the updates that were added, each with its weight.

        The sum is exact, so taking updates out gives what summing all others gives.
        """
        self._check_usable()
        rest = WeightedSum(self._schema, self._grid)
        rest._sum, rest.weight = self._sum.copy(), self.weight
        for segments, weight in updates:
            if not 0 < weight < rest.weight:
                raise AggregationError("nobody is left without this update, or it was never added")
            rest._accumulate(segments, -weight)
            rest.weight -= weight
        return rest


def divide(numerators: Array, denominator: int, out: Array | None = None) -> Array:
    """Integers over one positive integer: float64, correctly rounded.  # (n,)

    `numerators` are int64, or float64 that hold integers within 2⁵³. Where both are exact in
    float64 one IEEE division rounds once; elsewhere Python divides integers, which also rounds
    once. `out` takes the result and may be the numerators' own memory.
    """
    odd_part = denominator >> ((denominator & -denominator).bit_length() - 1)
    exact = odd_part < _EXACT and denominator.bit_length() <= 900  # beyond, some turn subnormal
    result: Array = np.empty(len(numerators)) if out is None else out
    for start in range(0, len(numerators), SEGMENT):
        part = numerators[start : start + SEGMENT].copy()
        wide = np.flatnonzero((part > _EXACT) | (part < -_EXACT)) if exact else range(len(part))
        if exact:
            result[start : start + SEGMENT] = part.astype(np.float64) / float(denominator)
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
