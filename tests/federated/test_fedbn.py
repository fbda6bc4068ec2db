"""FedBN: layers that normalise stay at their hospital, and nothing of them is in an update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federated.errors import SpecError
from federated.evaluation.figures import compare_figures
from federated.evaluation.result import CENTRALISED, FEDERATED, POOLED
from federated.evaluation.sites import evaluate
from federated.metrics import scores
from federated.models import initial_parameters, parameter_schema, update_schema
from federated.networks import probabilities
from federated.rules import check_spec
from federated.schema import Array, Parameters
from federated.simulate import Site, compare, simulate, with_own_layers
from federated.spec import Choice, Feature, GridTerms, StudySpec, Training
from federated.state import state_digest
from federated.strategies import strategy_of
from federated.training import local_training
from federated.workers import Processes

START = {
    "dense0.bias": np.zeros(1, dtype=np.float32),
    "dense0.weight": np.array([[0.0, 1.0]], dtype=np.float32),
    "norm0.bias": np.zeros(1, dtype=np.float32),
    "norm0.gain": np.zeros(1, dtype=np.float32),
    "norm0.mean": np.zeros(1, dtype=np.float32),
    "norm0.variance": np.ones(1, dtype=np.float32),
    "out.bias": np.zeros(1, dtype=np.float32),
    "out.weight": np.ones((1, 1), dtype=np.float32),
}
SHARED = ["dense0.bias", "dense0.weight", "out.bias", "out.weight"]


@pytest.fixture
def study(spec: StudySpec) -> StudySpec:
    """One unit whose batches are brought to mean 0 and variance 1."""
    found = replace(
        spec,
        model=Choice("mlp", {"hidden": [1], "normalise": "batch"}),
        strategy=Choice("fedbn"),
        grid=GridTerms(clip_norm=2.0, grid_bits=24, max_weight=100),
        training=Training(epochs=1, batch_size=8, learning_rate=0.5),
    )
    check_spec(found)
    return found


def two(doses: tuple[float, float], labels: tuple[int, int]) -> tuple[Array, Array]:
    return np.array([[0.0, dose] for dose in doses], dtype=np.float32), np.array(labels)


COHORT = {"north": two((1.0, -1.0), (1, 0)), "harbor": two((3.0, -1.0), (0, 1))}


def test_two_hospitals_share_all_but_their_own_layers_as_on_paper(study: StudySpec) -> None:
    """Normalised, both hospitals' patients stand at 1 and −1, so the logits are 1 and 0."""
    kept: dict[str, dict[str, Array]] = {}
    states = simulate(study, [COHORT], start=START, kept=kept)
    # North: σ(1) = .731059, so half the errors are −.134471 and .25. The gradients are −.134471
    # for the weight, the gain and the layer's bias, .115529 for the last bias; a rate of 1/2.
    near = {"abs": 2e-5}  # normalising adds 10⁻⁵ to the variance
    north, harbor = kept["north"], kept["harbor"]
    assert north["norm0.gain"] == pytest.approx(0.067235, **near)
    assert north["norm0.bias"] == pytest.approx(0.067235, **near)
    # Doses 1 and −1 have mean 0 and, over n − 1, variance 2: a tenth of the way from 0 and 1.
    assert north["norm0.mean"] == pytest.approx(0.0)
    assert north["norm0.variance"] == pytest.approx(1.1)
    # Harbor: errors .365529 and −.25, doses 3 and −1 with mean 1 and variance 8.
    assert harbor["norm0.gain"] == pytest.approx(-0.182765, **near)
    assert harbor["norm0.bias"] == pytest.approx(-0.182765, **near)
    assert harbor["norm0.mean"] == pytest.approx(0.1)
    assert harbor["norm0.variance"] == pytest.approx(1.7)
    # Weight: 1 + (.067235 − .182765) / 2; bias: −.057765 from both.
    after = states[1].parameters
    assert after["out.weight"] == pytest.approx(0.942235, **near)
    assert after["out.bias"] == pytest.approx(-0.057765, **near)
    # Two values that are normalised stand at ±1 wherever they were: no gradient reaches dense0.
    assert after["dense0.weight"] == pytest.approx(np.array([[0.0, 1.0]]), **near)
    for name in set(START) - set(SHARED):
        assert (after[name] == START[name]).all()


