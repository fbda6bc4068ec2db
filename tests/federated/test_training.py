from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from federated.baselines import Opponent, fit_all, fit_baseline
from federated.errors import TrainingError
from federated.inputs import scale
from federated.models import initial_parameters
from federated.networks import logits, probabilities, to_torch
from federated.schema import Array
from federated.spec import Choice, Feature, StudySpec, Training
from federated.training import Pull, local_update


def patients(count: int = 40, width: int = 2) -> tuple[Array, Array]:
    source = np.random.default_rng(1)
    inputs = source.normal(size=(count, width)).astype(np.float32)
    return inputs, (inputs.sum(axis=1) > 0).astype(np.int64)


def update(spec: StudySpec, hospital: str = "north", round_number: int = 1) -> dict[str, Array]:
    start = initial_parameters(spec)
    return local_update(start, *patients(), spec, hospital=hospital, round_number=round_number)


def same(left: dict[str, Array], right: dict[str, Array]) -> bool:
    return all((left[name] == right[name]).all() for name in left)


def test_one_step_of_logistic_regression_is_the_one_on_paper(spec: StudySpec) -> None:
    start = {
        "out.weight": np.zeros((1, 2), dtype=np.float32),
        "out.bias": np.zeros(1, dtype=np.float32),
    }
    inputs = np.array([[1.0, 0.0], [0.0, 2.0]], dtype=np.float32)
    change = local_update(start, inputs, np.array([1, 0]), spec, hospital="a", round_number=1)
    # all probabilities are 1/2: the gradient is the mean of (1/2 − y) · x; the rate is 1/2
    assert change["out.weight"].tolist() == [[0.125, -0.25]]
    assert change["out.bias"].tolist() == [0.0]
    assert change["out.weight"].dtype == np.float64


def test_momentum_and_weight_decay_are_those_of_the_spec(spec: StudySpec) -> None:
    start = {
        "out.weight": np.array([[1.0, 0.0]], dtype=np.float32),
        "out.bias": np.zeros(1, dtype=np.float32),
    }
    inputs, labels = np.zeros((2, 2), dtype=np.float32), np.array([1, 0])
    training = Training(epochs=2, batch_size=2, learning_rate=0.5, momentum=0.5, weight_decay=0.5)
    change = local_update(
        start, inputs, labels, replace(spec, training=training), hospital="a", round_number=1
    )
    # gradients are the decay alone: v = .5, w = .75; v = .25 + .375, w = .4375
    assert change["out.weight"].tolist() == [[0.4375 - 1.0, 0.0]]


def test_training_is_the_same_twice_whatever_threads_torch_had(spec: StudySpec) -> None:
    many = replace(
        spec, training=replace(spec.training, epochs=3), model=Choice("mlp", {"hidden": [8]})
    )
    first = update(many)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(5)
    try:
        assert same(first, update(many))
        assert torch.get_num_threads() == 2
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before)


def test_shuffles_depend_on_seed_hospital_and_round(spec: StudySpec) -> None:
    start = initial_parameters(spec)
    base = update(spec)
    assert not same(base, update(spec, hospital="south"))
    assert not same(base, update(spec, round_number=2))
    reseeded = replace(spec, seed=spec.seed + 1)
    other = local_update(start, *patients(), reseeded, hospital="north", round_number=1)
    assert not same(base, other)


def test_a_count_of_updates_takes_the_steps_of_the_passes_that_it_spans(spec: StudySpec) -> None:
    training = Training(epochs=2, batch_size=16, learning_rate=0.1)  # 40 records: 3 steps a pass
    assert training.steps(40) == 6
    passes = update(replace(spec, training=training))
    counted = update(replace(spec, training=replace(training, epochs=1, updates=6)))
    fewer = update(replace(spec, training=replace(training, epochs=1, updates=5)))
    assert same(passes, counted)
    assert not same(passes, fewer)


def test_a_cnn_learns_to_tell_bright_from_dark(spec: StudySpec) -> None:
    study = replace(
        spec,
        data=replace(spec.data, features=(Feature("scan", "1", 0.0, 1.0, (4, 4)),)),
        model=Choice("cnn", {"channels": [2], "kernel": 3, "hidden": 4}),
        training=Training(epochs=40, batch_size=8, learning_rate=0.1, momentum=0.9),
    )
    labels = np.arange(40) % 2
    source = np.random.default_rng(2)
    pixels = np.clip(source.normal(0.3 + 0.4 * labels[:, None], 0.1, (40, 16)), 0, 1)
    inputs = scale(pixels, study)
    start = initial_parameters(study)
    change = local_update(start, inputs, labels, study, hospital="a", round_number=1)
    trained = {name: (start[name] + change[name]).astype(np.float32) for name in start}
    assert ((probabilities(trained, inputs, study) > 0.5) == labels).all()


