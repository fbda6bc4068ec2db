"""Our best honest recipes on FLamby's tables: chosen by folds inside hospitals, then judged once.

Every candidate learns ten times from four fifths of each hospital's training records, and what it
is chosen by sums over all hospitals' held-out fifths. The chosen one alone reads test records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.figures.flamby import Center, learn
from bench.figures.tuned import FOLDS, folds
from federated.schema import Parameters
from federated.spec import StudySpec, Training
from federated.training import Pull, Records, fit, shuffles

SEEDS = (1, 2)
"""Of the folds; no figure is reported for them."""

Merit = Callable[[Parameters, Records], tuple[float, float]]
"""What a hospital reports of held-out records: a sum, the higher the better, and of how many."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study, and how each hospital trains the global model further (None: not at all).

    `held` pulls its weights toward the global ones and leaves its intercept free.
    """

    spec: StudySpec
    personal: Training | None = None
    held: float = 0.0


def fit_candidate(
    candidate: Candidate, centers: Mapping[str, Center], seed: int
) -> dict[str, Parameters]:
    """Each hospital's model: the global one, or its own from there."""
    spec, own = candidate.spec, candidate.personal
    shared = learn(spec, centers, seed)
    if own is None:
        return dict.fromkeys(centers, shared)
    pull = Pull(candidate.held, free=frozenset({"out.bias"}))
    models = {}
    for name, center in centers.items():
        order = shuffles(seed, f"personal {name}", 1)
        models[name] = fit(shared, *center.train, spec, own, order, pull=pull)
    return models


def choose(
    candidates: Sequence[Candidate], centers: Mapping[str, Center], merit: Merit
) -> tuple[Candidate, list[float]]:
    """The candidate of the greatest mean merit on held-out records; and the merit of each."""
    parts = {
        name: [part for seed in SEEDS for part in folds(center.train, seed)]
        for name, center in centers.items()
    }
    means = []
    for candidate in candidates:
        good = total = 0.0
        for number in range(FOLDS * len(SEEDS)):
            part = {name: Center(*parts[name][number]) for name in centers}
            models = fit_candidate(candidate, part, SEEDS[0])
            told = [merit(models[name], center.test) for name, center in part.items()]
            good, total = good + sum(x for x, _ in told), total + sum(n for _, n in told)
        means.append(good / total)
    return candidates[int(np.argmax(means))], means


def with_training(spec: StudySpec, **change: float) -> StudySpec:
    """The study with other settings of its training."""
    return replace(spec, training=replace(spec.training, **change))
