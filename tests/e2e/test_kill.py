"""Actors and the chain killed by `kill -9` at every step: the same model, each effect once."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chain.anvil import Anvil
from chain.types import RoundNumber
from federated.candidates import topic_of_candidates
from federated.center import aggregate, finalize, open_round, propose
from federated.relayer import relay
from federated.signed_report import listed_reports, report_topic
from tests.e2e import kit
from tests.e2e.conftest import Studies
from tests.e2e.kit import World

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.processes]

FIRST, SECOND = RoundNumber(1), RoundNumber(2)
ROOT = Path(__file__).resolve().parents[2]

HOSPITAL_POINTS = (
    "written:freeze",
    "signed:freeze",
    "sent:freeze",
    "unwritten:sealed",
    "written:sealed",
    "signed:submit",
    "sent:submit",
)
REPORT_POINTS = ("unwritten:report", "written:report")
PROPOSE_POINTS = ("unwritten:candidates", "written:candidates")
CENTER_POINTS = ("unwritten:aggregate", "written:aggregate", "signed:finalize", "sent:finalize")


def _hand_over(world: World) -> None:
    """What the actors' processes need to know; the world's own parties let go of their files."""
    world.forget()
    keys = {
        name: {
            "account": item.account.hex(),
            "signing": item.signing.seed.hex(),
            "identity": item.identity.seed.hex(),
            "profile": item.identity.profile.value,
        }
        for name, item in world.keys.items()
    }
    shown = {"url": world.anvil.url, "study": world.study, "keys": keys}
    shown["deployment"] = world.deployment.to_json()
    (world.folder / "actors.json").write_text(json.dumps(shown))


def _run(world: World, name: str, number: RoundNumber, point: str = "none") -> int:
    command = [sys.executable, "-m", "tests.e2e.actor", str(world.folder), name, str(number), point]
    return subprocess.run(command, cwd=ROOT, timeout=120, check=False).returncode


def _killed_at(world: World, name: str, number: RoundNumber, points: Sequence[str]) -> None:
    """Kill the actor at each point in turn, starting it again each time, then let it finish."""
    _hand_over(world)
    for point in points:
        assert _run(world, name, number, point) == -signal.SIGKILL, point
    assert _run(world, name, number) == 0


def _undisturbed(studies: Studies, tmp_path: Path, number: int) -> bytes:
    with studies.finished.start(tmp_path / "undisturbed") as world:
        return kit.state_of(world, number)


def _assert_each_once(world: World, number: RoundNumber) -> None:
    rounds, block = world.center.chain.rounds, world.center.head()
    assert len(rounds.freezes(world.study, number, to_block=block)) == 3
    assert len(rounds.submissions(world.study, number, to_block=block)) == 3
    for event in "RoundOpened", "Frozen", "Submitted", "Finalized":
        found: list[object] = rounds._find(rounds.events[event], rounds.born, block, round=number)
        assert len(found) == (3 if event in ("Frozen", "Submitted") else 1), event


def test_a_hospital_killed_at_every_step_gives_the_same_model(
    studies: Studies, granted: World, tmp_path: Path
) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    _killed_at(granted, "valley", FIRST, HOSPITAL_POINTS)
    finalize(granted.center, granted.study, FIRST)
    assert kit.state_of(granted, 1) == _undisturbed(studies, tmp_path, 1)
    _assert_each_once(granted, FIRST)
    kit.assert_sound(granted)


def test_a_center_killed_at_every_step_finalizes_the_same_model(
    studies: Studies, submitted: World, tmp_path: Path
) -> None:
    _killed_at(submitted, "center", SECOND, CENTER_POINTS)
    assert kit.state_of(submitted, 2) == _undisturbed(studies, tmp_path, 2)
    _assert_each_once(submitted, SECOND)
    kit.assert_sound(submitted)


def test_candidates_and_reports_survive_a_kill_at_every_step(contributing: World) -> None:
    world = contributing
    _killed_at(world, "center/propose", FIRST, PROPOSE_POINTS)
    candidates = propose(world.center, world.study, FIRST)
    assert candidates is not None
    topic = topic_of_candidates(world.center, world.study, FIRST)
    assert len(world.center.store.announced(topic)) == 1
    for name in kit.HOSPITALS:
        _killed_at(world, f"{name}/report", FIRST, REPORT_POINTS)
    assert len(world.center.store.announced(report_topic(candidates.context))) == 3
    _killed_at(world, "center", FIRST, CENTER_POINTS)
    assert kit.state_of(world, FIRST) == candidates.states[None]
    assert len(listed_reports(world.center, world.read(), world.center.head())) == 3
    _assert_each_once(world, FIRST)
    kit.assert_sound(world)


def test_a_center_that_lost_its_candidates_proposes_the_same_models(contributing: World) -> None:
    world = contributing
    kit.report_all(world, FIRST)
    first = propose(world.center, world.study, FIRST)
    world.forget()
    shutil.rmtree(world.folder / "center")
    again = propose(world.center, world.study, FIRST)
    assert first is not None
    assert again is not None
    assert (again.context, again.states) == (first.context, first.states)
    assert again.models != first.models
    finalize(world.center, world.study, FIRST)  # on the reports that are there
    assert len(listed_reports(world.center, world.read(), world.center.head())) == 3
    kit.assert_sound(world)


def test_a_centers_state_lost_before_finalize_changes_nothing_but_cids(
    studies: Studies, submitted: World, tmp_path: Path
) -> None:
    sealed = aggregate(submitted.center, submitted.study, SECOND)
    submitted.forget()
    shutil.rmtree(submitted.folder / "center")
    finalize(submitted.center, submitted.study, SECOND)
    assert kit.state_of(submitted, 2) == sealed.state == _undisturbed(studies, tmp_path, 2)
    assert kit.round_at(submitted, 2).manifest != sealed.manifest
    kit.assert_sound(submitted)

    submitted.forget()
    shutil.rmtree(submitted.folder / "center")  # once more, and asked again
    again = finalize(submitted.center, submitted.study, SECOND)
    assert again.manifest == kit.round_at(submitted, 2).manifest


@pytest.mark.parametrize("lost", ["nothing", "freezes", "the opening"])
def test_anvil_killed_in_mid_round_loses_no_effect_and_doubles_none(
    studies: Studies, granted: World, tmp_path: Path, lost: str
) -> None:
    """The chain goes on from its last state, or from an older one: nothing but time is lost."""
    world = granted
    state = world.folder / "chain.json.gz"
    before_opening = tmp_path / "before.json.gz"
    shutil.copy(state, before_opening)
    open_round(world.center, world.study)
    if lost == "freezes":
        kit.save(world, tmp_path / "opened")
    kit.freeze_and_submit(world, FIRST, ["north", "harbor"])
    kit.freeze_and_submit(world, FIRST, ["valley"])
    aggregate(world.center, world.study, FIRST)  # of freezes that the chain may forget
    if lost == "nothing":
        kit.dump(world, state)
    world.anvil.kill()
    world.forget()
    if lost == "freezes":
        shutil.copy(tmp_path / "opened" / "chain.json.gz", state)
    if lost == "the opening":
        shutil.copy(before_opening, state)

    world.anvil.stop()
    with Anvil(state) as world.anvil:
        assert open_round(world.center, world.study) == FIRST
        kit.freeze_and_submit(world, FIRST)
        finalize(world.center, world.study, FIRST)
        assert kit.state_of(world, 1) == _undisturbed(studies, tmp_path, 1)
        _assert_each_once(world, FIRST)
        kit.assert_sound(world)
        world.forget()


def test_grants_that_anvil_forgot_are_sent_again(granted: World, tmp_path: Path) -> None:
    state, older = granted.folder / "chain.json.gz", tmp_path / "older.json.gz"
    kit.dump(granted, older)
    asked = next(patient for patient in granted.patients if patient.will == "grants")
    kit.revoke(granted, asked)
    granted.anvil.kill()
    granted.forget()
    granted.anvil.stop()
    shutil.copy(older, state)
    with Anvil(state) as granted.anvil:
        consent, chain = granted.consent_of(asked), granted.relayer.chain
        block = granted.relayer.head()
        assert not chain.consents.consent(consent, block_identifier=block).revoked
        relay(granted.relayer)
        slot = chain.consents.consent(consent, block_identifier=granted.relayer.head())
        assert slot.revoked
        granted.forget()
