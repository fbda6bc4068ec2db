"""What holds for every study: one seed one model, any order, and nobody without consent."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chain.types import RoundNumber
from federated.auditor import Level, replay
from federated.center import finalize, open_round
from federated.hospital import freeze, publish_results
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.leaf_list import read_leaves
from federated.published import open_state
from federated.simulate import Records, simulate
from federated.state import state_digest
from records.cohort import Member
from records.splits import Part
from tests.e2e import kit
from tests.e2e.conftest import Studies
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND = RoundNumber(1), RoundNumber(2)
center = importlib.import_module("federated.center.aggregate")  # the function hides the module
collecting = importlib.import_module("federated.center.inputs")


@pytest.fixture(scope="module")
def over(studies: Studies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The finished study, for tests that only read."""
    with studies.finished.start(tmp_path_factory.mktemp("over") / "world") as world:
        yield world


class _Enough(Exception):
    """The sum is known."""


def _members(world: World, hospital: str, number: RoundNumber) -> list[Member]:
    return frozen_members(world.node(hospital), world.read(), number)


def _consents(world: World, hospital: str, number: int) -> set[bytes]:
    """Ids in the published list of a frozen cohort."""
    leaf_list = kit.freeze_of(world, number, hospital).leaf_list
    return {leaf.consent for leaf in read_leaves(world.auditor.store, leaf_list)}


