"""The inner loop of aggregation: weighted integers added to one segment of a sum, exactly.

Most coordinates are far below the bound, which is one of the norm. While what was added since the
last flush cannot leave 32 bits, it is kept in 32: half the memory traffic, and twice as many
numbers an instruction. The largest coordinate of each part, which the range check finds anyway,
tells.
"""

from __future__ import annotations

import numpy as np

from federated.errors import AggregationError
from federated.schema import Array

SEGMENT = 1 << 16
"""Elements that are worked on at once: what a core keeps close."""
_INT32_MAX = (1 << 31) - 1


class SegmentSum:
    """Adds to a segment of a float64 or int64 sum; buffers are kept from segment to segment."""

    def __init__(self, bound: int, total: Array) -> None:
        """`bound` on a coordinate's magnitude; `total` is the whole sum, for size and type."""
        size = min(SEGMENT, len(total))
        self._bound = bound
        self._wide = np.empty(size, total.dtype)
        self._scaled = np.empty(size, np.int32)
        self._small = np.zeros(size, np.int32)
        self._room = _INT32_MAX

    def add(self, at: Array, part: Array, weight: int) -> None:
        """`at` += weight · `part`, of one length; complete after `flush` of the same segment.

        Raises `AggregationError` where a coordinate is beyond the bound.
        """
        peak = max(-int(part.min(initial=0)), int(part.max(initial=0)))
        if peak > self._bound:
            raise AggregationError("a segment is off the grid; judge updates first")
        grown = peak * abs(weight)
        if not peak:
            return
        if grown > _INT32_MAX or part.dtype != np.int32:
            self._add_wide(at, part, weight)
            return
        if grown > self._room:
            self.flush(at)
        scaled = np.multiply(part, np.int32(weight), out=self._scaled[: len(part)])
        small = self._small[: len(part)]
        np.add(small, scaled, out=small)
        self._room -= grown

    def flush(self, at: Array) -> None:
        """Bring into the sum what is still apart from it."""
        if self._room < _INT32_MAX:
            self._add_wide(at, self._small[: len(at)], 1)
            self._small.fill(0)
            self._room = _INT32_MAX

    def _add_wide(self, at: Array, part: Array, weight: int) -> None:
        wide = self._wide[: len(part)]
        np.copyto(wide, part)
        if weight != 1:
            np.multiply(wide, wide.dtype.type(weight), out=wide)
        np.add(at, wide, out=at)
