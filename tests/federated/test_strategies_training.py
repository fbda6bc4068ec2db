"""What a strategy changes in hospitals' training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federated.bedside.tune import hold_near
from federated.combining import total_of
from federated.errors import SpecError
from federated.models import update_schema
from federated.rules import check_spec
from federated.schema import Array
from federated.spec import Choice, StudySpec, Training
from federated.state import initial_state, next_state
from federated.strategies import STRATEGIES
from federated.training import kept_of, local_round, local_update

START = {
    "out.bias": np.zeros(1, dtype=np.float32),
    "out.weight": np.zeros((1, 2), dtype=np.float32),
}


def one(dose: float, label: int) -> tuple[Array, Array]:
    return np.array([[0.0, dose]], dtype=np.float32), np.array([label])


def one_patient(spec: StudySpec, dose: float, label: int) -> dict[str, Array]:
    return local_update(START, *one(dose, label), spec, hospital="north", round_number=1)


def fedprox(spec: StudySpec, mu: float) -> StudySpec:
    return replace(
        spec,
        strategy=Choice("fedprox", {"mu": mu}),
        training=Training(epochs=2, batch_size=4, learning_rate=0.5),
    )


def test_fedprox_holds_two_hospitals_near_the_global_model_as_on_paper(spec: StudySpec) -> None:
    held = fedprox(spec, 1.0)
    # One patient, dose 2, positive. Step 1, w = b = 0, p = 1/2, no pull yet: the gradient is
    # (p − 1)·2 = −1 and (p − 1) = −1/2, so w = .5, b = .25. Step 2, p = σ(2·.5 + .25) = .777300:
    # −.445400 + 1·(.5 − 0) = .054600 and −.222700 + .25 = .027300; w = .472700, b = .236350.
    first = one_patient(held, 2.0, 1)
    assert first["out.weight"].tolist() == [[0.0, pytest.approx(0.472700, abs=1e-6)]]
    assert first["out.bias"].tolist() == [pytest.approx(0.236350, abs=1e-6)]
    # One patient, dose 1, negative. Step 1: gradients 1/2, w = b = −.25. Step 2, p = σ(−.5) =
    # .377541: .377541 + 1·(−.25) = .127541 for both; w = b = −.313770.
    second = one_patient(held, 1.0, 0)
    assert second["out.weight"].tolist() == [[0.0, pytest.approx(-0.313770, abs=1e-6)]]
    assert second["out.bias"].tolist() == [pytest.approx(-0.313770, abs=1e-6)]


def test_the_stronger_the_pull_the_shorter_the_update(spec: StudySpec) -> None:
    lengths = [
        float(np.abs(one_patient(fedprox(spec, mu), 2.0, 1)["out.weight"]).sum())
        for mu in (0.0, 0.5, 1.0)
    ]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 3


def test_fedprox_without_a_pull_trains_the_very_bits_of_fedavg(spec: StudySpec) -> None:
    source = np.random.default_rng(3)
    inputs = source.normal(size=(40, 2)).astype(np.float32)
    labels = (inputs.sum(axis=1) > 0).astype(np.int64)
    long = replace(spec, training=Training(5, 8, 0.3, momentum=0.9, weight_decay=0.01))
    found = [
        local_update(START, inputs, labels, study, hospital="north", round_number=1)
        for study in (long, replace(long, strategy=Choice("fedprox", {"mu": 0})))
    ]
    assert all(found[0][name].tobytes() == found[1][name].tobytes() for name in START)


def test_ditto_holds_two_hospitals_own_models_near_the_global_one_as_on_paper(
    spec: StudySpec,
) -> None:
    """Two rounds of one epoch make two steps: those of FedProx above, but for the bias."""
    training = Training(epochs=1, batch_size=4, learning_rate=0.5)
    study = replace(spec, strategy=Choice("ditto", {"lambda": 1.0}), rounds=2, training=training)
    strength = STRATEGIES["ditto"].personal(study.strategy.config)
    assert strength == 1.0
    own = [
        hold_near(START, one(dose, label), study, strength, hospital="north")
        for dose, label in ((2.0, 1), (1.0, 0))
    ]
    assert [float(model["out.weight"][0, 1]) for model in own] == [
        pytest.approx(0.472700, abs=1e-6),
        pytest.approx(-0.313770, abs=1e-6),
    ]
    # Nobody pulls the bias: .25 + .5·.222700 and −.25 − .5·.377541.
    assert [float(model["out.bias"][0]) for model in own] == [
        pytest.approx(0.361350, abs=1e-6),
        pytest.approx(-0.438770, abs=1e-6),
    ]
    plain = replace(study, strategy=Choice("fedavg"))
    rounds = [
        local_update(START, *one(2.0, 1), of, hospital="north", round_number=1)
        for of in (study, plain)
    ]
    assert all((rounds[0][name] == rounds[1][name]).all() for name in START)


SCAFFOLD = Choice("scaffold", {"learning_rate": 0.5})


def scaffold(spec: StudySpec, epochs: int) -> StudySpec:
    """A clip of 8 on a grid of quarters."""
    return replace(
        spec,
        strategy=SCAFFOLD,
        training=Training(epochs=epochs, batch_size=4, learning_rate=0.5),
        grid=replace(spec.grid, clip_norm=8.0, grid_bits=2),
    )


def test_scaffold_corrects_two_hospitals_by_each_other_as_on_paper(spec: StudySpec) -> None:
    """One step a round: what a hospital keeps is its gradient at the round's start."""
    tried = scaffold(spec, epochs=1)
    begin = replace(initial_state(tried), parameters=START)
    patients = {"north": (2.0, 1), "harbor": (1.0, 0)}
    sent = [
        local_round(begin, one(*patient), tried, hospital=name, round_number=1)
        for name, patient in patients.items()
    ]
    # North: p = 1/2, gradients (dose, bias) −1 and −.5: change .5 and .25; control −1 and −.5.
    # Harbor: gradients .5 and .5: change −.25 and −.25; control .5 and .5. In quarters:
    north, harbor = (update_schema(tried).unflatten(update) for update in sent)
    assert north["out.weight"].tolist() == [[0, 2]]
    assert north["out.bias"].tolist() == [1]
    assert north["control:out.weight"].tolist() == [[0, -4]]
    assert harbor["control:out.bias"].tolist() == [2]
    # Weights 1 and 3: mean changes (.5 − .75) / 4 = −.0625 (dose) and (.25 − .75) / 4 = −.125;
    # half of it is the step; the mean control (−1 + 1.5) / 4 = .125 and (−.5 + 1.5) / 4 = .25.
    total = total_of(tried)
    for update, weight in zip(sent, (1, 3), strict=True):
        total.add([update], weight)
    state = next_state(tried, begin, total.mean(), 1)
    assert state.parameters["out.weight"].tolist() == [[0.0, -0.03125]]
    assert state.parameters["out.bias"].tolist() == [-0.0625]
    assert state.server["c"]["out.weight"].tolist() == [[0.0, 0.125]]
    assert state.server["c"]["out.bias"].tolist() == [0.25]
    # Round 2, back at START: north steps along g − c₁ + c = −1 + 1 + .125 = .125, so the change is
    # −.0625; the bias along −.5 + .5 + .25. Its control is again its gradient: −1 − .125 + .125.
    again = replace(state, parameters=START)
    strategy = STRATEGIES["scaffold"]
    change = local_update(
        START,
        *one(2.0, 1),
        tried,
        hospital="north",
        round_number=2,
        correction=strategy.correction(again.server, kept_of(tried, sent[0])),
    )
    assert change["out.weight"].tolist() == [[0.0, -0.0625]]
    assert change["out.bias"].tolist() == [-0.125]
    assert change["control:out.weight"].tolist() == [[0.0, -1.0]]
    assert change["control:out.bias"].tolist() == [-0.5]