def test_a_hospital_s_model_has_its_own_layers_and_others_have_neutral_ones(
    study: StudySpec,
) -> None:
    kept: dict[str, dict[str, Array]] = {}
    state = simulate(study, [COHORT], start=START, kept=kept)[1]
    dose = np.array([[0.0, 2.0]], dtype=np.float32)
    begins = strategy_of("fedbn").begins

    def odds(own: dict[str, Array] | None) -> float:
        chance = probabilities(begins(state.parameters, own), dose, study)[0]
        return float(np.log(chance / (1 - chance)))

    # 2 / √1.1 = 1.906925; · 1.067235 + .067235 = 2.102372; · .942235 − .057765 = 1.923164
    assert odds(kept["north"]) == pytest.approx(1.923164, abs=1e-4)
    # (2 − .1) / √1.7 = 1.457234; · .817235 − .182765 = 1.008137; · .942235 − .057765 = .892137
    assert odds(kept["harbor"]) == pytest.approx(0.892137, abs=1e-4)
    assert odds(None) == pytest.approx(2 * 0.942235 - 0.057765, abs=1e-4)


def test_the_next_round_goes_on_from_what_the_hospital_kept(study: StudySpec) -> None:
    kept: dict[str, dict[str, Array]] = {}
    state = simulate(study, [COHORT], start=START, kept=kept)[1]
    place = {"hospital": "north", "round_number": 2}
    again = local_training(state, COHORT["north"], study, own=kept["north"], **place)
    assert again.left["norm0.variance"] == pytest.approx(0.9 * 1.1 + 0.1 * 2)
    anew = local_training(state, COHORT["north"], study, **place)
    assert anew.left["norm0.variance"] == pytest.approx(1.1)
    assert len(again.steps) == update_schema(study).size == 5
    assert (again.steps != anew.steps).any()


def test_an_update_declares_no_tensor_of_a_layer_that_normalises(study: StudySpec) -> None:
    assert [tensor.name for tensor in update_schema(study).tensors] == SHARED
    assert set(initial_parameters(study)) == set(START)
    own = strategy_of("fedbn").own(parameter_schema(study))
    assert {tensor.name for tensor in own.tensors} == set(START) - set(SHARED)
    assert own.dtype == "F64"


@pytest.mark.parametrize("name", ["fedavg", "scaffold", "median"])
def test_running_statistics_are_refused_where_they_would_be_averaged(
    study: StudySpec, name: str
) -> None:
    config = {"learning_rate": 1.0} if name == "scaffold" else {}
    mixed = replace(study, strategy=Choice(name, config), min_hospitals=3)
    with pytest.raises(SpecError, match="mean nothing to another") as caught:
        check_spec(mixed)
    assert caught.value.key == "model.config.normalise"
    check_spec(replace(mixed, model=Choice("mlp", {"hidden": [1], "normalise": "layer"})))


def test_a_model_without_layers_that_normalise_is_refused(study: StudySpec) -> None:
    with pytest.raises(SpecError, match="this model has none") as caught:
        check_spec(replace(study, model=Choice("mlp", {"hidden": [1]})))
    assert caught.value.key == "strategy.name"


def test_hospitals_of_fedbn_are_paid_by_count_alone(study: StudySpec) -> None:
    judged = replace(study, reward=replace(study.reward, rule="leave-one-out"))
    with pytest.raises(SpecError, match="own layers, which nobody else has; use count") as caught:
        check_spec(judged)
    assert caught.value.key == "reward.rule"


