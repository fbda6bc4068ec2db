"""An update's plaintext where it lies, in memory or on disk: checked and read by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from federated.schema import DTYPES, Array, Schema
from federated.spool import Spool
from federated.tensors import check_encoding, data_offset

_SEGMENT = 1 << 16
"""Elements of a segment."""


@dataclass(frozen=True, slots=True)
class Stored:
    """`size` bytes; `read(offset, size)` gives a part of them, `fill(offset, view)` puts it where
    the reader wants it. Both as often as asked, `fill` to several threads at once."""

    size: int
    read: Callable[[int, int], bytes | bytearray]
    fill: Callable[[int, memoryview], None]

    @classmethod
    def of(cls, data: bytes) -> Stored:
        """What is in memory anyway."""

        def fill(offset: int, view: memoryview) -> None:
            view[:] = data[offset : offset + len(view)]

        return cls(len(data), lambda offset, size: data[offset : offset + size], fill)

    @classmethod
    def spooled(cls, pieces: Iterable[bytes], folder: Path | None) -> Stored:
        """On disk, in a file without a name; memory is one piece. Raises `AggregationError`."""
        spool = Spool(folder)
        for piece in pieces:
            spool.append(piece)
        return cls(spool.size, spool.read, spool.fill)

    @classmethod
    def copied(
        cls, copy_to: Callable[[Callable[[int, memoryview], None]], None], folder: Path | None
    ) -> Stored:
        """As `spooled`, from what puts its pieces at offsets, in any order and on all cores."""
        spool = Spool(folder)
        copy_to(spool.write)
        return cls(spool.size, spool.read, spool.fill)

    def check(self, schema: Schema) -> None:
        """Raise `TensorError` unless these are canonical bytes of tensors of this schema."""
        check_encoding(self.read, self.size, schema)

    def segments(self, schema: Schema) -> Iterator[Array]:
        """All elements in order, as consecutive flat segments; `check` comes before."""
        dtype, start = DTYPES[schema.dtype], data_offset(schema)
        for element in range(0, schema.size, _SEGMENT):
            count = min(_SEGMENT, schema.size - element)
            data = self.read(start + element * dtype.itemsize, count * dtype.itemsize)
            yield np.frombuffer(data, dtype)

    def filler(self, schema: Schema) -> Callable[[int, Array], None]:
        """Reads from an element on into an array that is kept; for several threads at once."""
        size, start = DTYPES[schema.dtype].itemsize, data_offset(schema)
        return lambda element, into: self.fill(start + element * size, into.data.cast("B"))

    def vector(self, schema: Schema) -> Array:
        """All elements in memory.  # (size,)"""
        return np.concatenate(list(self.segments(schema)))
