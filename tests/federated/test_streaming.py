"""What aggregation keeps in memory: one accumulator and a segment, however many the updates."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federated.combining import total_of
from federated.exclusion import ExclusionCode, judge, judge_stored
from federated.models import update_schema
from federated.spec import Choice, StudySpec
from federated.stored import Stored
from federated.studies import wisconsin_spec
from federated.tensors import data_offset, encode_tensors


def large(strategy: Choice) -> StudySpec:
    """Over four million parameters."""
    return replace(
        wisconsin_spec(hospitals=9, min_hospitals=9),
        model=Choice("mlp", {"hidden": [2048, 2048]}),
        strategy=strategy,
    )


def header(spec: StudySpec) -> bytes:
    schema = update_schema(spec)
    zeros = {tensor.name: np.zeros(tensor.shape, "<i4") for tensor in schema.tensors}
    return encode_tensors(zeros, schema)[: data_offset(schema)]


def plaintext(head: bytes, left: int, seed: int) -> Iterator[bytes]:
    """Of a valid update, as it comes out of decryption: in pieces that are cut anywhere."""
    yield head
    source = np.random.default_rng(seed)
    while left:
        count = min(left, 12_345)
        yield source.integers(-1000, 1000, count, dtype=np.int32).tobytes()
        left -= count


@pytest.mark.parametrize("strategy", [Choice("fedavg"), Choice("median")], ids=lambda c: c.name)
def test_nine_updates_take_the_memory_of_one_accumulator(strategy: Choice, tmp_path: Path) -> None:
    spec = large(strategy)
    schema, head = update_schema(spec), header(spec)
    size = schema.size * 4
    tracemalloc.start()
    total = total_of(spec, tmp_path)
    for weight in range(1, 10):
        update = Stored.spooled(plaintext(head, schema.size, weight), tmp_path)
        assert judge_stored(update, spec) is None
        total.add(update.segments(schema), weight)
    _, added = tracemalloc.get_traced_memory()
    mean = total.mean()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = 2 * size if strategy.name == "fedavg" else 0  # the sum, of 64 bits a parameter
    assert added < held + size / 2
    assert peak < held + 2 * size + size  # the mean is of 64 bits too
    assert sum(array.size for array in mean.values()) == size // 4
    assert list(tmp_path.iterdir()) == []


def test_an_update_on_disk_is_judged_as_one_in_memory(spec: StudySpec, tmp_path: Path) -> None:
    schema = update_schema(spec)
    tensors = {tensor.name: np.full(tensor.shape, 4, "<i4") for tensor in schema.tensors}
    good = encode_tensors(tensors, schema)
    over = encode_tensors({name: array * 2 for name, array in tensors.items()}, schema)
    beyond = encode_tensors({name: array * 100 for name, array in tensors.items()}, schema)
    cases = {
        good: None,
        over: ExclusionCode.OVER_CLIP,
        beyond: ExclusionCode.NON_FINITE,
        good[:-1]: ExclusionCode.SHAPE,
        good + b"\0": ExclusionCode.SHAPE,
        good.replace(b"I32", b"F32"): ExclusionCode.SCHEMA,
        b"": ExclusionCode.SCHEMA,
        b"\xff" * 100: ExclusionCode.SCHEMA,
    }
    for data, code in cases.items():
        cut = [data[start : start + 7] for start in range(0, len(data), 7)]
        assert judge_stored(Stored.spooled(cut, tmp_path), spec) == judge(data, spec) == code
    found = Stored.spooled([good], tmp_path).vector(schema)
    assert found.tolist() == [4, 4, 4]
