"""Studies whose strategy is not FedAvg, over a real chain: replayed bit for bit, or found out."""

from __future__ import annotations

import importlib
import itertools
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chain.types import RoundNumber
from federated.aggregate import WeightedSum
from federated.auditor import Level
from federated.bedside.choose import Kind
from federated.center import finalize
from federated.grid import Grid
from federated.hospital.bedside import open_bedside
from federated.hospital.data import arrays
from federated.hospital.evaluate import publish_results
from federated.hospital.freeze import frozen_members
from federated.hospital.kept import (
    Kept,
    OwnModel,
    latest_kept,
    own_model,
    path_of,
    write_kept,
)
from federated.hospital.personalise import personalise
from federated.metrics import confusion
from federated.models import update_schema
from federated.networks import probabilities
from federated.published import open_state
from federated.schema import Parameters
from federated.simulate import simulate
from federated.spec import Choice, Split, StudySpec
from federated.state import GlobalState, state_digest
from federated.strategies import strategy_of
from federated.training import Records
from records.splits import Part
from storage.errors import CorruptPayload
from tests.e2e import kit
from tests.e2e.kit import Asked, World

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.slow]

collecting = importlib.import_module("federated.center.inputs")
FEDADAM = Choice("fedadam", {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 0.001})
MEDIAN = Choice("median")
DITTO = Choice("ditto", {"lambda": 0.5})
SCAFFOLD = Choice("scaffold", {"learning_rate": 0.5})
FEDBN = Choice("fedbn")
NORMALISING = Choice("mlp", {"hidden": [4], "normalise": "batch"})


