"""The bench of accuracy runs for a moment; the numbers beneath it are held to others' here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.figures import brca, heart
from bench.figures.tuned import fit_penalised, folds
from records.sources import HEART, PNEUMONIA
from tests.data_sets import need

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {
    "heart_fedavg": ("<=", 0.015),
    "heart_fedprox": ("<=", 0.015),
    "heart_scaffold": ("<=", 0.015),
    "heart_fedadam": ("<=", 0.015),
    "heart_fedyogi": ("<=", 0.015),
    "heart_fedadagrad": ("<=", 0.015),
    "heart_best": (">=", 0.80),
    "brca_fedadam": (">=", 0.81),
    "brca_best": (">=", 0.82),
    "pneumonia_iid": ("<=", 0.01),
    "pneumonia_dir": (">=", 0.93),
    "robust_trimmed": ("<=", 0.02),
    "robust_multikrum": ("<=", 0.02),
    "robust_rfa": ("<=", 0.02),
}


@pytest.mark.timeout(1900)
@pytest.mark.processes
def test_quick_run_prints_and_draws_every_claim(tmp_path: Path) -> None:
    need(*HEART.values(), PNEUMONIA)
    command = [sys.executable, ROOT / "bench" / "accuracy.py", "--quick", "--json"]
    done = subprocess.run(
        [*command, "--plots", tmp_path], stdout=subprocess.PIPE, text=True, timeout=1800, check=True
    )
    shown = json.loads(done.stdout)
    assert {"machine", "versions", "seeds", "date", "claims", "tables"} == set(shown)
    claims = {claim["id"]: (claim["sense"], claim["limit"]) for claim in shown["claims"]}
    assert claims == LIMITS
    assert all(claim["ok"] is None for claim in shown["claims"])
    drawn = ElementTree.parse(tmp_path / "accuracy.svg").getroot()
    assert drawn.tag.endswith("svg")


def test_the_benchmarks_patients_are_those_that_it_names() -> None:
    need(*HEART.values())
    sizes = [(len(x.train[1]), len(x.test[1])) for x in heart.centers().values()]
    assert sizes == [(199, 104), (172, 89), (30, 16), (85, 45)]
    assert len(heart.FEATURES) == 13
    regions = brca.centers()
    assert sum(len(x.train[1]) + len(x.test[1]) for x in regions.values()) == 1088


def test_folds_hold_out_everybody_once_and_spread_both_labels() -> None:
    labels = np.array([1] * 11 + [0] * 30)
    inputs = np.arange(41, dtype=np.float32)[:, None]
    parts = list(folds((inputs, labels), 3))
    held = np.concatenate([own[0][:, 0] for _, own in parts])
    assert sorted(held.tolist()) == list(range(41))
    assert {int(own[1].sum()) for _, own in parts} == {2, 3}
    for learned, own in parts:
        assert not set(learned[0][:, 0]) & set(own[0][:, 0])


def test_a_tuned_opponent_stands_where_its_penalised_loss_is_flat() -> None:
    need(*HEART.values())
    inputs, labels = heart.centers()["cleveland"].train
    penalty = 0.01
    model = fit_penalised((inputs, labels), heart.study(heart.RECIPES[0]), penalty)
    weights, bias = model["out.weight"][0], model["out.bias"][0]
    chances = 1 / (1 + np.exp(-(inputs @ weights + bias)))
    deviation = inputs.std(axis=0)
    slope = (inputs * (chances - labels)[:, None]).mean(axis=0) + penalty * weights * deviation**2
    assert np.abs(slope).max() < 1e-4
    assert abs((chances - labels).mean()) < 1e-4
