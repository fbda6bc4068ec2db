"""Every registered strategy: a small study, a hospital that lies, and what it is refused with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federated.errors import SpecError
from federated.networks import probabilities
from federated.rules import check_spec
from federated.schema import Array
from federated.simulate import Records, simulate
from federated.spec import Choice, GridTerms, StudySpec, Training
from federated.state import GlobalState, decode_state, encode_state, state_digest
from federated.strategies import STRATEGIES, RobustRule
from federated.strategies.table import render_table

SERVER = {"learning_rate": 0.2, "beta1": 0.9, "tau": 0.001}
CHOICES = [
    Choice("fedavg"),
    Choice("fedprox", {"mu": 0.1}),
    Choice("ditto", {"lambda": 0.5}),
    Choice("fedbn"),
    Choice("scaffold", {"learning_rate": 1.0}),
    Choice("fedadam", SERVER | {"beta2": 0.99}),
    Choice("fedyogi", SERVER | {"beta2": 0.99}),
    Choice("fedadagrad", SERVER | {"learning_rate": 1.0, "beta1": 0.0}),
    Choice("median"),
    Choice("trimmed-mean", {"trimmed": 0.2}),
    Choice("krum", {"f": 1}),
    Choice("multi-krum", {"f": 1, "m": 3}),
    Choice("geometric-median", {"iterations": 4, "smoothing": 1e-6}),
    Choice("norm-bounding", {"norm": "median"}),
    Choice("norm-bounding", {"norm": 0.5}),
]
ROBUST = [choice for choice in CHOICES if isinstance(STRATEGIES[choice.name], RobustRule)]
BY_NAME = {"ids": lambda choice: "-".join([choice.name, *map(str, choice.config.values())])}
ROUNDS = 5
NAMES = [f"hospital-{place}" for place in range(7)]


def people(count: int, seed: int) -> Records:
    """Two inputs that decide together, with some noise."""
    source = np.random.default_rng(seed)
    inputs = source.normal(size=(count, 2)).astype(np.float32)
    noisy = inputs @ np.array([2.0, -1.0]) + source.normal(scale=0.4, size=count)
    return inputs, (noisy > 0).astype(np.int64)


COHORTS = {name: people(40 + 5 * place, place) for place, name in enumerate(NAMES)}


def study(spec: StudySpec, strategy: Choice) -> StudySpec:
    """Seven hospitals, five rounds, a clip that leaves a liar room."""
    normalising = Choice("mlp", {"hidden": [8], "normalise": "layer"})
    changed = replace(
        spec,
        model=normalising if strategy.name == "fedbn" else spec.model,
        rounds=ROUNDS,
        min_hospitals=7,
        max_hospitals=7,
        strategy=strategy,
        grid=GridTerms(clip_norm=50.0, grid_bits=20, max_weight=100),
        training=Training(epochs=2, batch_size=16, learning_rate=0.3),
    )
    check_spec(changed)
    return changed


def accuracy(spec: StudySpec, state: GlobalState) -> float:
    inputs, labels = people(500, 99)
    return float(((probabilities(state.parameters, inputs, spec) > 0.5) == labels).mean())


def test_every_registered_strategy_is_tried_here() -> None:
    assert {choice.name for choice in CHOICES} == set(STRATEGIES)


@pytest.mark.parametrize("choice", CHOICES, **BY_NAME)
def test_a_study_learns_and_gives_the_same_bits_again(spec: StudySpec, choice: Choice) -> None:
    tried = study(spec, choice)
    states = simulate(tried, [COHORTS] * ROUNDS)
    assert accuracy(tried, states[-1]) > 0.9
    again = simulate(tried, [COHORTS] * ROUNDS)
    digests = [state_digest(tried, state) for state in states]
    assert digests == [state_digest(tried, state) for state in again]
    assert len(set(digests)) == len(digests)
    carried = decode_state(tried, encode_state(tried, states[-1]))
    assert state_digest(tried, carried) == digests[-1]
    assert set(carried.server) == set(STRATEGIES[choice.name].state)


def opposed(update: dict[str, Array]) -> dict[str, Array]:
    """Tenfold, in the opposite direction."""
    return {name: -10.0 * array for name, array in update.items()}


LIES = {"hospital-3": opposed}


def test_one_of_seven_that_lies_turns_the_plain_mean_round(spec: StudySpec) -> None:
    plain = study(spec, Choice("fedavg"))
    assert accuracy(plain, simulate(plain, [COHORTS] * ROUNDS, lies=LIES)[-1]) < 0.2


@pytest.mark.parametrize("choice", ROBUST, **BY_NAME)
def test_one_of_seven_that_lies_does_not_move_a_robust_rule(
    spec: StudySpec, choice: Choice
) -> None:
    tried = study(spec, choice)
    assert accuracy(tried, simulate(tried, [COHORTS] * ROUNDS, lies=LIES)[-1]) > 0.9


def masked(spec: StudySpec) -> StudySpec:
    phases = replace(spec.phases, unmask_s=60)
    terms = replace(spec.terms, end_by_s=spec.terms.end_by_s + 60)
    return replace(spec, mode="masked", threshold=4, phases=phases, terms=terms)


def by_leaving_out(spec: StudySpec) -> StudySpec:
    return replace(spec, reward=replace(spec.reward, rule="leave-one-out"))


@pytest.mark.parametrize("choice", CHOICES, **BY_NAME)
def test_a_study_opens_with_just_what_its_strategy_goes_with(
    spec: StudySpec, choice: Choice
) -> None:
    tried, strategy = study(spec, choice), STRATEGIES[choice.name]
    for key, changed, allowed in (
        ("mode", masked(tried), "masked" in strategy.modes),
        ("reward.rule", by_leaving_out(tried), "leave-one-out" in strategy.rewards),
    ):
        if allowed:
            check_spec(changed)
            continue
        with pytest.raises(SpecError, match=choice.name) as caught:
            check_spec(changed)
        assert caught.value.key == key
    assert (choice in ROBUST) == (strategy.modes == ("open",))
    assert (choice in ROBUST or choice.name == "fedbn") == (strategy.rewards == ("count",))


@pytest.mark.parametrize("choice", ROBUST, **BY_NAME)
def test_a_study_that_may_aggregate_too_few_for_its_rule_does_not_open(
    spec: StudySpec, choice: Choice
) -> None:
    tried, least = study(spec, choice), STRATEGIES[choice.name].least(choice.config)
    check_spec(replace(tried, min_hospitals=least))
    if least > 1:
        with pytest.raises(SpecError, match=f"{choice.name} needs at least {least}") as caught:
            check_spec(replace(tried, min_hospitals=least - 1))
        assert caught.value.key == "min_hospitals"


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("fedprox", "mu", {}),
    ("fedprox", "mu", {"mu": -0.1}),
    ("fedprox", "mu", {"mu": float("nan")}),
    ("fedprox", "mu", {"mu": True}),
    ("fedprox", "mu", {"mu": "0.1"}),
    ("fedprox", "nu", {"mu": 0.1, "nu": 1}),
    ("fedadam", "beta1", SERVER | {"beta2": 0.99, "beta1": 1.0}),
    ("fedadam", "beta2", SERVER),
    ("fedadagrad", "beta2", SERVER | {"beta2": 0.9}),
    ("fedyogi", "tau", SERVER | {"beta2": 0.9, "tau": 0}),
    ("fedyogi", "learning_rate", SERVER | {"beta2": 0.9, "learning_rate": 0}),
    ("trimmed-mean", "trimmed", {"trimmed": 0.5}),
    ("trimmed-mean", "trimmed", {"trimmed": 0}),
    ("krum", "f", {"f": 1.0}),
    ("krum", "m", {"f": 1, "m": 1}),
    ("multi-krum", "m", {"f": 1, "m": 0}),
    ("geometric-median", "iterations", {"iterations": 0, "smoothing": 1e-6}),
    ("geometric-median", "smoothing", {"iterations": 3, "smoothing": 0.0}),
    ("norm-bounding", "norm", {"norm": "mean"}),
    ("norm-bounding", "norm", {"norm": 0.0}),
]


@pytest.mark.parametrize(("name", "key", "config"), WRONG)
def test_a_wrong_setting_is_named(
    spec: StudySpec, name: str, key: str, config: dict[str, Any]
) -> None:
    with pytest.raises(SpecError) as caught:
        check_spec(replace(spec, strategy=Choice(name, config)))
    assert caught.value.key == f"strategy.config.{key}"


def test_the_documentation_has_the_table_that_the_code_prints() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
    assert render_table() in page
