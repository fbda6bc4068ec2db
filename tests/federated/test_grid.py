from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from federated.errors import TensorShapeError, TensorValueError
from federated.grid import Grid, squared_norm
from federated.schema import Schema
from federated.spec import GridTerms

SCHEMA = Schema.of("F64", {"w": (3,), "b": (1,)})


def quantise(grid: Grid, w: list[float], b: float = 0.0) -> tuple[list[int], int]:
    steps = grid.quantise({"w": np.array(w), "b": np.array([b])}, SCHEMA)
    assert steps["w"].dtype == (np.int32 if grid.dtype == "I32" else np.int64)
    return steps["w"].tolist(), int(steps["b"][0])


def test_the_bound_is_the_clip_norm_in_whole_steps() -> None:
    assert Grid.of(GridTerms(2.0, 2, 1)).bound == 8
    assert Grid.of(GridTerms(0.3, 3, 1)).bound == 2  # 2.4
    assert Grid.of(GridTerms(0.1, 40, 1)).bound == math.floor(0.1 * 2**40)


def test_an_update_within_the_bound_is_truncated_toward_zero() -> None:
    assert quantise(Grid(2, 8), [1.0, -0.6, 0.24], 0.99) == ([4, -2, 0], 3)


def test_an_update_over_the_bound_is_scaled_onto_it() -> None:
    assert quantise(Grid(2, 8), [3.0, 4.0, 0.0]) == ([4, 6, 0], 0)  # norm 5 → 2: 1.2, 1.6
    assert quantise(Grid(2, 8), [0.0, -100.0, 0.0]) == ([0, -8, 0], 0)


def test_an_update_of_zero_stays_zero() -> None:
    assert quantise(Grid(2, 8), [0.0, 0.0, 0.0]) == ([0, 0, 0], 0)


@given(
    hnp.arrays(np.float64, 3, elements=st.floats(-1e300, 1e300)),
    st.integers(0, 40),
    st.floats(2.0**-2, 1e6),
)
def test_whatever_is_quantised_passes_the_exact_check(
    w: np.ndarray, bits: int, clip_norm: float
) -> None:
    grid = Grid.of(GridTerms(clip_norm, bits, 1))
    if grid.bound:
        steps, _ = quantise(grid, w.tolist())
        assert sum(step**2 for step in steps) <= grid.bound**2
        assert all(step == 0 or (step < 0) == (x < 0) for step, x in zip(steps, w, strict=True))


@given(hnp.arrays(np.float64, 3, elements=st.floats(-1, 1)))
def test_dequantised_is_within_a_step_where_nothing_was_clipped(w: np.ndarray) -> None:
    grid = Grid.of(GridTerms(4.0, 20, 1))
    steps = grid.quantise({"w": w, "b": np.zeros(1)}, SCHEMA)
    assert np.abs(grid.dequantise(steps)["w"] - w).max() <= 2.0**-20


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_update_names_the_tensor(value: float) -> None:
    with pytest.raises(TensorValueError, match="tensor w: training diverged"):
        quantise(Grid(2, 8), [0.0, value, 0.0])


def test_an_update_of_another_shape_is_refused() -> None:
    with pytest.raises(TensorShapeError, match="tensor w"):
        Grid(2, 8).quantise({"w": np.zeros((3, 1)), "b": np.zeros(1)}, SCHEMA)


@given(hnp.arrays(np.int64, st.integers(0, 20), elements=st.integers(-(2**63), 2**63 - 1)))
def test_the_squared_norm_is_exact_over_all_of_int64(vector: np.ndarray) -> None:
    assert squared_norm(vector) == sum(int(x) ** 2 for x in vector)


def test_the_squared_norm_of_many_large_elements_does_not_overflow() -> None:
    for value in (2**31 - 1, -(2**31)):
        vector = np.full(100_000, value, dtype=np.int32)
        assert squared_norm(vector) == 100_000 * value**2
    assert squared_norm(np.full(9, -(2**63), dtype=np.int64)) == 9 << 126


def test_the_norm_check_turns_at_one_step() -> None:
    grid = Grid(0, 5)
    assert grid.in_clip(np.array([3, 4], dtype=np.int32))
    assert not grid.in_clip(np.array([3, 4, 1], dtype=np.int32))
    assert grid.in_range(np.array([5, -5], dtype=np.int32))
    assert not grid.in_range(np.array([-6], dtype=np.int32))
    assert not Grid(0, 2**31 - 1).in_range(np.array([-(2**31)], dtype=np.int32))
    assert not Grid(0, 2**40).in_range(np.array([-(2**63)], dtype=np.int64))
