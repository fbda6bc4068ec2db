"""An update that is added to a sum while it is decrypted, and judged meanwhile.

To judge first, one would decrypt twice, or keep the whole plaintext somewhere. A sum of integers
can be undone exactly, so what turns out to break a rule is subtracted again; which rule, and so
which code the update gets, `federated/exclusion.py` alone finds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from federated.cells import Cells, peak
from federated.errors import AggregationError
from federated.grid import Grid
from federated.schema import DTYPES, Array, Schema
from federated.tensors import encoded_size, header_of
from storage.errors import StorageError
from storage.payload import SEGMENT_SIZE


class Plaintext(Protocol):
    """An update as it comes out of decryption; `storage.payload.PayloadReader` is one."""

    plaintext_size: int

    def copy_to(self, put: Callable[[int, memoryview], None]) -> None:
        """Give every segment and its offset to `put`, in any order and from several threads."""
        ...

    def segment(self, index: int) -> bytes:
        """One segment of SEGMENT_SIZE bytes, the last one shorter."""
        ...


class Trial:
    """One update on its way into the cells of a sum, with its weight."""

    def __init__(self, schema: Schema, grid: Grid, cells: Cells, weight: int) -> None:
        self._header = header_of(schema)
        self._size = encoded_size(schema)
        self._dtype = DTYPES[schema.dtype]
        self._most = grid.bound**2
        self._cells = cells
        self._weight = weight
        self._added: dict[int, int] = {}  # by cell, what it adds to the squared norm
        self._broken = False

    def put(self, offset: int, piece: memoryview) -> None:
        """Judge and add one segment. One that comes again, as reading began anew, is the same."""
        header = self._header[offset : offset + len(piece)]
        if self._broken or offset + len(piece) > self._size or piece[: len(header)] != header:
            self._broken = True
        elif (cell := offset // SEGMENT_SIZE) not in self._added:
            self._add(cell, self._elements(piece, len(header)))

    def is_accepted(self, size: int) -> bool:
        """Whether `size` bytes, all of them put, are an update that no rule excludes."""
        whole = size == self._size and not self._broken
        return whole and sum(self._added.values()) <= self._most

    def undo(self, source: Plaintext) -> None:
        """Take out again what was added. Raises `AggregationError` where it cannot be read."""
        try:
            for cell in sorted(self._added):
                piece = source.segment(cell)
                header = self._header[cell * SEGMENT_SIZE :][: len(piece)]
                elements = self._elements(piece, len(header))
                with self._cells.adder() as adder:
                    adder.add(cell, elements, -self._weight, peak(elements))
        except StorageError as exc:
            raise AggregationError(
                f"an update that is left out cannot be taken out of the sum again ({exc}): "
                "aggregate again"
            ) from exc

    def _elements(self, piece: bytes | memoryview, start: int) -> Array:
        count = (len(piece) - start) // self._dtype.itemsize
        return np.frombuffer(piece, self._dtype, count, start)

    def _add(self, cell: int, elements: Array) -> None:
        with self._cells.adder() as adder:
            squares, most = adder.measure(elements)
            if squares > self._most:
                self._broken = True
                return
            adder.add(cell, elements, self._weight, most)
        self._added[cell] = squares
