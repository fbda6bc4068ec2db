"""FLamby's protocol (Ogier du Terrail et al., NeurIPS 2022) as studies of ours.

Hospitals take 100 steps of plain gradient descent a round, whatever they have; updates are averaged
by the number of records; seeds 42 to 46 draw the initial weights as torch does. What is measured is
our own training, grid and aggregation; the published means are those of the benchmark's own runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from federated.codec import Config
from federated.rules import check_spec
from federated.schema import Array, Parameters
from federated.simulate import simulate
from federated.spec import Choice, Data, Feature, GridTerms, Label, StudySpec, Training
from federated.studies import wisconsin_spec
from federated.training import Records

SEEDS = (42, 43, 44, 45, 46)
UPDATES = 100
WIDEST = 1000.0  # of an input in units of its deviation: no value is refused

Metric = Callable[[Parameters, Records], float]


@dataclass(frozen=True, slots=True)
class Center:
    """A FLamby center's records."""

    train: Records
    test: Records


@dataclass(frozen=True, slots=True)
class Recipe:
    """A strategy and its settings, the clients' learning rate, and the published mean (or none)."""

    name: str
    strategy: str
    rate: float
    config: Config
    published: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A method's metric by seed and center.  # (seeds, centers)"""

    name: str
    by_seed: Array

    @property
    def mean(self) -> float:
        """The average over centers, and over seeds."""
        return float(np.mean(self.by_seed))

    @property
    def deviation(self) -> float:
        """Of the average over centers, between seeds."""
        return float(np.std(self.by_seed.mean(axis=1), ddof=1)) if len(self.by_seed) > 1 else 0.0


def linear_study(
    names: Sequence[str], recipe: Recipe, *, label: Label, task: str, rounds: int, batch: int
) -> StudySpec:
    """A study of a linear model on standardised inputs by a recipe of the benchmark."""
    base = wisconsin_spec(hospitals=4 if len(names) == 13 else 6, rounds=rounds)
    features = tuple(Feature(name, "1", -WIDEST, WIDEST) for name in names)
    training = Training(1, batch, learning_rate=recipe.rate, updates=UPDATES)
    spec = replace(
        base,
        name="flamby",
        task=task,
        data=Data("flamby/1", features, label),
        strategy=Choice(recipe.strategy, recipe.config),
        training=training,
        grid=GridTerms(clip_norm=10_000.0, grid_bits=30, max_weight=4096),
    )
    check_spec(spec)
    return spec


def torch_linear(width: int, seed: int) -> Parameters:
    """The weights with which the benchmark begins on a seed."""
    torch.manual_seed(seed)
    layer = torch.nn.Linear(width, 1)
    return {
        "out.weight": layer.weight.detach().numpy().copy(),
        "out.bias": layer.bias.detach().numpy().copy(),
    }


def linear(parameters: Parameters, inputs: Array) -> Array:
    """What a linear model gives.  # (n, width) → (n,) float64"""
    weights = parameters["out.weight"][0].astype(np.float64)
    result: Array = (inputs * weights).sum(axis=1) + float(parameters["out.bias"][0])
    return result


def learn(spec: StudySpec, centers: Mapping[str, Center], seed: int) -> Parameters:
    """The global model at the end."""
    spec = replace(spec, seed=seed)
    width = len(spec.data.features)
    cohorts = [{name: center.train for name, center in centers.items()}] * spec.rounds
    return simulate(spec, cohorts, start=torch_linear(width, seed))[-1].parameters


def measured(
    name: str,
    fit: Callable[[int], Mapping[str, Parameters]],
    centers: Mapping[str, Center],
    metric: Metric,
    seeds: Sequence[int],
) -> Outcome:
    """Fit by seed, a model for each center, and judge each on its own test records."""
    rows = []
    for seed in seeds:
        models = fit(seed)
        rows.append([metric(models[x], center.test) for x, center in centers.items()])
    return Outcome(name, np.array(rows))
