"""A center and a hospital go on from chain, store and keys alone, as on another machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.types import RoundNumber
from federated.center import run as center_run
from federated.errors import StepError
from federated.hospital import Policy, approve, freeze, submit, train
from federated.hospital import run as hospital_run
from federated.hospital.answer import answer_demands
from federated.hospital.report import reported
from federated.reported import results_of
from tests.e2e import kit
from tests.e2e.conftest import Studies
from tests.e2e.kit import HOSPITALS, World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND = RoundNumber(1), RoundNumber(2)


def _quiet(_: str) -> None:
    return


def _center(world: World) -> None:
    center_run.advance(world.center, world.study, _quiet)


def _hospitals(world: World) -> None:
    for name in HOSPITALS:
        hospital_run.advance(world.node(name), world.study, _quiet)


def _lose(world: World, name: str) -> None:
    """All that a party keeps beside its keys, and a hospital's records and consents.

    That a hospital's people approved the study was in its journal: they do so again.
    """
    world.forget()
    home = world.folder / name
    shutil.rmtree(home / "journal")
    for path in home.glob("outbox.sqlite*"):
        path.unlink()
    if name == "center":
        shutil.rmtree(home)
    else:
        approve(world.node(name), world.study, Policy(least_cohort=5))


@pytest.fixture
def states(studies: Studies, tmp_path: Path) -> Iterator[list[bytes]]:
    """The models of the same study when nothing is lost."""
    with studies.finished.start(tmp_path / "undisturbed") as world:
        yield [kit.state_of(world, number) for number in (1, 2)]


def test_a_center_that_loses_all_but_its_keys_between_any_two_looks_goes_on(
    granted: World, states: list[bytes]
) -> None:
    for _ in range(2):
        _lose_and(granted, _center)  # opens
        _hospitals(granted)
        _lose_and(granted, _center)  # finalizes
    assert [kit.state_of(granted, number) for number in (1, 2)] == states
    _hospitals(granted)
    kit.assert_sound(granted)


def _lose_and(world: World, step: object) -> None:
    _lose(world, "center")
    step(world)  # type: ignore[operator]


@pytest.mark.parametrize("after", ["freeze", "train", "submit"])
def test_a_hospital_that_loses_its_journal_in_mid_round_sends_the_same_update(
    granted: World, states: list[bytes], after: str
) -> None:
    _center(granted)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    for step in (freeze, train, submit):
        step(granted.node("valley"), granted.study, FIRST)
        if step.__name__ == after:
            break
    root = kit.freeze_of(granted, 1, "valley").root
    _lose(granted, "valley")
    hospital_run.advance(granted.node("valley"), granted.study, _quiet)
    assert kit.freeze_of(granted, 1, "valley").root == root
    _center(granted)
    for _ in range(2):
        _center(granted)
        _hospitals(granted)
    _center(granted)
    assert [kit.state_of(granted, number) for number in (1, 2)] == states
    kit.assert_sound(granted)


def test_a_hospital_without_its_journal_answers_demands_and_repeats_no_results(
    granted: World,
) -> None:
    _center(granted)
    _hospitals(granted)
    _center(granted)
    _hospitals(granted)
    before = results_of(granted.center, granted.read(), FIRST, granted.center.head())
    auditor = granted.auditor.chain
    commitment = kit.freeze_of(granted, 1, "valley")
    auditor.client.send(auditor.challenges.demand(commitment, commitment.n - 1))
    _lose(granted, "valley")
    assert answer_demands(granted.node("valley"), granted.study) == 1
    _center(granted)
    _hospitals(granted)
    _center(granted)
    _hospitals(granted)
    after = results_of(granted.center, granted.read(), FIRST, granted.center.head())
    assert before == after
    kit.assert_sound(granted)


def test_a_hospital_without_journal_and_list_says_what_is_missing(granted: World) -> None:
    _center(granted)
    freeze(granted.node("valley"), granted.study, FIRST)
    _lose(granted, "valley")
    node = granted.node("valley")
    asked = node.consents.of_study(granted.study)[0].patient
    assert node.consents.forget(asked) == 1
    with pytest.raises(StepError, match="restore them") as caught:
        train(node, granted.study, FIRST)
    assert asked not in str(caught.value)


def test_a_hospital_that_forgot_whom_it_told_of_tells_no_more(contributing: World) -> None:
    """A table of other people would give the few between it and an earlier one to a reader."""
    world = contributing
    kit.report_all(world, FIRST)
    _center(world)
    _hospitals(world)
    first = results_of(world.center, world.read(), FIRST, world.center.head())
    assert not any(item.suppressed for item in first)
    _lose(world, "valley")
    for _ in range(3):
        _hospitals(world)
        _center(world)
    told = {name: reported(world.node(name), world.study, SECOND) for name in HOSPITALS}
    assert {name for name, report in told.items() if report and not report.evaluations} == {
        "valley"
    }
    _hospitals(world)
    assert results_of(world.center, world.read(), FIRST, world.center.head()) == first
    second = results_of(world.center, world.read(), SECOND, world.center.head())
    mine = [item.suppressed for item in second if item.hospital == world.index("valley")]
    assert mine == [True]
    kit.assert_sound(world)


def test_an_old_copy_of_a_journal_that_lacks_a_freeze_tells_no_more(
    contributing: World, tmp_path: Path
) -> None:
    """It knows what left before it was taken, and not what left since."""
    world = contributing
    kit.report_all(world, FIRST)
    _center(world)
    _hospitals(world)
    journal = world.folder / "valley" / "journal"
    world.forget()
    shutil.copytree(journal, tmp_path / "old")
    _center(world)
    freeze(world.node("valley"), world.study, SECOND)
    world.forget()
    shutil.rmtree(journal)
    shutil.copytree(tmp_path / "old", journal)
    for _ in range(3):
        _hospitals(world)
        _center(world)
    told = {name: reported(world.node(name), world.study, SECOND) for name in HOSPITALS}
    assert {name for name, report in told.items() if report and not report.evaluations} == {
        "valley"
    }
    kit.assert_sound(world)
