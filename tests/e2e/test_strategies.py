"""Studies whose strategy is not FedAvg, over a real chain: replayed bit for bit, or found out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.types import RoundNumber
from federated.aggregate import WeightedSum
from federated.auditor import Level
from federated.center import finalize
from federated.grid import Grid
from federated.models import parameter_schema
from federated.published import open_state
from federated.schema import Parameters
from federated.spec import Choice, StudySpec
from federated.state import GlobalState
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = [pytest.mark.engine("anvil"), pytest.mark.slow]

collecting = importlib.import_module("federated.center.inputs")
FEDADAM = Choice("fedadam", {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 0.001})
MEDIAN = Choice("median")


@pytest.fixture
def learning(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The first round is finalized, the second has all submissions."""
    world = kit.build_world(tmp_path / "world")
    with world.anvil:
        kit.enrol_all(world, kit.study_spec(world, strategy=request.param, min_hospitals=3))
        kit.open_tiers(world)
        kit.ask_all(world)
        kit.run_round(world)
        kit.run_round(world, finalized=False)
        yield world
        world.forget()


def _state(world: World, number: int) -> GlobalState:
    center = world.center
    return open_state(center, world.read(), RoundNumber(number), center.head())


@pytest.mark.parametrize("learning", [FEDADAM, MEDIAN], indirect=True, ids=lambda c: c.name)
def test_a_study_is_replayed_and_its_plain_mean_is_found(
    learning: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round 1 is honest. In round 2 the center adds the plain mean, whatever the study says."""
    kit.assert_sound(learning)
    strategy = learning.read().spec.strategy.name
    assert set(_state(learning, 1).server) == ({"m", "v"} if strategy == "fedadam" else set())
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
        lambda spec, _: WeightedSum(parameter_schema(spec), Grid.of(spec.grid)),
    )
    monkeypatch.setattr(center, "next_state", plain)
