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
    """`size` bytes; `read(offset, size)` gives a part of them, as often as asked."""

    size: int
    read: Callable[[int, int], bytes | bytearray]

    @classmethod
    def of(cls, data: bytes) -> Stored:
        """What is in memory anyway."""
        return cls(len(data), lambda offset, size: data[offset : offset + size])

    @classmethod
    def spooled(cls, pieces: Iterable[bytes], folder: Path | None) -> Stored:
        """On disk, in a file without a name; memory is one piece. Raises `AggregationError`."""
        spool = Spool(folder)
        for piece in pieces:
            spool.append(piece)
        return cls(spool.size, spool.read)

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

    def vector(self, schema: Schema) -> Array:
        """All elements in memory.  # (size,)"""
        return np.concatenate(list(self.segments(schema)))