def test_the_aggregate_is_one_over_100_orders_of_submissions(
    submitted: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The center's own code, given the chain's submissions in every order; nothing else varies."""
    party, study, block = submitted.center, submitted.read(), submitted.center.head()
    inputs = center.read_inputs(party, study, SECOND, block)
    frozen, events = inputs.frozen, list(inputs.submitted)
    judged = {
        e.index: collecting.judge_submission(party, study, frozen[e.index], e) for e in events
    }
    states = set()

    def conclude(*arguments: Any) -> None:
        start, mean = arguments[3].start, arguments[3].total.mean()
        states.add(state_digest(study.spec, center.next_state(study.spec, start, mean, 2)))
        raise _Enough

    def again(_party: Any, _study: Any, _frozen: Any, event: Any, into: Any) -> Any:
        into.add_stored([(judged[event.index].update, judged[event.index].weight)])
        return judged[event.index]

    monkeypatch.setattr(collecting, "judge_submission", again)
    monkeypatch.setattr(collecting, "wrap_for_auditors", lambda *_: None)
    monkeypatch.setattr(center, "_conclude", conclude)
    start = open_state(party, study, FIRST, block)
    monkeypatch.setattr(collecting, "known_state", lambda *_: start)
    monkeypatch.setattr(center, "read_inputs", lambda *_: replace(inputs, submitted=events))
    monkeypatch.setattr(center, "read_study", lambda *_: study)
    random = Random(1)
    seen = set()
    for _ in range(100):
        random.shuffle(events)
        seen.add(tuple(event.index for event in events))
        with pytest.raises(_Enough):
            center.aggregate(party, submitted.study, SECOND)
    assert len(seen) == 6
    monkeypatch.undo()
    assert states == {finalize(party, submitted.study, SECOND).state}


def test_two_runs_with_one_seed_give_one_model_and_different_cids(
    studies: Studies, over: World, granted: World
) -> None:
    kit.run_round(granted)
    assert kit.state_of(granted, 1) == kit.state_of(over, 1)
    one, other = kit.round_at(granted, 1), kit.round_at(over, 1)
    assert one.manifest != other.manifest
    for name in kit.HOSPITALS:
        mine, theirs = kit.submission_of(granted, 1, name), kit.submission_of(over, 1, name)
        assert mine.manifest != theirs.manifest
        assert mine.commitment != theirs.commitment  # salted: equal updates do not show
        roots = kit.freeze_of(granted, 1, name).root, kit.freeze_of(over, 1, name).root
        assert roots[0] != roots[1]


def test_another_chain_keys_and_people_of_one_seed_give_the_same_model(
    over: World, tmp_path: Path
) -> None:
    """Consent ids, accounts and addresses are new; records, seed and wills are not."""
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        kit.enrol_all(world, kit.study_spec(world))
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world)
        assert kit.state_of(world, 1) == kit.state_of(over, 1)
        world.forget()


def test_simulate_gives_the_states_that_the_actors_finalize(over: World) -> None:
    spec = over.read().spec
    cohorts: list[Mapping[str, Records]] = [
        {
            name: arrays([m for m in _members(over, name, n) if m.part is Part.TRAIN], spec)
            for name in kit.HOSPITALS
        }
        for n in (FIRST, SECOND)
    ]
    states = [state_digest(spec, state) for state in simulate(spec, cohorts)]
    assert states == [over.read().terms.state, kit.state_of(over, 1), kit.state_of(over, 2)]


def test_who_did_not_consent_to_this_is_in_no_cohort(over: World) -> None:
    for name in kit.HOSPITALS:
        people = [patient for patient in over.patients if patient.hospital == name]
        granted = {over.consent_of(patient) for patient in people if patient.will == "grants"}
        others = {
            over.consent_of(patient)
            for patient in people
            if patient.will in ("expires", "other purpose")
        }
        assert len(granted) == 26
        assert len(others) == 2
        keys = {patient.local_key for patient in people if patient.will == "grants"}
        for number in FIRST, SECOND:
            assert _consents(over, name, number) == granted
            assert {member.record.key for member in _members(over, name, number)} == keys


def test_validation_and_test_records_count_only_with_consent(over: World) -> None:
    study, left_out = over.read(), 0
    for name in kit.HOSPITALS:
        node = over.node(name)
        for part in Part.VALIDATION, Part.TEST:
            everyone = {key for key, own in node.parts(study.spec).items() if own is part}
            consented = {p.local_key for p in over.patients if p.will == "grants"} & everyone
            records = [m for m in _members(over, name, SECOND) if m.part is part]
            assert {m.record.key for m in records} == consented
            left_out += len(everyone - consented)
            results = publish_results(node, over.study, SECOND, part)
            counted = results.tp + results.fp + results.tn + results.fn
            assert counted == (0 if results.suppressed else len(records))
    assert left_out


def test_one_consent_less_takes_the_record_from_batch_and_root_and_changes_the_model(
    over: World, tmp_path: Path
) -> None:
    """The same study in which one patient, who trains, was never asked."""
    training = [m for m in _members(over, "north", FIRST) if m.part is Part.TRAIN]
    left_out = training[len(training) // 2].record.key
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        kit.enrol_all(world, kit.study_spec(world))
        kit.open_tiers(world)
        kit.ask_all(world, unasked=[left_out])
        kit.run_round(world)
        spec = world.read().spec
        now = _members(world, "north", FIRST)
        assert [m.record.key for m in now] == [
            m.record.key for m in _members(over, "north", FIRST) if m.record.key != left_out
        ]
        before, after = kit.freeze_of(over, 1, "north"), kit.freeze_of(world, 1, "north")
        assert (after.n, after.weight) == (before.n - 1, before.weight - 1)
        batch, _ = arrays([m for m in now if m.part is Part.TRAIN], spec)
        assert len(batch) == len(training) - 1
        asked = next(p for p in world.patients if p.local_key == left_out)
        assert world.consent_of(asked) not in _consents(world, "north", 1)
        parts = world.node("north").parts(spec)
        assert parts == over.node("north").parts(spec)  # nobody else changed their part
        assert kit.state_of(world, 1) != kit.state_of(over, 1)
        kit.assert_sound(world)
        world.forget()


def test_a_consent_revoked_between_rounds_is_in_no_later_cohort(granted: World) -> None:
    kit.run_round(granted)
    asked = next(p for p in granted.patients if p.will == "grants" and p.hospital == "harbor")
    assert granted.consent_of(asked) in _consents(granted, "harbor", 1)
    kit.revoke(granted, asked)
    kit.run_round(granted)
    assert granted.consent_of(asked) not in _consents(granted, "harbor", 2)
    assert asked.local_key not in {m.record.key for m in _members(granted, "harbor", SECOND)}
    assert kit.freeze_of(granted, 2, "harbor").n == kit.freeze_of(granted, 1, "harbor").n - 1
    kit.assert_sound(granted)
    paid = kit.claim_all(granted)  # a signed price is paid, whoever withdrew later
    assert paid == 3 * 26
    kit.assert_sound(granted)


def test_anyone_reaches_the_same_verdict(over: World) -> None:
    verdicts = {
        replay(over.party(name), over.study, level=Level.KEYLESS).to_bytes()
        for name in ("relayer", "north", "center", "auditor")
    }
    assert len(verdicts) == 1


def test_a_frozen_cohort_stays_as_it_is(granted: World) -> None:
    open_round(granted.center, granted.study)
    one = freeze(granted.node("north"), granted.study, FIRST)
    asked = next(p for p in granted.patients if p.will == "grants" and p.hospital == "north")
    kit.revoke(granted, asked)
    assert freeze(granted.node("north"), granted.study, FIRST) == one
