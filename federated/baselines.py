"""Fair opponents: a model trained without federation, tuned on validation records.

A federated row that is set beside an untuned local or pooled model shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from federated.models import initial_parameters, input_shape
from federated.schema import Array
from federated.spec import StudySpec
from federated.tasks.reading import loss_on
from federated.training import Records, fit, shuffles

_PROCESSES = 2


@dataclass(frozen=True, slots=True)
class Search:
    """What is tried: each rate with each decay, judged after each of `steps` times the epochs."""

    rates: tuple[float, ...]
    decays: tuple[float, ...]
    steps: int


def search_of(spec: StudySpec) -> Search:
    """The search for a study: a baseline may see its records as often as the federated model does.

    A network of images is dear: it learns with the study's own settings, which were chosen for
    it, and its best round by validation counts, a choice that the federated model does not get.
    """
    if len(input_shape(spec)) > 1:
        training = spec.training
        return Search((training.learning_rate,), (training.weight_decay,), spec.rounds)
    return Search((0.01, 0.03, 0.1), (0.001, 0.01), max(5, spec.rounds))


def fit_baseline(
    train: Records, validation: Records, spec: StudySpec, name: str
) -> dict[str, Array]:
    """Parameters with the least validation loss over learning rates, weight decays and epochs.

    `name` seeds the shuffles. Without validation records the training loss decides.
    """
    search = search_of(spec)
    judged = validation if len(validation[0]) else train
    best, best_loss = initial_parameters(spec), np.inf
    for rate in search.rates:
        for decay in search.decays:
            training = replace(spec.training, learning_rate=rate, weight_decay=decay)
            parameters = initial_parameters(spec)
            for step in range(1, search.steps + 1):
                order = shuffles(spec.seed, f"baseline {name}", step)
                parameters = fit(parameters, *train, spec, training, order)
                loss = loss_on(parameters, judged, spec)
                if loss < best_loss:
                    best, best_loss = parameters, loss
    return best


@dataclass(frozen=True, slots=True)
class Opponent:
    """What one baseline learns from, and the `name` that seeds its shuffles."""

    train: Records
    validation: Records
    name: str


Fitted = Callable[[], list[dict[str, Array]]]
"""Waits for the models that are being fitted; they come in the order of their opponents."""


@contextmanager
def fitting(opponents: Sequence[Opponent], spec: StudySpec) -> Iterator[Fitted]:
    """`fit_baseline` of each; networks of images at once, in two processes of one thread each.

    What else is done before they are asked for costs no time of its own on a second core.
    """
    if len(input_shape(spec)) == 1:
        yield lambda: [_fit(opponent, spec) for opponent in opponents]
        return
    pool = ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn"))
    try:
        started = [pool.submit(_fit, opponent, spec) for opponent in opponents]
        yield lambda: [future.result() for future in started]
    finally:
        pool.shutdown(cancel_futures=True)


def fit_all(opponents: Sequence[Opponent], spec: StudySpec) -> list[dict[str, Array]]:
    """What `fitting` fits."""
    with fitting(opponents, spec) as fitted:
        return fitted()


def _fit(opponent: Opponent, spec: StudySpec) -> dict[str, Array]:
    return fit_baseline(opponent.train, opponent.validation, spec, opponent.name)
