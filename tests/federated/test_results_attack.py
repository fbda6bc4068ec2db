"""What results of all rounds give to somebody who knows a hospital's patients' features.

A hospital signs results of each round's model, and every enrolled hospital has those models. A
count is a sum of labels over whom the model calls, a loss one of what it says to them, an AUC one
of their ranks, a Brier score one of what they were told: each is an equation for the labels, and
the attacker solves all of a study's at once, with the last model's own guesses for what they leave
open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import lsq_linear
from scipy.stats import rankdata

from federated.metrics import FIGURE_STEP, LOSS_UNIT, auc, confusion, log_loss
from federated.networks import probabilities
from federated.results import NUMBERS
from federated.schema import Array
from federated.simulate import simulate
from federated.studies import heart_spec
from records import heart
from records.sources import HEART
from tests.data_sets import need
from tests.federated.test_real_studies import sites_of

Equation = tuple[Array, float, float]
"""Factors of the labels (n,), what they sum to, and by how much that may be wrong."""
EXACT = 0.01


def counted(labels: Array, chances: Array) -> list[Equation]:
    """Of those called, and of all, how many have the label."""
    counts, called = confusion(labels, chances), (chances >= 0.5).astype(np.float64)
    everybody = np.ones(len(labels))
    return [(called, counts.tp, EXACT), (everybody, counts.tp + counts.fn, EXACT)]


def lost(labels: Array, chances: Array, step: float = 1 / LOSS_UNIT) -> list[Equation]:
    """The log loss, in steps of nats."""
    if_negative, if_positive = -np.log(1 - chances), -np.log(chances)
    told = round(log_loss(labels, chances) / LOSS_UNIT / step) * step - if_negative.sum()
    return [(if_positive - if_negative, told, max(step / np.sqrt(12), 1e-4))]


def ranked(labels: Array, chances: Array, step: float) -> list[Equation]:
    """The AUC is the sum of ranks of those who have the label, of whom the counts tell how many."""
    found, positives = auc(labels, chances), int((labels == 1).sum())
    assert found is not None
    pairs = positives * (len(labels) - positives)
    told = round(found.value / step) * step * pairs + positives * (positives + 1) / 2
    return [(rankdata(chances), told, max(step * pairs / np.sqrt(12), EXACT))]


def called(labels: Array, chances: Array, step: float) -> list[Equation]:
    """The accuracy: labels of those called, and none of the others."""
    sign, people = np.where(chances >= 0.5, 1.0, -1.0), len(labels)
    share = float(np.mean((chances >= 0.5) == (labels == 1)))
    told = round(share / step) * step * people - np.count_nonzero(sign < 0)
    return [(sign, told, max(step * people / np.sqrt(12), EXACT))]


def briered(labels: Array, chances: Array, step: float) -> list[Equation]:
    """The Brier score: (p - y)² is p² + (1 - 2p) y where y is 0 or 1."""
    people, score = len(labels), float(np.mean(np.square(chances - labels)))
    told = round(score / step) * step * people - float(np.square(chances).sum())
    return [(1 - 2 * chances, told, max(step * people / np.sqrt(12), 1e-3))]


def solved(models: list[Array], told: Callable[[Array], list[Equation]]) -> Array:
    """The attacker's labels: least squares in units of each equation's error."""
    guess = np.clip(models[-1], 0.02, 0.98)
    doubt = np.sqrt(guess * (1 - guess))
    equations = [item for chances in models for item in told(chances)]
    left = np.vstack([np.diag(1 / doubt), *(factors / error for factors, _, error in equations)])
    right = np.concatenate([guess / doubt, [value / error for _, value, error in equations]])
    labels: Array = lsq_linear(left, right, bounds=(0, 1)).x >= 0.5
    return labels


def models_of(
    tmp_path: Path, seed: int, rounds: int, judge: str, part: str
) -> tuple[Array, list[Array]]:
    """A judge's labels, and what each round's model says to its patients."""
    need(*HEART.values())
    spec = replace(heart_spec(seed=seed), rounds=rounds)
    sites = sites_of(spec, heart.deal, tmp_path)
    cohorts = [{name: site.train for name, site in sites.items()}] * rounds
    inputs, labels = getattr(sites[judge], part)
    states = simulate(spec, cohorts)
    return labels, [probabilities(x.parameters, inputs, spec).astype(np.float64) for x in states]


STUDIES = pytest.mark.parametrize(
    ("rounds", "judge", "part"), [(6, "cleveland", "validation"), (30, "va", "test")]
)


@STUDIES
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_results_of_all_rounds_do_not_give_the_labels_that_finer_ones_give(
    tmp_path: Path, rounds: int, judge: str, part: str, seed: int
) -> None:
    labels, models = models_of(tmp_path, seed, rounds, judge, part)

    def right(told: Callable[[Array], list[Equation]]) -> float:
        return float(np.mean(solved(models, told) == (labels == 1)))

    counts = right(lambda p: counted(labels, p))
    fine = right(lambda p: counted(labels, p) + lost(labels, p) + ranked(labels, p, 1e-6))
    told = right(lambda p: counted(labels, p) + ranked(labels, p, FIGURE_STEP))
    assert fine > 0.95
    assert told < 0.9
    assert told - counts < 0.06


@STUDIES
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_figures_in_hundredths_do_not_give_the_labels_that_thousandths_give(
    tmp_path: Path, rounds: int, judge: str, part: str, seed: int
) -> None:
    """What another task's results tell: accuracy, Brier score and AUC; here of two classes."""
    labels, models = models_of(tmp_path, seed, rounds, judge, part)

    def right(step: float) -> float:
        found = solved(
            models,
            lambda p: called(labels, p, step) + briered(labels, p, step) + ranked(labels, p, step),
        )
        return float(np.mean(found == (labels == 1)))

    assert right(0.001) > (0.95 if rounds == 30 else 0.91)
    assert right(FIGURE_STEP) < 0.92


def test_results_tell_counts_and_an_area_in_hundredths_and_no_loss() -> None:
    assert NUMBERS == ("tp", "fp", "tn", "fn", "auc", "auc_low", "auc_high")
    assert FIGURE_STEP == 0.01