def test_a_control_variate_is_the_mean_gradient_of_all_steps(spec: StudySpec) -> None:
    """Whatever the correction was: it moves the way, and is taken out of what is kept."""
    tried = scaffold(spec, epochs=2)
    zero = {name: np.zeros(array.shape) for name, array in START.items()}
    change = local_update(
        START, *one(2.0, 1), tried, hospital="north", round_number=1, correction=zero
    )
    # Step 1: gradient −1; w = .5, b = .25. Step 2: −.445400 (as above). Mean: −.722700.
    assert change["control:out.weight"][0, 1] == pytest.approx(-0.722700, abs=1e-6)
    shifted = {name: array + 0.25 for name, array in zero.items()}
    moved = local_update(
        START, *one(2.0, 1), tried, hospital="north", round_number=1, correction=shifted
    )
    # Step 1 along −.75 and −.25: w = .375, b = .125. Step 2: p = σ(.875) = .705785, gradient
    # −.588430; mean with −1: −.794215.
    assert moved["control:out.weight"][0, 1] == pytest.approx(-0.794215, abs=1e-6)


def test_scaffold_without_any_difference_steps_as_fedavg(spec: StudySpec) -> None:
    """Where c is a hospital's own, nothing is corrected."""
    tried = scaffold(spec, epochs=3)
    own = {name: np.full(array.shape, 0.3) for name, array in START.items()}
    correction = STRATEGIES["scaffold"].correction({"c": own}, own)
    corrected = local_update(
        START, *one(2.0, 1), tried, hospital="north", round_number=1, correction=correction
    )
    plain = replace(tried, strategy=Choice("fedavg"))
    found = local_update(START, *one(2.0, 1), plain, hospital="north", round_number=1)
    assert all((corrected[name] == found[name]).all() for name in START)


def test_scaffold_is_refused_with_momentum(spec: StudySpec) -> None:
    moving = replace(spec.training, momentum=0.9)
    check_spec(replace(spec, strategy=SCAFFOLD))
    with pytest.raises(SpecError, match="scaffold") as caught:
        check_spec(replace(spec, strategy=SCAFFOLD, training=moving))
    assert caught.value.key == "training.momentum"
