"""A search for settings as a part of a study: run by the actors, and what would bend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.types import RoundNumber
from federated.center import run as center_run
from federated.chosen import chosen, reports_of_search
from federated.hospital import run as hospital_run
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_members
from federated.search import tallies
from federated.simulate import simulate
from federated.spec import Search, Split, StudySpec, Tried
from federated.state import state_digest
from federated.training import Records
from records.splits import Part
from tests.e2e import kit
from tests.e2e.kit import HOSPITALS, Saved, World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND, THIRD = RoundNumber(1), RoundNumber(2), RoundNumber(3)
CANDIDATES = (Tried(learning_rate=0.0001), Tried(learning_rate=0.3, epochs=2))


def _spec(world: World, **changes: Any) -> StudySpec:
    """Two candidates of a round each, two rounds after them."""
    split = Split(validation=0.4, test=0.1)
    search = Search(rounds=1, candidates=CANDIDATES)
    return kit.study_spec(world, **{"rounds": 4, "split": split, "search": search, **changes})


def _prepare(folder: Path, **changes: Any) -> Saved:
    world = kit.build_world(folder / "world")
    with world.anvil:
        kit.enrol_all(world, _spec(world, **changes), 2 * kit.PATIENTS)
        kit.open_tiers(world)
        kit.ask_all(world)
        saved = kit.save(world, folder / "saved")
        world.forget()
    return saved


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return _prepare(tmp_path_factory.mktemp("search"))


@pytest.fixture
def searching(prepared: Saved, tmp_path: Path) -> Iterator[World]:
    with prepared.start(tmp_path / "world") as world:
        yield world


def _quiet(_: str) -> None:
    return


def _run(world: World, rounds: int) -> None:
    """What the actors do by themselves until so many rounds are finalized; no clock is moved."""
    for _ in range(12 * rounds):
        block, chain = world.center.head(), world.center.chain.rounds
        count = chain.count(world.study, block_identifier=block)
        if count >= rounds and kit.round_at(world, rounds).finalized:
            return
        center_run.advance(world.center, world.study, _quiet)
        for name in HOSPITALS:
            hospital_run.advance(world.node(name), world.study, _quiet)
    raise AssertionError(f"round {rounds} is not finalized")


def _records(world: World, name: str, number: int, part: Part) -> Records:
    members = frozen_members(world.node(name), world.read(), RoundNumber(number))
    return arrays([m for m in members if m.part is part], world.read().spec)


def _simulated(world: World, rounds: int) -> list[bytes]:
    spec, places = world.read().spec, range(1, rounds + 1)
    by_part = [
        [{n: _records(world, n, place, part) for n in HOSPITALS} for place in places]
        for part in (Part.TRAIN, Part.VALIDATION)
    ]
    states = simulate(spec, by_part[0], validation=by_part[1])
    return [bytes(state_digest(spec, state)) for state in states[1:]]


def _parents(world: World, rounds: int) -> list[int]:
    return [kit.round_at(world, number).parent for number in range(1, rounds + 1)]


def test_a_study_tries_settings_and_goes_on_with_the_best(searching: World) -> None:
    world = searching
    _run(world, 4)
    study, block = world.read(), world.auditor.head()
    reports = reports_of_search(world.auditor, study, block)
    assert [len(found) for found in reports] == [3, 3]
    assert study.spec.search is not None
    slow, fast = tallies(study.spec.search, reports)
    assert slow.mean is not None and fast.mean is not None and fast.mean < slow.mean
    assert chosen(world.auditor, study, THIRD, block) == 1
    assert _parents(world, 4) == [0, 0, 2, 3]
    assert [kit.state_of(world, number) for number in range(1, 5)] == _simulated(world, 4)
    kit.assert_sound(world)
    names = {check.name for check in world.audit().checks}
    assert {"search", "report", "reports-awaited", "aggregate"} <= names
