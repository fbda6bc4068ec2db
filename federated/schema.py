"""Names, shapes and element type of a set of tensors, in one fixed order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federated.canonical import Digest, digest, encode

Array: TypeAlias = NDArray[Any]
Parameters: TypeAlias = Mapping[str, Array]
"""Tensors by name, in the order of a schema."""

DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}
"""Element types by their safetensors names; little-endian on the wire."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's name and shape."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Schema:
    """Tensors of one element type, ordered by the bytes of their names."""

    dtype: str
    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, dtype: str, shapes: Mapping[str, tuple[int, ...]]) -> Schema:
        """The schema of tensors with these shapes."""
        ordered = sorted(shapes, key=str.encode)
        return cls(dtype, tuple(Tensor(name, tuple(shapes[name])) for name in ordered))

    @property
    def size(self) -> int:
        """Number of elements of all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    def with_dtype(self, dtype: str) -> Schema:
        """The same tensors with another element type."""
        return Schema(dtype, self.tensors)

    def to_bytes(self) -> bytes:
        """Canonical bytes; manifests carry their digest."""
        shapes = [[tensor.name, list(tensor.shape)] for tensor in self.tensors]
        return encode({"format": "consilium/schema/1", "dtype": self.dtype, "tensors": shapes})

    def digest(self) -> Digest:
        """sha2-256 of the canonical bytes."""
        return digest(self.to_bytes())

    def flatten(self, parameters: Parameters) -> Array:
        """All elements as one vector, in the schema's order.  # (size,)"""
        return np.concatenate([parameters[tensor.name].reshape(-1) for tensor in self.tensors])

    def unflatten(self, vector: Array) -> dict[str, Array]:
        """Views into `vector` by name; the inverse of `flatten`."""
        views: dict[str, Array] = {}
        offset = 0
        for tensor in self.tensors:
            views[tensor.name] = vector[offset : offset + tensor.size].reshape(tensor.shape)
            offset += tensor.size
        return views
