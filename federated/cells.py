"""The memory of an exact sum: 8 bytes an element, worked on by cells.

A cell is what one segment of an update's payload holds, so that threads which decrypt segments of
one update never write to one cell. Most coordinates are far below the bound, which is one of the
norm. So a cell begins as 32-bit integers in one half of its place: half the memory traffic, and
twice as many numbers an instruction. It goes over to the wide type, for good, before a sum in it
could leave 32 bits.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from federated.grid import SEGMENT, norm_and_peak
from federated.schema import DTYPES, Array, Schema
from federated.tensors import data_offset
from storage.payload import SEGMENT_SIZE

_INT32_MAX = (1 << 31) - 1
EXACT = 1 << 53


class Cells:
    """Integers by cell. Cells are independent: each may be written by another thread."""

    def __init__(self, schema: Schema) -> None:
        """A zero for each element of an update of this schema."""
        item = DTYPES[schema.dtype].itemsize
        self.size = SEGMENT_SIZE // item
        lead, end = data_offset(schema) // item, data_offset(schema) // item + schema.size
        starts = range(0, end, self.size)
        self.bounds = [
            slice(max(0, at - lead), max(0, min(at + self.size, end) - lead)) for at in starts
        ]
        self._lead = lead
        self._wide: Array = np.zeros(schema.size)
        room = _INT32_MAX if item == 4 else -1
        self._room = [room] * len(self)  # what may still be added in 32 bits; -1: it is wide
        self._idle: list[Adder] = []

    def __len__(self) -> int:
        return len(self.bounds)

    def values(self, cell: int) -> Array:
        """The sums of one cell, in their type; a view."""
        place = self._wide[self.bounds[cell]]
        return place if self._room[cell] < 0 else _half(place)

    def split(self, offset: int, part: Array) -> Iterator[tuple[int, int, Array]]:
        """Consecutive elements from `offset` on: cell, place in the cell, and what falls there."""
        at = 0
        while at < len(part):
            cell = (self._lead + offset + at) // self.size
            bounds = self.bounds[cell]
            piece = part[at : at + bounds.stop - offset - at]
            yield cell, offset + at - bounds.start, piece
            at += len(piece)

    @contextmanager
    def adder(self) -> Iterator[Adder]:
        """One for this thread alone. It is kept for the next: a buffer's new pages cost as much as
        what is done in it, and threads end with each update."""
        try:
            found = self._idle.pop()
        except IndexError:
            found = Adder(self)
        try:
            yield found
        finally:
            self._idle.append(found)

    def copy(self) -> Cells:
        """Another of the same sums."""
        twin = copy.copy(self)
        twin._wide, twin._room, twin._idle = self._wide.copy(), list(self._room), []
        return twin

    def memory(self) -> Array:
        """All places as float64; what they hold is used up as it is overwritten."""
        return self._wide.view(np.float64)

    def leave_float(self) -> None:
        """Make wide cells int64, before one could leave the 2⁵³ that float64 holds. Idempotent."""
        after = self._wide.view(np.int64)
        if after.dtype != self._wide.dtype:
            for cell in range(len(self)):
                if self._room[cell] < 0:
                    after[self.bounds[cell]] = self.values(cell).copy()
            self._wide = after

    def takes_narrow(self, cell: int, grown: int) -> bool:
        """Whether so much (of either sign) may be added to each sum of the cell in 32 bits.

        What was reserved before bounds what is there from above; where that leaves no room, what is
        there is looked at. Where there is none either, the cell goes over to the wide type.
        """
        if grown > self._room[cell] >= 0:
            self._room[cell] = max(0, _INT32_MAX - peak(self.values(cell)))
            if grown > self._room[cell]:
                self._widen(cell)
        if self._room[cell] < 0:
            return False
        self._room[cell] -= grown
        return True

    def _widen(self, cell: int) -> None:
        place = self._wide[self.bounds[cell]]
        place[:] = _half(place).copy()
        self._room[cell] = -1


class Adder:
    """Adds weighted integers to cells; `Cells.adder` gives each thread one."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._buffer = np.empty(max(cells.size, SEGMENT))

    def measure(self, part: Array) -> tuple[int, int]:
        """`norm_and_peak`, in the buffer that is here anyway."""
        return norm_and_peak(part, self._buffer)

    def add(self, cell: int, part: Array, weight: int, most: int, skip: int = 0) -> None:
        """Sums of the cell from its element `skip` on, plus weight · `part`.

        `most` is at least the magnitude of each coordinate.
        """
        if not most:
            return
        narrow = self._cells.takes_narrow(cell, most * abs(weight))
        at = self._cells.values(cell)[skip : skip + len(part)]
        scaled = self._buffer.view(at.dtype)[: len(part)]
        if narrow:
            np.multiply(part, np.int32(weight), out=scaled)
        else:
            np.copyto(scaled, part)
            np.multiply(scaled, at.dtype.type(weight), out=scaled)
        np.add(at, scaled, out=at)


def peak(values: Array) -> int:
    """The largest magnitude; 0 of none."""
    if not len(values):
        return 0
    return max(-int(np.minimum.reduce(values)), int(np.maximum.reduce(values)))


def _half(place: Array) -> Array:
    return place.view(np.int32)[: len(place)]