@pytest.fixture
def learning(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The first round is finalized, the second has all submissions."""
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        spec = kit.study_spec(world, strategy=request.param, min_hospitals=3)
        if request.param is FEDBN:
            spec = replace(spec, model=NORMALISING, split=Split(validation=0.1, test=0.5))
        kit.enrol_all(world, replace(spec, training=replace(spec.training, momentum=0.0)))
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world)
        kit.run_round(world, finalized=False)
        yield world
        world.forget()


def _state(world: World, number: int) -> GlobalState:
    center = world.center
    return open_state(center, world.read(), RoundNumber(number), center.head())


def _named(choice: Choice) -> str:
    return choice.name


@pytest.mark.parametrize("learning", [FEDADAM, MEDIAN, SCAFFOLD], indirect=True, ids=_named)
def test_a_study_is_replayed_and_its_plain_mean_is_found(
    learning: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round 1 is honest. In round 2 the center adds the plain mean, whatever the study says."""
    kit.assert_sound(learning)
    strategy = strategy_of(learning.read().spec.strategy.name)
    assert set(_state(learning, 1).server) == set(strategy.state)
    assert not list((learning.folder / "center" / "journal").glob("tmp*"))
    _use_the_plain_mean(monkeypatch)
    finalize(learning.center, learning.study, RoundNumber(2))
    monkeypatch.undo()
    assert kit.found_at(learning, Level.KEYLESS) == set()
    assert kit.found_at(learning, Level.KEYED) == {("aggregate", 2, None)}


def _use_the_plain_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    center = importlib.import_module("federated.center.aggregate")
    honest: Callable[..., GlobalState] = center.next_state

    def plain(spec: StudySpec, start: GlobalState, mean: Parameters, number: int) -> GlobalState:
        moved = {name: (a + mean[name]).astype("<f4") for name, a in start.parameters.items()}
        return replace(honest(spec, start, mean, number), parameters=moved)

    monkeypatch.setattr(
        collecting,
        "total_of",
        lambda spec, _: WeightedSum(update_schema(spec), Grid.of(spec.grid)),
    )
    monkeypatch.setattr(center, "next_state", plain)


@pytest.mark.parametrize("learning", [SCAFFOLD], indirect=True, ids=_named)
def test_a_hospital_forgets_what_it_kept_when_one_of_its_patients_withdraws(
    learning: World,
) -> None:
    """Only that hospital, and both of its files; a file that was altered is named."""
    finalize(learning.center, learning.study, RoundNumber(2))
    kept = {name: _kept_by(learning, name, RoundNumber(2)) for name in kit.HOSPITALS}
    assert all(control is not None for control in kept.values())
    c = _state(learning, 2).server["c"]["out.bias"][0]
    assert min(_bias(kept)) < c < max(_bias(kept))

    seen = next(patient for patient in learning.patients if _was_seen(learning, patient))
    kit.revoke(learning, seen)
    assert _kept_by(learning, seen.hospital, RoundNumber(2)) is None
    assert not list((learning.folder / seen.hospital / "journal").glob("*.sealed"))
    others = set(kit.HOSPITALS) - {seen.hospital}
    assert all(_kept_by(learning, name, RoundNumber(2)) is not None for name in others)

    name = others.pop()
    path = path_of(learning.party(name), learning.read(), RoundNumber(2))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sealed = path.read_bytes()
    path.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(CorruptPayload, match=str(path)):
        _kept_by(learning, name, RoundNumber(2))


@pytest.mark.parametrize("learning", [SCAFFOLD, MEDIAN, FEDBN], indirect=True, ids=_named)
def test_a_simulation_comes_to_the_states_of_the_chain(learning: World) -> None:
    """With what hospitals keep between rounds, which here lies sealed in homes, there in memory."""
    finalize(learning.center, learning.study, RoundNumber(2))
    spec = learning.read().spec
    names = sorted(kit.HOSPITALS, key=learning.index)
    cohorts = [{name: _trained(learning, name, RoundNumber(n)) for name in names} for n in (1, 2)]
    states = simulate(spec, cohorts)
    assert [state_digest(spec, state) for state in states[1:]] == [
        kit.state_of(learning, number) for number in (1, 2)
    ]


def _trained(world: World, name: str, number: RoundNumber) -> Records:
    members = frozen_members(world.node(name), world.read(), number)
    return arrays([member for member in members if member.part is Part.TRAIN], world.read().spec)


@pytest.mark.parametrize("learning", [SCAFFOLD, FEDBN], indirect=True, ids=_named)
def test_a_hospital_goes_on_from_what_belongs_to_the_round_s_model(learning: World) -> None:
    """Round 2 is not final: who starts from round 1 takes what was kept with round 1."""
    party, study = learning.party("north"), learning.read()
    path_of(party, study, RoundNumber(1)).rename(path_of(party, study, RoundNumber(2)))
    with pytest.raises(CorruptPayload):  # each file is bound to its round
        _kept_by(learning, "north", RoundNumber(1))
    path_of(party, study, RoundNumber(2)).unlink()
    assert _kept_by(learning, "north", RoundNumber(2)) is None
    assert _kept_by(learning, "harbor", RoundNumber(1)) is not None
    first = _kept_by(learning, "harbor", RoundNumber(2))  # round 2 includes nobody yet
    finalize(learning.center, learning.study, RoundNumber(2))
    second = _kept_by(learning, "harbor", RoundNumber(2))
    assert first is not None
    assert second is not None
    assert any((first[name] != second[name]).any() for name in first)


@pytest.mark.parametrize("learning", [FEDBN], indirect=True, ids=_named)
def test_layers_that_normalise_are_in_no_model_that_leaves_a_hospital(
    learning: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hospital uses its own, until a patient whom they saw withdraws."""
    center = importlib.import_module("federated.center.aggregate")
    honest: Callable[..., GlobalState] = center.next_state

    def meddled(spec: StudySpec, start: GlobalState, mean: Parameters, number: int) -> GlobalState:
        state = honest(spec, start, mean, number)
        gain = state.parameters["norm0.gain"] + np.float32(1)
        return replace(state, parameters={**state.parameters, "norm0.gain": gain})

    monkeypatch.setattr(center, "next_state", meddled)
    finalize(learning.center, learning.study, RoundNumber(2))
    monkeypatch.undo()
    assert kit.found_at(learning, Level.KEYED) == {("aggregate", 2, None)}
    shared = _state(learning, 1)
    assert (shared.parameters["norm0.gain"] == 0).all()
    assert (shared.parameters["norm0.variance"] == 1).all()
    assert (
        shared.parameters["dense0.weight"] != _state(learning, 0).parameters["dense0.weight"]
    ).any()

    own = {name: _own(learning, name, shared) for name in kit.HOSPITALS}
    assert not any(model.warning for model in own.values())
    means = [model.parameters["norm0.mean"] for model in own.values()]
    assert all((one != other).all() for one, other in itertools.combinations(means, 2))
    seen = next(patient for patient in learning.patients if _was_seen(learning, patient))
    kit.revoke(learning, seen)
    forgot = _own(learning, seen.hospital, shared)
    assert "normalises neutrally" in forgot.warning
    assert (forgot.parameters["norm0.mean"] == 0).all()
    others = set(kit.HOSPITALS) - {seen.hospital}
    assert all(not _own(learning, name, shared).warning for name in others)


@pytest.mark.parametrize("learning", [FEDBN], indirect=True, ids=_named)
def test_a_hospital_is_judged_and_answers_with_its_own_layers(
    learning: World, tmp_path: Path
) -> None:
    finalize(learning.center, learning.study, RoundNumber(2))
    node, spec, state = learning.node("north"), learning.read().spec, _state(learning, 2)
    own = _own(learning, "north", state).parameters
    members = frozen_members(node, learning.read(), RoundNumber(2))
    inputs, labels = arrays([m for m in members if m.part is Part.TEST], spec)
    told = publish_results(node, learning.study, RoundNumber(2), Part.TEST)
    assert told.counts == confusion(labels, probabilities(own, inputs, spec))
    assert told.counts != confusion(labels, probabilities(state.parameters, inputs, spec))

    bedside = open_bedside(node, learning.study, tmp_path)
    assert bedside.warning == ""
    assert bedside.reader.tensors["norm0.mean"].tolist() == own["norm0.mean"].tolist()
    for number in (1, 2):
        path_of(node.party, learning.read(), RoundNumber(number)).unlink()
    bedside = open_bedside(node, learning.study, tmp_path)
    assert "no layers of this hospital's own" in bedside.warning
    assert not bedside.reader.tensors["norm0.mean"].any()


def _own(world: World, hospital: str, state: GlobalState) -> OwnModel:
    party = world.party(hospital)
    return own_model(party, world.read(), state, party.head())


@pytest.mark.parametrize("learning", [FEDBN], indirect=True, ids=_named)
def test_a_second_round_s_layers_name_the_patients_of_the_first(learning: World) -> None:
    """Who was only in the first takes them along when withdrawing."""
    party, study = learning.party("north"), learning.read()
    path = path_of(party, study, RoundNumber(1))
    first = latest_kept(party, study, RoundNumber(1), party.head())
    assert first is not None
    gone = b"\7" * 32
    later = Kept.after(Kept((gone,), {}), first.consents, first.tensors)
    assert set(later.consents) == {gone, *first.consents}
    write_kept(party, study, RoundNumber(1), later)
    assert latest_kept(party, study, RoundNumber(1), party.head()) is None  # none such is active
    assert not path.exists()


@pytest.mark.parametrize("learning", [DITTO], indirect=True, ids=_named)
def test_after_a_study_by_ditto_a_hospital_judges_its_own_model_beside_the_others(
    learning: World,
) -> None:
    finalize(learning.center, learning.study, RoundNumber(2))
    kit.assert_sound(learning)
    home = learning.folder / "personal"
    found = personalise(learning.node("north"), learning.study, home)
    assert [item.kind for item in found.judged] == [x for x in Kind if x is not Kind.HEAD]
    losses = {item.kind: item.loss for item in found.judged}
    assert losses[Kind.DITTO] not in (losses[Kind.GLOBAL], losses[Kind.OWN], losses[Kind.TUNED])


@pytest.mark.parametrize("learning", [FEDBN], indirect=True, ids=_named)
def test_after_a_study_of_several_layers_a_hospital_judges_an_own_head_beside_the_others(
    learning: World,
) -> None:
    """Under FedBN what the head reads are the hospital's own layers, which stay as they are."""
    finalize(learning.center, learning.study, RoundNumber(2))
    node = learning.node("north")
    found = personalise(node, learning.study, learning.folder / "personal")
    assert [item.kind for item in found.judged] == [x for x in Kind if x is not Kind.DITTO]
    assert found.judged[2].loss <= found.judged[0].loss


def _kept_by(world: World, hospital: str, parent: RoundNumber) -> Parameters | None:
    party = world.party(hospital)
    kept = latest_kept(party, world.read(), parent, party.head())
    return None if kept is None else kept.tensors


def _bias(kept: Mapping[str, Parameters | None]) -> list[float]:
    return [float(control["out.bias"][0]) for control in kept.values() if control is not None]


def _was_seen(world: World, patient: Asked) -> bool:
    if patient.will != "grants":
        return False
    members = frozen_members(world.node(patient.hospital), world.read(), RoundNumber(2))
    seen = {member.consent for member in members if member.part is Part.TRAIN}
    return world.consent_of(patient) in seen
