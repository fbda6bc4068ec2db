"""FLamby's Fed-Heart-Disease: its six strategies beside their published means, and our best recipe.

The figure is accuracy on each center's test records, averaged over the four centers and five seeds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.figures.best import Candidate, with_training
from bench.figures.data import read_table
from bench.figures.flamby import Center, Recipe, linear, linear_study
from federated.schema import Array, Parameters
from federated.spec import Label, StudySpec
from federated.training import Records

ROUNDS, BATCH = 15, 4
LABEL = Label("disease", "yes", "no")
NAMES = ("cleveland", "hungarian", "switzerland", "va")
PLAIN = ("age", "sex", "trestbps", "chol", "fbs", "thalach", "exang", "oldpeak")
WORDS = {"cp": (2.0, 3.0, 4.0), "restecg": (1.0, 2.0)}  # the first of each is left out
FEATURES = (*PLAIN, *(f"{name}_{value:g}" for name, values in WORDS.items() for value in values))

_MOMENTS = {"beta1": 0.9, "beta2": 0.999, "tau": 1e-8}
RECIPES = (
    Recipe("heart_fedavg", "fedavg", 0.001, {}, 0.685),
    Recipe("heart_fedprox", "fedprox", 0.001, {"mu": 0.01}, 0.685),
    Recipe("heart_scaffold", "scaffold", 0.001, {"learning_rate": 1.0}, 0.684),
    Recipe("heart_fedadam", "fedadam", 0.01, {"learning_rate": 0.01, **_MOMENTS}, 0.726),
    Recipe("heart_fedyogi", "fedyogi", 0.003162, {"learning_rate": 0.01, **_MOMENTS}, 0.731),
    Recipe(
        "heart_fedadagrad",
        "fedadagrad",
        0.003162,
        {"learning_rate": 0.316228, "beta1": 0.9, "tau": 1e-8},
        0.731,
    ),
)


def centers() -> dict[str, Center]:
    """The benchmark's 740 rows, its split, each center standardised by its training records."""
    rows = read_table("heart/heart_flamby_split.csv")
    found = {}
    for name in NAMES:
        parts = [[x for x in rows if (x["name"], x["split"]) == (name, part)] for part in _PARTS]
        (train, truth), (test, answers) = (_arrays(part) for part in parts)
        mean, deviation = train.mean(axis=0), train.std(axis=0, ddof=1)
        scaled = [((x - mean) / (deviation + 1e-9)).astype(np.float32) for x in (train, test)]
        found[name] = Center((scaled[0], truth), (scaled[1], answers))
    return found


def accuracy(parameters: Parameters, records: Records) -> float:
    """The share that is judged rightly: positive where the chance is above one half."""
    inputs, labels = records
    return float(np.mean((linear(parameters, inputs) > 0) == (labels == 1)))


def study(recipe: Recipe) -> StudySpec:
    """The benchmark's study by a recipe."""
    return linear_study(FEATURES, recipe, label=LABEL, task="binary", rounds=ROUNDS, batch=BATCH)


_PARTS = ("train", "test")


def _arrays(rows: list[dict[str, str]]) -> tuple[Array, Array]:
    """Inputs in the benchmark's order, and labels.  # (n, 13) float64, (n,)"""
    inputs = [
        [float(row[name]) for name in PLAIN]
        + [float(float(row[name]) == value) for name, values in WORDS.items() for value in values]
        for row in rows
    ]
    return np.array(inputs), np.array([int(float(row["num"]) > 0) for row in rows])


def candidates() -> list[Candidate]:
    """Federated averaging, then an intercept of each hospital's own, the weights held near.

    A hospital's prevalence is its own; what the findings mean is learned together.
    """
    found = []
    for decay in (0.01, 0.03, 0.1):
        spec = study(Recipe("heart_best", "fedavg", 0.01, {}))
        spec = with_training(spec, weight_decay=decay, batch_size=16)
        own = replace(spec.training, updates=2000, learning_rate=0.03, weight_decay=0.0)
        found += [Candidate(spec, own, held) for held in (0.01, 0.03, 0.1)]
    return found


def merit(parameters: Parameters, records: Records) -> tuple[float, float]:
    """Log likelihood, which tells more of few patients than how many are judged rightly."""
    inputs, labels = records
    odds = linear(parameters, inputs)
    return -float(np.logaddexp(0, np.where(labels == 1, -odds, odds)).sum()), len(labels)
