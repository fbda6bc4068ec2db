"""Studies at several points of their lives, built once and started from a copy by each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from federated.center import finalize
from federated.spec import Split
from federated.studies import wisconsin_spec
from storage.private_swarm import PrivateSwarm
from tests.e2e import kit
from tests.e2e.kit import Saved, World
from tests.e2e.stores import NODES, OneFolder, Stores, Swarm

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Studies:
    """`granted`: consents given, no round yet. `submitted`: the second round has all submissions.
    `finished`: both rounds finalized, all paid patients paid."""

    granted: Saved
    submitted: Saved
    finished: Saved


class Preparing:
    """Prepares each kind of study once for each backend, when a test first asks for it."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._folders: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        self._studies: dict[str, Studies] = {}
        self._contributions: dict[str, Saved] = {}

    def studies(self, backend: str) -> Studies:
        if backend not in self._studies:
            folder = self._folders.mktemp("study")
            self._studies[backend] = _prepare_studies(folder, self._stores(folder, backend))
        return self._studies[backend]

    def contributions(self, backend: str) -> Saved:
        if backend not in self._contributions:
            folder = self._folders.mktemp("contributions")
            saved = _prepare_contributions(folder, self._stores(folder, backend))
            self._contributions[backend] = saved
        return self._contributions[backend]

    def _stores(self, folder: Path, backend: str) -> Stores:
        if backend == "embedded":
            return OneFolder(folder / "world")
        return Swarm(self._request.getfixturevalue("swarm"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which test prepares a study is chance, and a busy machine takes minutes for it."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSwarm]:
    """Real nodes under one key, shared by the tests of one process."""
    with PrivateSwarm(tmp_path_factory.mktemp("swarm"), NODES) as running:
        yield running


@pytest.fixture(scope="session")
def preparing(request: pytest.FixtureRequest) -> Preparing:
    return Preparing(request)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """Where blocks are kept: a folder, unless the test says otherwise."""
    return str(getattr(request, "param", "embedded"))


@pytest.fixture(scope="session")
def studies(preparing: Preparing) -> Studies:
    """Over a folder."""
    return preparing.studies("embedded")


@pytest.fixture
def granted(preparing: Preparing, backend: str, tmp_path: Path) -> Iterator[World]:
    with preparing.studies(backend).granted.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def submitted(preparing: Preparing, backend: str, tmp_path: Path) -> Iterator[World]:
    with preparing.studies(backend).submitted.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def finished(preparing: Preparing, backend: str, tmp_path: Path) -> Iterator[World]:
    with preparing.studies(backend).finished.start(tmp_path / "world") as world:
        yield world


@pytest.fixture
def contributing(preparing: Preparing, backend: str, tmp_path: Path) -> Iterator[World]:
    with preparing.contributions(backend).start(tmp_path / "world") as world:
        yield world


def _prepare_studies(folder: Path, stores: Stores) -> Studies:
    world = kit.build_world(folder / "world", stores)
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


def _prepare_contributions(folder: Path, stores: Stores) -> Saved:
    """One round of a study with the leave-one-out rule, submitted."""
    world = kit.build_world(folder / "world", stores)
    with world.anvil:
        _ask(world, "leave-one-out")
        kit.run_round(world, finalized=False)
        saved = kit.save(world, folder / "submitted")
        world.forget()
    return saved


def _ask(world: World, rule: str) -> None:
    reward = replace(wisconsin_spec().reward, rule=rule)
    spec, patients = kit.study_spec(world, reward=reward), kit.PATIENTS
    if rule != "count":  # enough of both classes to report on
        spec, patients = replace(spec, split=Split(validation=0.4, test=0.1)), 2 * kit.PATIENTS
    kit.enrol_all(world, spec, patients)
    kit.open_tiers(world)
    kit.ask_all(world)
