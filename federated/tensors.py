"""Tensors as bytes, in one canonical safetensors encoding, and back from hostile bytes.

A schema determines the header to the last byte: names in the schema's order, compact JSON, spaces
up to a multiple of 8, no metadata. So reading parses nothing: the header must equal the expected
one and the length must fit. Only to say *what* differs is a wrong header looked into.
Source: the safetensors format (8 bytes of little-endian header length, JSON header, data).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from federated.errors import TensorError, TensorSchemaError, TensorShapeError, TensorValueError
from federated.schema import DTYPES, Array, Parameters, Schema, Tensor

MAX_HEADER = 1 << 20


def encode_tensors(parameters: Parameters, schema: Schema) -> bytes:
    """Canonical safetensors bytes of `parameters`. Raises `TensorError` where they differ."""
    _check_names(set(parameters), schema)
    parts: list[bytes | Array] = [header_of(schema)]
    for tensor in schema.tensors:
        array = parameters[tensor.name]
        if array.shape != tensor.shape:
            raise TensorShapeError(tensor.name, f"shape {array.shape}, not {tensor.shape}")
        if array.dtype != DTYPES[schema.dtype]:
            raise TensorSchemaError(tensor.name, f"element type {array.dtype}, not {schema.dtype}")
        _check_finite(tensor.name, array)
        whole = np.ascontiguousarray(array, DTYPES[schema.dtype])
        parts.append(whole.reshape(-1).view(np.uint8))
    return b"".join(parts)  # type: ignore[arg-type]  # of any buffers, each copied once


def decode_tensors(data: bytes, schema: Schema) -> dict[str, Array]:
    """Read-only views into `data` by name, after every check. Raises `TensorError`."""
    parameters = schema.unflatten(decode_vector(data, schema))
    for name, array in parameters.items():
        _check_finite(name, array)
    return parameters


def decode_vector(data: bytes, schema: Schema) -> Array:
    """All elements as one read-only vector; header and length are checked, values are not."""
    check_encoding(lambda offset, size: data[offset : offset + size], len(data), schema)
    return np.frombuffer(data, DTYPES[schema.dtype], offset=data_offset(schema))  # (size,)


def check_encoding(
    read: Callable[[int, int], bytes | bytearray], size: int, schema: Schema
) -> None:
    """Raise `TensorError` unless `size` bytes, by offset and size, can be tensors of this schema.

    The header is compared with the only right one, the length with what has to follow it.
    """
    header = header_of(schema)
    if bytes(read(0, len(header))) != header:
        raise _difference(bytes(read(0, 8 + MAX_HEADER)), schema)
    if size != encoded_size(schema):
        raise TensorShapeError("", f"{size} bytes do not fit the schema; send them whole")


def data_offset(schema: Schema) -> int:
    """Where the elements begin."""
    return len(header_of(schema))


def encoded_size(schema: Schema) -> int:
    """Bytes that any tensors of this schema take."""
    return len(header_of(schema)) + schema.size * DTYPES[schema.dtype].itemsize


def header_of(schema: Schema) -> bytes:
    """The only right header of tensors of this schema; a multiple of 8 bytes."""
    entries: dict[str, Any] = {}
    offset = 0
    for tensor in schema.tensors:
        end = offset + tensor.size * DTYPES[schema.dtype].itemsize
        shape = list(tensor.shape)
        entries[tensor.name] = {
            "dtype": schema.dtype,
            "shape": shape,
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _difference(data: bytes, schema: Schema) -> TensorError:
    """Why a header is not the expected one; it stays refused whatever this finds."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(MAX_HEADER, len(data) - 8):
        return TensorSchemaError("", "not safetensors: the header is cut short or too long")
    try:
        entries = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError):
        return TensorSchemaError("", "not safetensors: the header is not JSON")
    if not isinstance(entries, dict):
        return TensorSchemaError("", "not safetensors: the header is not a table")
    try:
        _check_names(set(entries), schema)
        for tensor in schema.tensors:
            _check_entry(entries[tensor.name], tensor, schema.dtype)
    except TensorError as exc:
        return exc
    return TensorSchemaError("", "the header is not in canonical form; encode it anew")


def _check_names(names: set[str], schema: Schema) -> None:
    expected = {tensor.name for tensor in schema.tensors}
    for name in sorted(expected - names):
        raise TensorSchemaError(name, "is missing")
    for name in sorted(names - expected):
        raise TensorSchemaError(repr(name[:60]), "is not in the schema")


def _check_entry(entry: Any, tensor: Tensor, dtype: str) -> None:
    if not isinstance(entry, dict) or entry.get("dtype") != dtype:
        raise TensorSchemaError(tensor.name, f"the element type is not {dtype}")
    if entry.get("shape") != list(tensor.shape):
        raise TensorShapeError(tensor.name, f"the shape is not {list(tensor.shape)}")


def _check_finite(name: str, array: Array) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise TensorValueError(name, "holds NaN or infinite values")
