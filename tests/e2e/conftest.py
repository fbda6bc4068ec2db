"""Studies at several points of their lives, built once and started from a copy by each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from federated.center import finalize
from federated.spec import Split
from federated.studies import wisconsin_spec
from tests.e2e import kit
from tests.e2e.kit import Saved, World


@dataclass(frozen=True, slots=True)
class Studies:
    """`granted`: consents given, no round yet. `submitted`: the second round has all submissions.
    `finished`: both rounds finalized, all paid patients paid."""

    granted: Saved
    submitted: Saved
    finished: Saved


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    folder = tmp_path_factory.mktemp("study")
    world = kit.build_world(folder / "world")
    with world.anvil:
        _ask(world, "count")
        granted = kit.save(world, folder / "granted")
        kit.run_round(world)
        number = kit.run_round(world, finalized=False)
        submitted = kit.save(world, folder / "submitted")
        finalize(world.center, world.study, number)
        kit.claim_all(world)
        finished = kit.save(world, folder / "finished")
        world.forget()
    return Studies(granted, submitted, finished)


@pytest.fixture(scope="session")
def contributions(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """One round of a study with the leave-one-out rule, submitted."""
    folder = tmp_path_factory.mktemp("contributions")
    world = kit.build_world(folder / "world")
    with world.anvil:
        _ask(world, "leave-one-out")
        kit.run_round(world, finalized=False)
        saved = kit.save(world, folder / "submitted")
        world.forget()
    return saved


@pytest.fixture
def granted(studies: Studies, tmp_path: Path) -> Iterator[World]:
    with studies.granted.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def submitted(studies: Studies, tmp_path: Path) -> Iterator[World]:
    with studies.submitted.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def finished(studies: Studies, tmp_path: Path) -> Iterator[World]:
    with studies.finished.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def contributing(contributions: Saved, tmp_path: Path) -> Iterator[World]:
    with contributions.start(tmp_path / "world") as world:
        yield world


def _ask(world: World, rule: str) -> None:
    reward = replace(wisconsin_spec().reward, rule=rule)
    spec, patients = kit.study_spec(world, reward=reward), kit.PATIENTS
    if rule != "count":  # enough of both classes to report on
        spec, patients = replace(spec, split=Split(validation=0.4, test=0.1)), 2 * kit.PATIENTS
    kit.enrol_all(world, spec, patients)
    kit.open_tiers(world)
    kit.ask_all(world)
