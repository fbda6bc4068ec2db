from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.aggregate import WeightedSum, add_mean, divide
from federated.cells import Adder, Cells
from federated.errors import AggregationError
from federated.grid import Grid
from federated.models import update_schema
from federated.schema import DTYPES, Array, Schema
from federated.spec import StudySpec
from federated.state import GlobalState, initial_state, next_state, state_digest
from federated.stored import Stored
from federated.studies import wisconsin_spec
from federated.tensors import encode_tensors
from storage.payload import SEGMENT_SIZE

SCHEMA = Schema.of("I32", {"b": (1,), "w": (2,)})


def steps(*values: int) -> Array:
    return np.array(values, dtype=np.int32)


def test_the_mean_of_two_hospitals_is_the_one_on_paper() -> None:
    total = WeightedSum(SCHEMA, Grid(2, 8))
    total.add([steps(4, -8, 3)], 3)
    total.add([steps(0, 8, 1)], 1)
    assert total.steps().tolist() == [12, -16, 10]
    mean = total.mean()  # over 4 patients and 4 steps a unit
    assert mean["b"].tolist() == [0.75]
    assert mean["w"].tolist() == [-1.0, 0.625]


def test_the_next_model_of_two_hospitals_is_the_one_on_paper(spec: StudySpec) -> None:
    begin = GlobalState(
        0,
        {
            "out.bias": np.array([1.0], dtype=np.float32),
            "out.weight": np.array([[0.5, -0.5]], dtype=np.float32),
        },
        {},
    )
    total = WeightedSum(update_schema(spec), Grid.of(spec.grid))
    total.add([steps(4, -8, 0)], 1)
    total.add([steps(-4, 0, 8)], 3)
    end = next_state(spec, begin, total.mean(), 1)
    assert end.parameters["out.bias"].tolist() == [0.5]  # 1 + (4 − 12) / 16
    assert end.parameters["out.weight"].tolist() == [[0.0, 1.0]]  # 0.5 − 8/16, −0.5 + 24/16
    assert end.parameters["out.weight"].dtype == np.float32
    assert end.round_number == 1


def submissions(spec: StudySpec, count: int) -> list[tuple[Array, int]]:
    grid, size = Grid.of(spec.grid), update_schema(spec).size
    source = np.random.default_rng(7)
    top = int(grid.bound / np.sqrt(size))
    return [
        (source.integers(-top, top, size).astype(np.int32), int(source.integers(1, 4096)))
        for _ in range(count)
    ]


@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_the_aggregate_has_one_digest_whatever_the_order_of_submissions(
    order: random.Random,
) -> None:
    spec = wisconsin_spec(hospitals=9)
    given_in = submissions(spec, 9)
    shuffled = order.sample(given_in, len(given_in))
    digests = set()
    for updates in (given_in, shuffled):
        total = WeightedSum(update_schema(spec), Grid.of(spec.grid))
        for update, weight in updates:
            total.add([update], weight)
        digests.add(state_digest(spec, next_state(spec, initial_state(spec), total.mean(), 1)))
    assert len(digests) == 1


def test_how_an_update_is_cut_into_segments_does_not_show() -> None:
    whole, cut = WeightedSum(SCHEMA, Grid(2, 8)), WeightedSum(SCHEMA, Grid(2, 8))
    whole.add([steps(1, 2, 3)], 5)
    cut.add(iter([steps(1), steps(), steps(2, 3)]), 5)
    assert whole.steps().tolist() == cut.steps().tolist() == [5, 10, 15]


@pytest.mark.parametrize("segments", [[], [steps(1)], [steps(1, 2, 3), steps(4)], [steps(9, 0, 0)]])
def test_a_sum_that_got_a_part_of_an_update_is_never_used(segments: list[Array]) -> None:
    total = WeightedSum(SCHEMA, Grid(2, 8))
    total.add([steps(1, 1, 1)], 1)
    with pytest.raises(AggregationError):
        total.add(segments, 1)
    with pytest.raises(AggregationError, match="in part"):
        total.mean()


