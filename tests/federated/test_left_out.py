"""The models without each hospital, by hand and against summing the others."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federated.aggregate import WeightedSum
from federated.candidates import (
    Candidate,
    Candidates,
    Pieces,
    decode_models,
    encode_models,
    models_size,
)
from federated.contribution import bit, everyone
from federated.errors import AggregationError, RecordError
from federated.evaluation.disclosure import enough
from federated.grid import Grid
from federated.left_out import Update, left_out_states
from federated.models import parameter_schema, update_schema
from federated.schema import Array
from federated.spec import Choice, StudySpec
from federated.state import GlobalState, initial_state, state_digest
from federated.stored import Stored
from federated.tensors import encode_tensors


def steps(*values: int) -> Array:
    return np.array(values, dtype=np.int32)


def whole(update: Update) -> Array:
    return np.concatenate(list(update.segments))


def of_two(spec: StudySpec) -> tuple[GlobalState, WeightedSum, list[Update]]:
    """A bias and two weights; updates of weight 1 and 3 in quarters."""
    begin = GlobalState(
        0,
        {
            "out.bias": np.array([1.0], dtype=np.float32),
            "out.weight": np.array([[0.5, -0.5]], dtype=np.float32),
        },
        {},
    )
    updates = [Update(0, [steps(4, -8, 0)], 1), Update(2, [steps(-4, 0, 8)], 3)]
    total = WeightedSum(parameter_schema(spec), Grid.of(spec.grid))
    for update in updates:
        total.add(update.segments, update.weight)
    return begin, total, updates


def test_the_models_of_two_hospitals_are_those_on_paper(spec: StudySpec) -> None:
    begin, total, updates = of_two(spec)
    found = dict(left_out_states(spec, begin, 1, total, updates, [0, bit(0), bit(2)]))
    weights = {who: state.parameters["out.weight"].tolist()[0] for who, state in found.items()}
    biases = {who: state.parameters["out.bias"].tolist()[0] for who, state in found.items()}
    # Σ = (4 − 12, −8, 24) over 4 patients and 4 steps a unit; each alone keeps the divisor of 16
    assert biases == {0: 1 - 8 / 16, bit(0): 1 - 12 / 16, bit(2): 1 + 4 / 16}
    assert weights == {0: [0.0, 1.0], bit(0): [0.5, 1.0], bit(2): [0.0, -0.5]}
    assert {state.round_number for state in found.values()} == {1}


def test_leaving_out_is_as_if_the_hospital_had_returned_the_model(spec: StudySpec) -> None:
    begin, total, updates = of_two(spec)
    found = dict(left_out_states(spec, begin, 1, total, updates, [bit(2)]))
    idle = WeightedSum(parameter_schema(spec), Grid.of(spec.grid))
    idle.add(updates[0].segments, updates[0].weight)
    idle.add([steps(0, 0, 0)], updates[1].weight)
    ((_, wanted),) = left_out_states(spec, begin, 1, idle, [], [0])
    assert state_digest(spec, found[bit(2)]) == state_digest(spec, wanted)


def test_who_returned_the_model_is_not_missed_at_all(spec: StudySpec) -> None:
    begin, total, updates = of_two(spec)
    nothing = Update(5, [steps(0, 0, 0)], 40)
    total.add(nothing.segments, nothing.weight)
    found = dict(left_out_states(spec, begin, 1, total, [*updates, nothing], [0, bit(5)]))
    assert state_digest(spec, found[bit(5)]) == state_digest(spec, found[0])


def test_the_sum_stays_as_it_was(spec: StudySpec) -> None:
    begin, total, updates = of_two(spec)
    before = total.steps().tolist()
    list(left_out_states(spec, begin, 1, total, updates, [0, bit(0), bit(2)]))
    assert (total.steps().tolist(), total.weight) == (before, 4)


def test_nobody_can_be_left_out_of_a_sum_of_one(spec: StudySpec) -> None:
    total = WeightedSum(parameter_schema(spec), Grid.of(spec.grid))
    total.add([steps(4, -8, 0)], 3)
    for update, weight in ((steps(4, -8, 0), 3), (steps(4, -8, 0), 0), (steps(4, -8), 1)):
        with pytest.raises(AggregationError):
            total.without([([update], weight)])


@pytest.fixture
def sealed(spec: StudySpec) -> tuple[Candidates, list[bytes]]:
    states = [(0, initial_state(spec))]
    for hospital in (0, 3):
        state = initial_state(spec)
        moved = {name: array + np.float32(hospital + 1) for name, array in state.parameters.items()}
        states.append((bit(hospital), replace(state, parameters=moved)))
    items: list[Candidate] = []
    pieces = list(encode_models(spec, states, items))
    return Candidates(bytes(32), 1, 0, bytes(32), (0, 3), tuple(items)), pieces


def test_models_survive_bytes_however_these_are_cut(
    spec: StudySpec, sealed: tuple[Candidates, list[bytes]]
) -> None:
    candidates, pieces = sealed
    data = b"".join(pieces)
    assert len(data) == models_size(spec, 3)
    stream = Pieces(iter(pieces))
    cut = list(iter(lambda: stream.read(7), b""))
    assert b"".join(cut) == data
    for parts in (pieces, cut, [data]):
        found = list(decode_models(spec, candidates, parts))
        assert [item.without for item, _ in found] == [0, bit(0), bit(3)]
        first = initial_state(spec).parameters
        assert all((found[2][1][name] == array + 4).all() for name, array in first.items())


def test_another_model_than_was_signed_is_refused(
    spec: StudySpec, sealed: tuple[Candidates, list[bytes]]
) -> None:
    candidates, pieces = sealed
    flipped = bytearray(pieces[1])
    flipped[-1] ^= 1
    for wrong in (
        [pieces[0], bytes(flipped), pieces[2]],
        [pieces[0], pieces[2], pieces[1]],
        pieces[:2],
        [*pieces, b"\0"],
        [],
    ):
        with pytest.raises(RecordError):
            list(decode_models(spec, candidates, wrong))


def test_the_model_without_several_hospitals_is_the_same_whichever_way_it_is_summed(
    spec: StudySpec,
) -> None:
    begin, total, updates = of_two(spec)
    updates += [Update(3, [steps(1, 2, 3)], 5), Update(7, [steps(-8, 5, 1)], 2)]
    for update in updates[2:]:
        total.add(update.segments, update.weight)
    indices = [update.hospital for update in updates]
    withouts = [everyone(set(indices) - {*some}) for some in ((0,), (0, 2), (0, 2, 3), (3, 7))]
    found = dict(left_out_states(spec, begin, 1, total, updates, withouts))
    for without, state in found.items():
        some = [update for update in updates if not without >> update.hospital & 1]
        sums = [sum(int(whole(x)[i]) * x.weight for x in some) for i in range(3)]
        moved = [value / (11 * 4) for value in sums]  # all patients stay in the divisor
        assert state.parameters["out.bias"].tolist() == [np.float32(1.0 + moved[0])]
        wanted = [np.float32(x + y) for x, y in zip((0.5, -0.5), moved[1:], strict=True)]
        assert state.parameters["out.weight"].tolist() == [wanted]


def test_updates_are_read_a_segment_at_a_time_and_give_the_same_models(
    spec: StudySpec, tmp_path: Path
) -> None:
    """However large, an update is never in memory as a whole; so for the center and the auditor."""
    wide = replace(spec, model=Choice("mlp", {"hidden": [1000, 1000]}))
    schema, source, peaks = update_schema(wide), np.random.default_rng(1), list[int]()
    vectors = [source.integers(-3, 4, schema.size, dtype=np.int32) for _ in range(3)]
    total = WeightedSum(schema, Grid.of(wide.grid))
    stored = []
    for weight, vector in enumerate(vectors, start=1):
        total.add([vector], weight)
        data = encode_tensors(schema.unflatten(vector), schema)
        stored.append(Stored.spooled([data], tmp_path))

    def read() -> Iterator[Update]:
        tracemalloc.start()
        for index, one in enumerate(stored):
            yield Update(index, one.segments(schema), index + 1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    asked = (wide, initial_state(wide), 1, total)
    held = [Update(index, [vector], index + 1) for index, vector in enumerate(vectors)]
    once = [state_digest(wide, x) for _, x in left_out_states(*asked, held, [0, bit(1)], tmp_path)]
    again = [
        state_digest(wide, x) for _, x in left_out_states(*asked, read(), [0, bit(1)], tmp_path)
    ]
    assert again == once
    assert peaks[0] < vectors[0].nbytes / 2


def test_counts_of_too_few_people_of_a_class_do_not_leave_a_hospital() -> None:
    assert enough(np.array([1.0] * 5 + [0.0] * 5))
    assert not enough(np.array([1.0] * 4 + [0.0] * 50))
    assert not enough(np.array([1.0] * 50 + [0.0] * 4))
    assert not enough(np.array([]))
