"""A round's updates beside each other, for who compares or combines them: on disk, by segment.

Memory is one segment of all updates, whatever their number and size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from federated.errors import AggregationError
from federated.grid import Grid
from federated.schema import DTYPES, Array
from federated.spool import Spool

_SEGMENT = 1 << 18
"""Elements of a segment, of all updates together."""


class Updates:
    """Updates of one schema as grid steps, with their weights, in the order of hospital index."""

    def __init__(self, size: int, grid: Grid, folder: Path | None = None) -> None:
        self.size = size
        self.grid = grid
        self.weights: list[int] = []
        self._dtype = DTYPES[grid.dtype]
        self._spool = Spool(folder)

    def __len__(self) -> int:
        return len(self.weights)

    def add(self, segments: Iterable[Array], weight: int) -> None:
        """Keep one hospital's update, given as consecutive flat segments of grid steps.

        The update was judged before. Raises `AggregationError` when the segments do not fill the
        schema, are off the grid, or do not fit the disk; nothing is kept of such an update.
        """
        if weight < 1:
            raise AggregationError(f"weight {weight} is below 1")
        start, filled = self._offset(len(self), 0), 0
        for segment in segments:
            if filled + len(segment) > self.size or not self.grid.in_range(segment):
                raise AggregationError("a segment is too long or off the grid; judge updates first")
            data = segment.astype(self._dtype).tobytes()
            self._spool.write(start + filled * self._dtype.itemsize, data)
            filled += len(segment)
        if filled != self.size:
            raise AggregationError(f"an update has {filled} of {self.size} elements")
        self.weights.append(weight)

    def segments(self) -> Iterator[tuple[slice, Array]]:
        """Every place once, with what all updates have there.  # (updates, width) int64"""
        if not self.weights:
            raise AggregationError("nothing was added; a rule needs at least one update")
        width = max(1, _SEGMENT // len(self))
        for start in range(0, self.size, width):
            end = min(start + width, self.size)
            yield slice(start, end), np.stack([self._read(i, start, end) for i in range(len(self))])

    def update(self, index: int) -> Iterator[Array]:
        """One update again, as consecutive flat segments of grid steps.  # (width,) int64"""
        for start in range(0, self.size, _SEGMENT):
            yield self._read(index, start, min(start + _SEGMENT, self.size))

    def _read(self, index: int, start: int, end: int) -> Array:
        data = self._spool.read(self._offset(index, start), (end - start) * self._dtype.itemsize)
        return np.frombuffer(data, self._dtype).astype(np.int64)

    def _offset(self, index: int, element: int) -> int:
        return (index * self.size + element) * self._dtype.itemsize