def test_a_hospital_is_judged_with_its_own_layers_and_the_pool_with_neutral_ones(
    study: StudySpec,
) -> None:
    study = replace(study, model=Choice("mlp", {"hidden": [8], "normalise": "batch"}))
    order = np.random.Generator(np.random.Philox(key=8))
    sites = {}
    for place, name in enumerate(("north", "harbor")):
        labels = np.arange(24) % 2
        doses = order.normal(size=(24, 2)) + 5 * place + labels[:, np.newaxis]
        sites[name] = Site(*[(doses.astype(np.float32), labels)] * 3)
    kept: dict[str, Parameters] = {}
    cohort = {name: site.train for name, site in sites.items()}
    state = simulate(study, [cohort] * study.rounds, kept=kept)[-1]
    own = with_own_layers(study, state, kept)
    models = {FEDERATED: state.parameters, CENTRALISED: initial_parameters(study)}
    rows = {(row.model, row.test): row.scores for row in compare(study, sites, models, own)}
    shown = evaluate(study, sites, models, {0: state.parameters}, own)
    figures = {(x.model, x.test): x.figures for x in compare_figures(study, sites, models, own)}
    both = [np.concatenate([site.test[at] for site in sites.values()]) for at in (0, 1)]
    wanted = {(FEDERATED, name): (own[name], site.test) for name, site in sites.items()}
    wanted[FEDERATED, POOLED] = state.parameters, (both[0], both[1])
    wanted[CENTRALISED, "north"] = models[CENTRALISED], sites["north"].test
    for place, (used, (inputs, labels)) in wanted.items():
        expected = scores(labels, probabilities(used, inputs, study))
        assert rows[place] == shown.cell(*place) == expected
        assert figures[place]["auc"] == expected.auc
    inputs, labels = sites["harbor"].test
    neutral = scores(labels, probabilities(state.parameters, inputs, study))
    assert rows[FEDERATED, "harbor"] != neutral


def test_a_batch_of_one_patient_uses_the_running_tensors(study: StudySpec) -> None:
    single = replace(study, training=replace(study.training, batch_size=1, updates=3))
    records = two((1.0, -1.0), (1, 0))
    kept: dict[str, dict[str, Array]] = {}
    simulate(single, [{"north": records}], start=START, kept=kept)
    assert kept["north"]["norm0.variance"] == pytest.approx(1.0)
    assert kept["north"]["norm0.mean"] == pytest.approx(0.0)


SCANS = {
    "cnn": {"channels": [2, 4], "kernel": 3, "average": True, "normalise": "batch"},
    "resnet": {"channels": [2, 4], "blocks": 1, "normalise": "batch"},
}


@pytest.mark.parametrize("family", SCANS)
@pytest.mark.processes
def test_a_study_of_images_by_batch_is_the_same_in_processes(study: StudySpec, family: str) -> None:
    spec = replace(
        study,
        model=Choice(family, SCANS[family]),
        data=replace(study.data, features=(Feature("scan", "1", 0.0, 255.0, (8, 8)),)),
    )
    check_spec(spec)
    source = np.random.default_rng(5)
    cohort = {}
    for number in range(3):
        scans = (source.normal(size=(6, 64)) + number).astype(np.float32)
        cohort[f"h{number}"] = (scans, (scans.mean(axis=1) > number).astype(np.int64))
    kept: dict[str, dict[str, Array]] = {}
    here = simulate(spec, [cohort] * 2, kept=kept)
    means = [float(own[next(n for n in own if n.endswith(".mean"))][0]) for own in kept.values()]
    assert len(set(means)) == 3
    wanted = [state_digest(spec, state) for state in here]
    assert len(set(wanted)) == 3
    with Processes(2) as workers:
        there = simulate(spec, [cohort] * 2, workers=workers)
    assert [state_digest(spec, state) for state in there] == wanted
