"""What a strategy changes in hospitals' training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from federated.schema import Array
from federated.spec import Choice, StudySpec, Training
from federated.training import local_update

START = {
    "out.bias": np.zeros(1, dtype=np.float32),
    "out.weight": np.zeros((1, 2), dtype=np.float32),
}


def one_patient(spec: StudySpec, dose: float, label: int) -> dict[str, Array]:
    inputs, labels = np.array([[0.0, dose]], dtype=np.float32), np.array([label])
    return local_update(START, inputs, labels, spec, hospital="north", round_number=1)


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
