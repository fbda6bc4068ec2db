from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from federated.errors import TensorError, TensorSchemaError, TensorShapeError, TensorValueError
from federated.schema import DTYPES, Schema
from federated.tensors import decode_tensors, encode_tensors, encoded_size

SCHEMA = Schema.of("F32", {"out.weight": (2, 3), "out.bias": (2,), "z": (1,)})
GOOD = {
    "out.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "out.bias": np.array([-1.5, 2.0], dtype=np.float32),
    "z": np.array([7], dtype=np.float32),
}


def raw(entries: object, body: bytes = bytes(36), pad: bool = True) -> bytes:
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8 if pad else 0)
    return len(header).to_bytes(8, "little") + header + body


def entries(**changes: object) -> dict[str, dict[str, object]]:
    whole: dict[str, dict[str, object]] = {
        "out.bias": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "out.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
        "z": {"dtype": "F32", "shape": [1], "data_offsets": [32, 36]},
    }
    whole["out.weight"] |= changes
    return whole


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_bytes_are_those_of_the_safetensors_library(dtype: str) -> None:
    tensors = {name: array.astype(DTYPES[dtype]) for name, array in GOOD.items()}
    schema = SCHEMA.with_dtype(dtype)
    data = encode_tensors(tensors, schema)
    assert data == safetensors.numpy.save(tensors)
    assert len(data) == encoded_size(schema)
    back = decode_tensors(data, schema)
    assert all((back[name] == tensors[name]).all() for name in tensors)
    read = safetensors.numpy.load(data)
    assert all((read[name] == tensors[name]).all() for name in tensors)


def test_the_order_in_which_tensors_are_given_does_not_show() -> None:
    assert encode_tensors(dict(reversed(GOOD.items())), SCHEMA) == encode_tensors(GOOD, SCHEMA)


def test_views_of_foreign_bytes_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        decode_tensors(encode_tensors(GOOD, SCHEMA), SCHEMA)["z"][0] = 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_names_its_tensor(value: float) -> None:
    bad = {**GOOD, "out.bias": np.array([0, value], dtype=np.float32)}
    with pytest.raises(TensorValueError, match=r"out\.bias") as caught:
        encode_tensors(bad, SCHEMA)
    assert caught.value.tensor == "out.bias"
    data = encode_tensors(GOOD, SCHEMA).replace(
        GOOD["out.bias"].tobytes(), bad["out.bias"].tobytes()
    )
    with pytest.raises(TensorValueError, match=r"out\.bias"):
        decode_tensors(data, SCHEMA)


@pytest.mark.parametrize(
    ("data", "kind", "tensor"),
    [
        (b"", TensorSchemaError, ""),
        (b"\x80\x04.", TensorSchemaError, ""),
        (b"\xff" * 40, TensorSchemaError, ""),
        ((1 << 62).to_bytes(8, "little") + bytes(40), TensorSchemaError, ""),
        ((4).to_bytes(8, "little") + b"{{{{", TensorSchemaError, ""),
        (raw([]), TensorSchemaError, ""),
        ((60000).to_bytes(8, "little") + b"[" * 60000, TensorSchemaError, ""),
        (raw({}), TensorSchemaError, "out.bias"),
        (raw({**entries(), "extra": {}}), TensorSchemaError, "'extra'"),
        (raw({**entries(), "__metadata__": {"a": "b"}}), TensorSchemaError, "'__metadata__'"),
        (raw(entries(dtype="F64")), TensorSchemaError, "out.weight"),
        (raw(entries(dtype="I32")), TensorSchemaError, "out.weight"),
        (raw({**entries(), "z": 5}), TensorSchemaError, "z"),
        (raw(entries(shape=[3, 2])), TensorShapeError, "out.weight"),
        (raw(entries(shape=[6])), TensorShapeError, "out.weight"),
        (raw(entries(shape="2,3")), TensorShapeError, "out.weight"),
        (raw(entries(data_offsets=[0, 24])), TensorSchemaError, ""),  # overlaps another
        (raw(entries(data_offsets=[8, 1 << 70])), TensorSchemaError, ""),
        (raw(dict(reversed(entries().items()))), TensorSchemaError, ""),
        (raw(entries(), pad=False), TensorSchemaError, ""),
        (raw(entries(), bytes(35)), TensorShapeError, ""),
        (raw(entries(), bytes(37)), TensorShapeError, ""),
        (raw(entries(), b""), TensorShapeError, ""),
    ],
)
def test_hostile_bytes_are_refused_and_the_tensor_is_named(
    data: bytes, kind: type[TensorError], tensor: str
) -> None:
    decode_tensors(raw(entries()), SCHEMA)
    with pytest.raises(kind) as caught:
        decode_tensors(data, SCHEMA)
    assert caught.value.tensor == tensor


@given(st.binary(max_size=60), st.integers(0, 300))
def test_no_flipped_or_random_bytes_raise_anything_else(noise: bytes, at: int) -> None:
    good = encode_tensors(GOOD, SCHEMA)
    for data in (noise, good[:at] + noise + good[at:], good[:at] + noise + good[at + len(noise) :]):
        try:
            back = decode_tensors(data, SCHEMA)
        except TensorError:
            continue
        assert encode_tensors(back, SCHEMA) == data


def test_encoding_refuses_what_is_not_the_schema() -> None:
    with pytest.raises(TensorSchemaError, match="missing"):
        encode_tensors({"z": GOOD["z"]}, SCHEMA)
    with pytest.raises(TensorSchemaError, match="not in the schema"):
        encode_tensors({**GOOD, "more": GOOD["z"]}, SCHEMA)
    with pytest.raises(TensorShapeError, match="z"):
        encode_tensors({**GOOD, "z": np.zeros(2, dtype=np.float32)}, SCHEMA)
    with pytest.raises(TensorSchemaError, match="z"):
        encode_tensors({**GOOD, "z": np.zeros(1, dtype=np.float64)}, SCHEMA)


def test_a_header_of_brackets_in_brackets_is_refused() -> None:
    header = b"[" * 200_000
    with pytest.raises(TensorSchemaError, match="not JSON"):
        decode_tensors(len(header).to_bytes(8, "little") + header, SCHEMA)