def test_a_sum_stops_before_it_could_leave_64_bits() -> None:
    grid = Grid(0, 2**32)
    schema = Schema.of("I64", {"w": (1,)})
    total = WeightedSum(schema, grid)
    total.add([np.array([-(2**32)])], 2**31 - 1)
    with pytest.raises(AggregationError, match="64 bits"):
        total.add([np.array([1])], 1)
    assert total.steps().tolist() == [-(2**63 - 2**32)]


@pytest.mark.parametrize("weight", [0, -1])
def test_a_weight_below_one_is_refused(weight: int) -> None:
    with pytest.raises(AggregationError):
        WeightedSum(SCHEMA, Grid(2, 8)).add([steps(1, 1, 1)], weight)


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(AggregationError, match="nothing was added"):
        WeightedSum(SCHEMA, Grid(2, 8)).mean()


def stored(schema: Schema, values: Array) -> Stored:
    return Stored.of(encode_tensors(schema.unflatten(values), schema))


@settings(max_examples=200)
@given(st.data())
def test_the_sum_is_that_of_integers_whatever_the_bound_the_weights_and_the_way_in(
    data: st.DataObject,
) -> None:
    """Bounds and weights reach over 32 bits and over the 53 that float64 holds."""
    bits = data.draw(st.integers(1, 40))
    bound, size = (1 << bits) - 1, data.draw(st.integers(1, 5))
    schema = Schema.of("I32" if bits < 32 else "I64", {"w": (size,)})
    dtype = DTYPES[schema.dtype]
    values = st.lists(st.integers(-bound, bound), min_size=size, max_size=size)
    most = (2**63 - 1) // bound // 6
    given_in = data.draw(st.lists(st.tuples(values, st.integers(1, most)), min_size=1, max_size=5))
    expected = [sum(w * v[i] for v, w in given_in) for i in range(size)]
    one, all_, rest = (WeightedSum(schema, Grid(3, bound)) for _ in range(3))
    for update, weight in given_in:
        one.add([np.array(update, dtype)], weight)
    all_.add_stored([(stored(schema, np.array(v, dtype)), w) for v, w in given_in])
    assert one.steps().tolist() == all_.steps().tolist() == expected
    rest.add([np.array(given_in[0][0], dtype)], given_in[0][1])
    others = [([np.array(v, dtype)], w) for v, w in given_in[1:]]
    assert one.without(others).steps().tolist() == rest.steps().tolist()
    weight = one.weight << 3
    shown = [nearest(Fraction(value, weight)) for value in expected]
    assert one.mean()["w"].tolist() == shown
    assert all_.take_mean()["w"].tolist() == shown


def test_many_segments_on_all_cores_give_the_sum_of_integers() -> None:
    size = 3 * SEGMENT_SIZE // 4 + 7
    schema, grid = Schema.of("I32", {"w": (size,)}), Grid(4, 2**31 - 1)
    source = np.random.default_rng(3)
    updates = [source.integers(-(2**31) + 1, 2**31, size, dtype=np.int32) for _ in range(4)]
    updates[1] //= 1 << 20  # so that some are added in 32 bits and some are not
    updates[2] //= 1 << 16
    total = WeightedSum(schema, grid)
    total.add_stored([(stored(schema, update), 7 + n) for n, update in enumerate(updates)])
    expected = sum((7 + n) * update.astype(object) for n, update in enumerate(updates))
    assert (total.steps() == expected).all()


def test_a_stored_update_off_the_grid_makes_the_sum_unusable() -> None:
    total = WeightedSum(SCHEMA, Grid(2, 8))
    with pytest.raises(AggregationError, match="off the grid"):
        total.add_stored([(stored(SCHEMA, steps(1, 1, 1)), 1), (stored(SCHEMA, steps(1, 9, 1)), 1)])
    with pytest.raises(AggregationError, match="in part"):
        total.mean()


