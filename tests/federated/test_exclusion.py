from __future__ import annotations

import numpy as np
import pytest

from federated.exclusion import ExclusionCode, judge
from federated.models import update_schema
from federated.schema import Array, Schema
from federated.spec import StudySpec
from federated.tensors import encode_tensors


def update(spec: StudySpec, values: list[int]) -> bytes:
    schema = update_schema(spec)
    return encode_tensors(schema.unflatten(np.array(values, dtype=np.int32)), schema)


def test_an_update_on_the_bound_is_included(spec: StudySpec) -> None:
    assert judge(update(spec, [0, 8, 0]), spec) is None  # B = 8
    assert judge(update(spec, [-8, 0, 0]), spec) is None
    assert judge(update(spec, [0, 0, 0]), spec) is None


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([0, 9, 0], ExclusionCode.NON_FINITE),
        ([0, 0, -(2**31)], ExclusionCode.NON_FINITE),
        ([8, 1, 0], ExclusionCode.OVER_CLIP),
        ([-7, 4, 0], ExclusionCode.OVER_CLIP),
    ],
)
def test_numbers_off_the_grid_and_over_the_clip_are_excluded(
    spec: StudySpec, values: list[int], code: ExclusionCode
) -> None:
    assert judge(update(spec, values), spec) is code


def other(dtype: str, shapes: dict[str, tuple[int, ...]]) -> bytes:
    schema = Schema.of(dtype, shapes)
    zeros: Array = np.zeros(schema.size, dtype={"F32": "<f4", "I32": "<i4", "I64": "<i8"}[dtype])
    return encode_tensors(schema.unflatten(zeros), schema)


def test_another_schema_or_shape_is_excluded(spec: StudySpec) -> None:
    right = {"out.bias": (1,), "out.weight": (1, 2)}
    assert judge(other("I32", right), spec) is None
    assert judge(other("F32", right), spec) is ExclusionCode.SCHEMA
    assert judge(other("I64", right), spec) is ExclusionCode.SCHEMA
    assert judge(other("I32", {"out.weight": (1, 2)}), spec) is ExclusionCode.SCHEMA
    assert judge(other("I32", {**right, "more": (1,)}), spec) is ExclusionCode.SCHEMA
    assert judge(other("I32", {**right, "out.weight": (2, 1)}), spec) is ExclusionCode.SHAPE
    assert judge(other("I32", right) + b"\0", spec) is ExclusionCode.SHAPE
    assert judge(other("I32", right)[:-1], spec) is ExclusionCode.SHAPE
    assert judge(b"", spec) is ExclusionCode.SCHEMA


def test_codes_are_the_words_that_manifests_carry() -> None:
    assert [code.value for code in ExclusionCode] == [
        "schema",
        "shape",
        "non-finite",
        "over-clip",
        "list-missing",
        "undecryptable",
    ]
