"""The aggregate: an exact weighted sum of integers, one correctly rounded division, one addition.

Integer sums do not depend on the order or the machine, and a round needs one accumulator however
many hospitals there are. Nothing here uses a float reduction that could round, or torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from federated.cells import EXACT, Cells, peak
from federated.errors import AggregationError
from federated.grid import Grid
from federated.schema import Array, Parameters, Schema
from federated.stored import Stored
from federated.trial import Plaintext, Trial
from storage.cores import on_all_cores

SUM_ITEM = 8
"""Bytes of a sum's memory for each element of an update."""
_INT64_MAX = (1 << 63) - 1
_IN_PART = "an update was added in part; begin the sum anew"


class WeightedSum:
    """Σ weight · update over hospitals, one segment at a time; 8 bytes a parameter.

    All partial sums are integers: of 32 bits where that is enough (`federated/cells.py`), else in
    float64, which holds each of them exactly within 2⁵³; beyond, in int64.
    """

    def __init__(self, schema: Schema, grid: Grid) -> None:
        self._schema = schema
        self._grid = grid
        self._cells = Cells(schema)
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

        Every cell of the sum is visited once, for all of them; else as `add`. Each update was
        judged, so its encoding is the schema's.
        """
        weights = [weight for _, weight in updates]
        self._make_room(weights)
        readers = [(stored.reader(self._schema), weight) for stored, weight in updates]

        def add_cells(cells: Iterator[int]) -> None:
            with self._cells.adder() as adder:
                for cell in cells:
                    for read, weight in readers:
                        part = read(self._cells.bounds[cell])
                        adder.add(cell, part, weight, self._peak(part))

        self._unusable = _IN_PART
        on_all_cores(add_cells, range(len(self._cells)))
        self._unusable = ""
        self.weight += sum(weights)

    def add_judged(self, update: Plaintext, weight: int) -> bool:
        """Add an update while it is decrypted, unless a rule excludes it; whether it was added.

        Where a rule does, and where decryption raises, what was added of it is taken out again: the
        sum is exact, so nothing is left. Raises what `update.copy_to` and what `add` do.
        """
        self._make_room([weight])
        trial, accepted = Trial(self._schema, self._grid, self._cells, weight), False
        self._unusable = _IN_PART
        try:
            update.copy_to(trial.put)
            accepted = trial.is_accepted(update.plaintext_size)
        finally:
            if not accepted:
                trial.undo(update)
            self._unusable = ""
        self.weight += weight if accepted else 0
        return accepted

    @property
    def is_usable(self) -> bool:
        """Whether what it holds is a sum of whole updates."""
        return not self._unusable

    def _peak(self, part: Array) -> int:
        if (most := peak(part)) > self._grid.bound:
            raise AggregationError("a segment is off the grid; judge updates first")
        return most

    def _make_room(self, weights: Sequence[int]) -> None:
        """Raise unless the weights can be added; go over to int64 where float64 will not do."""
        self._check_usable()
        if min(weights, default=1) < 1:
            raise AggregationError("a weight is below 1; each hospital counts for its patients")
        most = (self.weight + sum(weights)) * self._grid.bound
        if most > _INT64_MAX:
            raise AggregationError("the weighted sum could leave 64 bits; lower clip or weights")
        if most > EXACT:
            self._cells.leave_float()

    def _accumulate(self, segments: Iterable[Array], weight: int) -> None:
        offset, self._unusable = 0, _IN_PART
        for segment in segments:
            if offset + len(segment) > self._schema.size:
                raise AggregationError("an update is longer than the schema; judge updates first")
            with self._cells.adder() as adder:
                for cell, skip, part in self._cells.split(offset, segment):
                    adder.add(cell, part, weight, self._peak(part), skip)
            offset += len(segment)
        if offset != self._schema.size:
            raise AggregationError(f"an update has {offset} of {self._schema.size} elements")
        self._unusable = ""

    def steps(self) -> Array:
        """The sum so far, in weighted grid steps.  # (size,) int64"""
        self._check_usable()
        result = np.empty(self._schema.size, np.int64)
        for cell in range(len(self._cells)):
            result[self._cells.bounds[cell]] = self._cells.values(cell)
        return result

    def mean(self, over: int | None = None) -> dict[str, Array]:
        """The weighted mean as float64 tensors, each element rounded once.

        `over` is a weight to divide by in the place of that of what was added: the mean as if who
        has the rest of it had returned zeros.
        """
        return self._divided(np.empty(self._schema.size), self.weight if over is None else over)

    def take_mean(self) -> dict[str, Array]:
        """The mean in the sum's own memory: a second vector is not needed, the sum is used up."""
        mean = self._divided(self._cells.memory(), self.weight)
        self._unusable = "the sum was taken for its mean; begin it anew"
        return mean

    def _divided(self, into: Array, weight: int) -> dict[str, Array]:
        self._check_usable()
        if not self.weight:
            raise AggregationError("nothing was added; a mean needs at least one update")
        if weight < self.weight:
            raise AggregationError(f"{self.weight} was added, more than the weight {weight}")

        def divide_cells(cells: Iterator[int]) -> None:
            for cell in cells:
                quotients = divide(self._cells.values(cell), weight << self._grid.bits)
                into[self._cells.bounds[cell]] = quotients

        on_all_cores(divide_cells, range(len(self._cells)))
        return self._schema.unflatten(into)

    def _check_usable(self) -> None:
        if self._unusable:
            raise AggregationError(self._unusable)

    def without(self, updates: Iterable[tuple[Iterable[Array], int]]) -> WeightedSum:
        """Another sum, less some of the updates that were added, each with its weight.

        The sum is exact, so taking updates out gives what summing all others gives.
        """
        self._check_usable()
        rest = WeightedSum(self._schema, self._grid)
        rest._cells, rest.weight = self._cells.copy(), self.weight
        for segments, weight in updates:
            if not 0 < weight < rest.weight:
                raise AggregationError("nobody is left without this update, or it was never added")
            rest._accumulate(segments, -weight)
            rest.weight -= weight
        return rest


def divide(numerators: Array, denominator: int) -> Array:
    """Integers over one positive integer: float64, correctly rounded.  # (n,)

    `numerators` are int32, int64, or float64 that hold integers within 2⁵³. Where both are exact in
    float64 one IEEE division rounds once; elsewhere Python divides integers, which also rounds
    once.
    """
    odd_part = denominator >> ((denominator & -denominator).bit_length() - 1)
    exact = odd_part < EXACT and denominator.bit_length() <= 900  # beyond, some turn subnormal
    if not exact:
        return np.array([int(value) / denominator for value in numerators], np.float64)
    result: Array = numerators.astype(np.float64)
    result /= float(denominator)
    if numerators.dtype == np.int64:
        for index in np.flatnonzero((numerators > EXACT) | (numerators < -EXACT)):
            result[index] = int(numerators[index]) / denominator
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
