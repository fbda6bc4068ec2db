"""A hospital's model after a study: the right one or none, and never a patient who withdrew."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from chain.consent_types import Reason
from chain.types import RoundNumber
from federated import provenance
from federated.bedside.choose import Choice, Kind
from federated.center import finalize
from federated.errors import RecordError, StepError
from federated.hospital import HospitalNode, publish_results
from federated.hospital.admission import withdraw
from federated.hospital.bedside import Bedside, open_bedside
from federated.hospital.members import current_members
from federated.hospital.personal import path_of, read_personal, write_personal
from federated.hospital.personalise import personalise
from federated.hospital.predict import predict
from federated.state import GlobalState, encode_state, state_digest
from records.case import Case
from records.splits import Part
from storage.errors import CorruptPayload
from storage.keys import Identity
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

Patch = pytest.MonkeyPatch
LAST = RoundNumber(2)
center = importlib.import_module("federated.center.aggregate")  # the function hides the module
personalising = importlib.import_module("federated.hospital.personalise")


@pytest.fixture
def north(finished: World) -> HospitalNode:
    return finished.node("north")


@pytest.fixture
def home(finished: World) -> Path:
    return finished.folder / "north" / "personal"


def _case_of(bedside: Bedside, place: int = 0) -> Case:
    return Case(bedside.members[place].record.values)


def _keep(kind: Kind, monkeypatch: Patch) -> None:
    """As if that kind had been better: so few patients cannot judge."""
    monkeypatch.setattr(
        personalising, "choose", lambda _, patients, **__: Choice(kind, (), patients, "it was")
    )


def test_another_model_than_the_one_on_chain_is_refused_whatever_asks_for_it(
    submitted: World, monkeypatch: Patch
) -> None:
    """The center finalizes one model and seals another to the hospitals."""

    def swapped(spec: Any, state: GlobalState) -> tuple[bytes, bytes]:
        parameters = {name: array + np.float32(0.5) for name, array in state.parameters.items()}
        return encode_state(spec, replace(state, parameters=parameters)), state_digest(spec, state)

    monkeypatch.setattr(center, "encoded_state", swapped)
    finalize(submitted.center, submitted.study, LAST)
    node, folder = submitted.node("north"), submitted.folder / "personal"
    steps = (
        lambda: open_bedside(node, submitted.study, folder),
        lambda: personalise(node, submitted.study, folder),
        lambda: publish_results(node, submitted.study, LAST, Part.TEST),
    )
    for step in steps:
        with pytest.raises(RecordError, match="not the one that was finalized on-chain; refuse it"):
            step()
    assert not folder.exists()


def test_a_study_that_goes_on_is_not_personalised_and_answers_by_its_newest_model(
    submitted: World,
) -> None:
    node, folder = submitted.node("north"), submitted.folder / "personal"
    with pytest.raises(StepError, match="study 1 goes on"):
        personalise(node, submitted.study, folder)
    bedside = open_bedside(node, submitted.study, folder)
    assert bedside.provenance.round_number == 1
    assert bedside.provenance.state == kit.state_of(submitted, 1)


def test_without_a_finalized_round_there_is_no_model(granted: World) -> None:
    with pytest.raises(StepError, match="no finalized round yet"):
        open_bedside(granted.node("north"), granted.study, granted.folder / "personal")


def test_only_patients_who_consent_now_are_there(finished: World, north: HospitalNode) -> None:
    wills = {x.local_key: x.will for x in finished.patients if x.hospital == "north"}
    members = current_members(north, finished.read(), finished.center.head())
    expected = {key for key, will in wills.items() if will in ("grants", "expires")}
    assert {member.record.key for member in members} == expected
    finished.clock.advance(kit.SHORT_S + 100)
    members = current_members(north, finished.read(), finished.center.head())
    assert {m.record.key for m in members} == {k for k in expected if wills[k] == "grants"}


def test_the_same_patients_give_the_same_model_in_a_file_that_no_one_else_opens(
    finished: World, north: HospitalNode, home: Path, monkeypatch: Patch
) -> None:
    _keep(Kind.TUNED, monkeypatch)
    first = personalise(north, finished.study, home)
    path = path_of(home, finished.study)
    sealed = path.read_bytes()
    again = personalise(north, finished.study, home)
    assert all((first.parameters[k] == again.parameters[k]).all() for k in first.parameters)
    assert path.read_bytes() != sealed
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.state == kit.state_of(finished, 2)
    assert first.round_number == 2
    study = finished.read()
    kept = read_personal(home, north.party, study)
    assert kept is not None
    assert kept.trained == first.trained
    assert all((kept.parameters[k] == first.parameters[k]).all() for k in first.parameters)
    stranger = replace(north.party, identity=Identity.generate())
    with pytest.raises(CorruptPayload):
        read_personal(home, stranger, study)


def test_the_personal_model_answers_and_names_where_it_comes_from(
    finished: World, north: HospitalNode, home: Path, monkeypatch: Patch
) -> None:
    before = open_bedside(north, finished.study, home)
    assert (before.kept, before.personal, before.warning) == (Kind.GLOBAL, None, "")
    _keep(Kind.OWN, monkeypatch)
    own = personalise(north, finished.study, home)
    bedside = open_bedside(north, finished.study, home)
    assert (bedside.kept, bedside.warning) == (Kind.OWN, "")
    case = _case_of(bedside)
    mine, common = predict(bedside, [case])[0], predict(before, [case])[0]
    assert mine.score != common.score
    assert (mine.common, common.common) == (common.score, None)
    assert bedside.provenance.included == tuple(finished.read().hospitals)
    assert bedside.provenance.voided == ()
    assert bedside.personal is not None
    assert set(own.trained) <= {member.consent for member in bedside.members}


def test_a_withdrawal_ends_the_personal_model_and_the_patient_is_no_similar_case(
    finished: World, north: HospitalNode, home: Path, monkeypatch: Patch
) -> None:
    _keep(Kind.TUNED, monkeypatch)
    personalise(north, finished.study, home)
    bedside = open_bedside(north, finished.study, home)
    place = next(i for i, m in enumerate(bedside.members) if m.part is Part.TRAIN)
    gone, case = bedside.members[place], _case_of(bedside, place)
    assert predict(bedside, [case])[0].similar[0].key == gone.record.key
    assert withdraw(north, gone.record.key, Reason.PAPER) == 1
    after = open_bedside(north, finished.study, home)
    assert "saw a patient who has withdrawn since" in after.warning
    assert "personalise 1" in after.warning
    assert after.kept is Kind.GLOBAL
    assert gone.record.key not in {m.record.key for m in after.members}
    assert gone.record.key not in {n.key for n in predict(after, [case])[0].similar}
    assert len(after.inputs) == len(bedside.inputs) - 1
    anew = personalise(north, finished.study, home)
    assert gone.consent not in (*anew.trained, *anew.validated)
    assert open_bedside(north, finished.study, home).warning == ""


def test_the_own_record_of_a_case_that_names_its_patient_is_not_similar_to_it(
    finished: World, north: HospitalNode, home: Path
) -> None:
    bedside = open_bedside(north, finished.study, home)
    own = bedside.members[0].record
    named = predict(bedside, [Case(own.values, key=own.key)])[0]
    assert own.key not in {other.key for other in named.similar}
    assert len(named.similar) == 3


def test_a_personal_model_of_another_state_is_not_used(
    finished: World, north: HospitalNode, home: Path, monkeypatch: Patch
) -> None:
    _keep(Kind.TUNED, monkeypatch)
    personal = personalise(north, finished.study, home)
    older = replace(personal, round_number=1, state=kit.state_of(finished, 1))
    write_personal(home, north.party, finished.read(), older)
    bedside = open_bedside(north, finished.study, home)
    assert bedside.kept is Kind.GLOBAL
    assert "began from round 1's model" in bedside.warning


def test_a_hospital_that_does_not_take_part_has_no_model(finished: World, home: Path) -> None:
    stranger = HospitalNode(finished.auditor, *_tables(finished))
    with pytest.raises(StepError, match="is not enrolled"):
        open_bedside(stranger, finished.study, home)


def _tables(world: World) -> tuple[Any, Any]:
    node = world.node("north")
    return node.records, node.consents


def test_a_model_is_contaminated_by_a_void_of_any_round_that_it_descends_from() -> None:
    def round_(parent: int, contaminated: bool = False) -> SimpleNamespace:
        return SimpleNamespace(parent=parent, contaminated=contaminated)

    known = cast(Any, {1: round_(0), 2: round_(1, True), 3: round_(2), 4: round_(1), 5: round_(4)})
    assert provenance._voided(known, 3) == (2,)
    assert provenance._voided(known, 5) == ()