def test_a_sum_that_was_taken_for_its_mean_is_never_used_again() -> None:
    total = WeightedSum(SCHEMA, Grid(2, 8))
    total.add([steps(4, 8, 0)], 1)
    mean = total.take_mean()
    assert mean["b"].tolist() == [1.0]
    for use in (total.mean, total.take_mean, total.steps, lambda: total.add([steps(1, 1, 1)], 1)):
        with pytest.raises(AggregationError, match="taken for its mean"):
            use()


def nearest(value: Fraction) -> float:
    """Round half to even, from the definition."""
    guess = value.numerator / value.denominator
    around = [guess, float(np.nextafter(guess, -np.inf)), float(np.nextafter(guess, np.inf))]
    best = min(abs(Fraction(x) - value) for x in around)
    ties = [x for x in around if abs(Fraction(x) - value) == best]
    return next(x for x in ties if len(ties) == 1 or int(np.float64(x).view(np.int64)) % 2 == 0)


@given(
    st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=8),
    st.integers(1, 2**63 - 1),
    st.integers(0, 40),
)
def test_division_is_rounded_correctly_once(values: list[int], weight: int, bits: int) -> None:
    denominator = weight << bits
    result = divide(np.array(values, dtype=np.int64), denominator)
    assert result.tolist() == [nearest(Fraction(value, denominator)) for value in values]


def test_division_differs_from_rounding_the_sum_first() -> None:
    value, denominator = 2**53 + 1, 3
    assert divide(np.array([value]), denominator)[0] == nearest(Fraction(value, denominator))
    assert divide(np.array([value]), denominator)[0] != float(value) / denominator


def test_adding_a_mean_rounds_in_float64_and_then_to_float32() -> None:
    one = {"w": np.array([1.0], dtype=np.float32)}
    tiny = {"w": np.array([2.0**-24 + 2.0**-50])}
    assert add_mean(one, tiny)["w"][0] == np.float32(1 + 2.0**-23)
    assert add_mean(one, {"w": np.array([2.0**-24])})["w"][0] == 1  # a tie goes to even


def test_a_model_that_leaves_float32_is_refused() -> None:
    with pytest.raises(AggregationError, match="tensor w"):
        add_mean({"w": np.array([3e38], dtype=np.float32)}, {"w": np.array([3e38])})


def test_the_schema_of_the_sum_is_that_of_the_model(spec: StudySpec) -> None:
    wide = replace(spec, grid=replace(spec.grid, clip_norm=2.0, grid_bits=30, max_weight=2**20))
    total = WeightedSum(update_schema(wide), Grid.of(wide.grid))
    total.add([np.array([2**31, 0, 0], dtype=np.int64)], 2**20)
    assert total.mean()["out.bias"].tolist() == [2.0]


def test_a_cell_that_would_leave_32_bits_goes_over_to_the_wide_type_before() -> None:
    most = 1 << 30
    cells = Cells(Schema.of("I32", {"w": (3,)}))
    adder, part = Adder(cells), np.array([most, -most, 1], dtype=np.int32)
    for times in range(1, 6):  # two of them would leave 32 bits
        adder.add(0, part, 1, most)
        assert cells.values(0).dtype == (np.int32 if times == 1 else np.float64)
        assert cells.values(0).tolist() == [times * most, -times * most, times]


def test_a_cell_whose_sums_cancel_stays_in_32_bits() -> None:
    """What was added bounds a sum from above alone: before it goes over, it is looked at."""
    most = (1 << 30) - 1
    cells = Cells(Schema.of("I32", {"w": (2,)}))
    adder, part = Adder(cells), np.array([most, -most], dtype=np.int32)
    for weight in (1, -1) * 5:
        adder.add(0, part, weight, most)
    assert cells.values(0).dtype == np.int32
    assert cells.values(0).tolist() == [0, 0]
