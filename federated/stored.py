"""An update's plaintext where it lies, in memory or on disk: checked and read by segment."""

from __future__ import annotations

import mmap
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
    """`size` bytes; `read(offset, size)` gives a part of them, `whole()` all of them as something
    that takes no memory by itself. Both as often as asked."""

    size: int
    read: Callable[[int, int], bytes | bytearray]
    whole: Callable[[], bytes | mmap.mmap]

    @classmethod
    def of(cls, data: bytes) -> Stored:
        """What is in memory anyway."""
        return cls(len(data), lambda offset, size: data[offset : offset + size], lambda: data)

    @classmethod
    def spooled(cls, pieces: Iterable[bytes], folder: Path | None) -> Stored:
        """On disk, in a file without a name; memory is one piece. Raises `AggregationError`."""
        spool = Spool(folder)
        for piece in pieces:
            spool.append(piece)
        return cls(spool.size, spool.read, spool.whole)

    @classmethod
    def copied(
        cls, copy_to: Callable[[Callable[[int, memoryview], None]], None], folder: Path | None
    ) -> Stored:
        """As `spooled`, from what puts its pieces at offsets, in any order and on all cores."""
        spool = Spool(folder)
        copy_to(spool.write)
        return cls(spool.size, spool.read, spool.whole)

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

    def reader(self, schema: Schema) -> Callable[[slice], Array]:
        """Gives elements as a view of where they lie; for several threads at once."""
        dtype, start, data = DTYPES[schema.dtype], data_offset(schema), self.whole()
        return lambda at: np.frombuffer(
            data, dtype, at.stop - at.start, start + at.start * dtype.itemsize
        )

    def vector(self, schema: Schema) -> Array:
        """All elements in memory.  # (size,)"""
        return np.concatenate(list(self.segments(schema)))