def test_training_with_images_that_vary_gives_the_same_update_each_time(spec: StudySpec) -> None:
    vary = {"shift": 1, "zoom": 0.2, "exposure": 0.5}
    config = {"channels": [2, 4], "kernel": 3, "hidden": 4, "groups": 2, "vary": vary}
    study = replace(
        spec,
        data=replace(spec.data, features=(Feature("scan", "1", 0.0, 1.0, (8, 8)),)),
        model=Choice("cnn", config),
        training=Training(epochs=2, batch_size=8, learning_rate=0.1, momentum=0.9),
    )
    inputs = scale(np.random.default_rng(2).uniform(size=(20, 64)), study)
    start, labels = initial_parameters(study), np.arange(20) % 2

    first, again, later = (
        local_update(start, inputs, labels, study, hospital="a", round_number=number)
        for number in (1, 1, 2)
    )
    assert same(first, again)
    assert not same(first, later)
    assert first["norm0.gain"].any()


def test_baselines_of_images_are_the_same_from_processes_of_their_own(spec: StudySpec) -> None:
    study = replace(
        spec,
        rounds=2,
        data=replace(spec.data, features=(Feature("scan", "1", 0.0, 1.0, (4, 4)),)),
        model=Choice("cnn", {"channels": [2], "kernel": 3, "hidden": 4}),
    )
    inputs = scale(np.random.default_rng(2).uniform(size=(40, 16)), study)
    labels = np.arange(40) % 2
    train, validation = (inputs[:30], labels[:30]), (inputs[30:], labels[30:])
    opponents = [Opponent(train, validation, name) for name in ("north", "south")]
    for opponent, found in zip(opponents, fit_all(opponents, study), strict=True):
        assert same(found, fit_baseline(train, validation, study, opponent.name))
    assert not same(*fit_all(opponents, study))


def test_training_without_records_is_refused(spec: StudySpec) -> None:
    empty = np.zeros((0, 2), dtype=np.float32)
    with pytest.raises(TrainingError, match="0 records"):
        local_update(
            initial_parameters(spec), empty, np.zeros(0), spec, hospital="a", round_number=1
        )


def test_training_that_diverges_says_what_to_do(spec: StudySpec) -> None:
    wild = replace(spec, training=Training(50, 4, learning_rate=1e38, weight_decay=1.0))
    with pytest.raises(TrainingError, match="learning_rate"):
        update(wild)


def test_inputs_are_scaled_by_the_plausible_range(spec: StudySpec) -> None:
    inputs = scale([[60.0, 0.0], [90.0, -4.0], [0.0, 4.0]], spec)
    assert inputs.tolist() == [[0, 0], [1, -2], [-2, 2]]
    assert inputs.dtype == np.float32
    assert scale([], spec).shape == (0, 2)


@pytest.mark.parametrize("values", [[[1.0]], [[1.0, 2.0, 3.0]], [[1.0, float("nan")]]])
def test_inputs_that_do_not_fit_are_refused_without_showing_a_value(
    spec: StudySpec, values: list[list[float]]
) -> None:
    with pytest.raises(TrainingError):
        scale(values, spec)


def test_a_step_is_the_one_that_torchs_own_optimiser_takes(spec: StudySpec) -> None:
    training = Training(3, 8, learning_rate=0.3, momentum=0.7, weight_decay=0.05)
    study = replace(spec, training=training, model=Choice("mlp", {"hidden": [4]}))
    inputs, labels = patients(8)
    start = initial_parameters(study)
    ours = local_update(start, inputs, labels, study, hospital="a", round_number=1)
    theirs = {name: tensor.requires_grad_() for name, tensor in to_torch(start).items()}
    optimiser = torch.optim.SGD(list(theirs.values()), lr=0.3, momentum=0.7, weight_decay=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        odds = logits(theirs, torch.from_numpy(inputs), study)
        truth = torch.from_numpy(labels.astype(np.float32))
        torch.nn.functional.binary_cross_entropy_with_logits(odds, truth).backward()
        optimiser.step()
    for name, tensor in theirs.items():
        assert start[name] + ours[name] == pytest.approx(tensor.detach().numpy(), abs=1e-6)


def test_training_does_not_import_torchs_compiler() -> None:
    code = (
        "import sys, numpy as np, federated.training as t, federated.studies as s;"
        "from federated.models import initial_parameters as i;"
        "p = s.wisconsin_spec();"
        "x = np.zeros((4, 30), dtype=np.float32);"
        "t.local_update(i(p), x, np.array([0, 1, 0, 1]), p, hospital='a', round_number=1);"
        "sys.exit('torch._dynamo' in sys.modules or 'torch._inductor' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_free_tensor_is_not_pulled_to_the_start_and_the_others_are() -> None:
    start = {name: np.zeros(1, dtype=np.float32) for name in ("out.weight", "out.bias")}
    pulled = Pull(0.5, free=frozenset({"out.bias"})).towards(start)
    ones = [torch.ones(1), torch.ones(1)]
    weight, bias = pulled([torch.zeros(1), torch.zeros(1)], ones)
    assert (weight.item(), bias.item()) == (0.5, 0.0)
