"""Evaluates a study's models on all hospitals' records, as the simulation alone can.

Everything is computed from the same consented records in the order of their local keys, and is
the same in every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from federated.evaluation import disclosure
from federated.evaluation.calibration import calibrate
from federated.evaluation.disclosure import enough
from federated.evaluation.mcnemar import accuracy_difference
from federated.evaluation.paired import auc_difference, brier_difference
from federated.evaluation.result import (
    CENTRALISED,
    FEDERATED,
    POOLED,
    Calibrated,
    Cell,
    Comparison,
    Evaluation,
    LearningPoint,
    Roc,
    TestSet,
    own_model,
)
from federated.evaluation.roc import roc
from federated.metrics import LOSS_UNIT, Estimate, Scores, auc, log_loss, scores
from federated.networks import probabilities
from federated.schema import Array, Parameters
from federated.simulate import Site, used_at
from federated.spec import StudySpec


def evaluate(
    spec: StudySpec,
    sites: Mapping[str, Site],
    models: Mapping[str, Parameters],
    states: Mapping[int, Parameters],
    own: Mapping[str, Parameters] | None = None,
) -> Evaluation:
    """What a report shows of `models` (as `simulate.all_models` names them).

    `own` is as in `simulate.compare`; curves of learning are of the global model as it is.
    `states` are global models by round, 0 the study's first. Validation figures are by hospital,
    test figures by hospital and pooled.
    """
    tests = _tests(spec, sites, models, own)
    return Evaluation(
        tests=tuple(test.described() for test in tests),
        cells=tuple(Cell(name, test.name, test.scores(name)) for name in models for test in tests),
        learning=tuple(_learning(spec, sites, states, tests[0])),
        rocs=tuple(roc for test in tests for roc in test.rocs()),
        calibrations=tuple(item for test in tests for item in test.calibrations()),
        comparisons=tuple(_comparisons(sites, tests)),
        unlearned=tuple(n for n, site in sites.items() if not enough(site.validation[1])),
        pool_rounded=tests[0].rounded,
    )


@dataclass(frozen=True, slots=True)
class _Test:
    """Labels (n,) of test records, and each model's probabilities for them (n,)."""

    name: str
    inputs: Array
    labels: Array
    predicted: Mapping[str, Array]
    rounded: bool
    seed: int

    @property
    def shown(self) -> bool:
        return enough(self.labels)

    @property
    def rivals(self) -> list[str]:
        """Models that are drawn beside the federated one."""
        wanted = (FEDERATED, CENTRALISED, own_model(self.name))
        return [name for name in wanted if name in self.predicted]

    def described(self) -> TestSet:
        if not self.shown or self.rounded:
            return TestSet(self.name, None, None, not self.shown)
        positives = int(np.count_nonzero(self.labels))
        return TestSet(self.name, len(self.labels), positives, False)

    def scores(self, model: str) -> Scores:
        if not self.shown:
            return disclosure.NOTHING
        found = scores(self.labels, self.predicted[model])
        return disclosure.only_area(found) if self.rounded else found

    def rocs(self) -> list[Roc]:
        decimals = disclosure.ROC_DECIMALS if self.rounded else None
        return [
            Roc(name, self.name, roc(self.labels, self.predicted[name], decimals=decimals))
            for name in self.rivals
            if self.shown
        ]

    def calibrations(self) -> list[Calibrated]:
        if not self.shown or self.rounded:
            return []
        found = [
            (name, calibrate(self.labels, self.predicted[name], seed=self.seed, name=self.name))
            for name in self.rivals
        ]
        return [Calibrated(name, self.name, item) for name, item in found if item is not None]

    def comparison(self, rival: str) -> Comparison | None:
        if not self.shown:
            return None
        both = self.labels, self.predicted[FEDERATED], self.predicted[rival]
        area, brier = auc_difference(*both), brier_difference(*both)
        accuracy = None if self.rounded else accuracy_difference(*both)
        if self.rounded:
            area, brier = disclosure.blurred(area), disclosure.blurred(brier)
        if area is None or brier is None:
            return None
        return Comparison(rival, self.name, area, brier, accuracy)


def _tests(
    spec: StudySpec,
    sites: Mapping[str, Site],
    models: Mapping[str, Parameters],
    own: Mapping[str, Parameters] | None,
) -> list[_Test]:
    """The pool first, then each hospital."""
    everyone = {name: site.test[1] for name, site in sites.items()}
    parts = [
        _Test(
            name,
            site.test[0],
            site.test[1],
            _predicted(spec, site.test[0], used_at(name, models, own)),
            rounded=False,
            seed=spec.seed,
        )
        for name, site in sites.items()
    ]
    inputs = np.concatenate([part.inputs for part in parts])
    told = {model: np.concatenate([part.predicted[model] for part in parts]) for model in models}
    if own:
        told |= _predicted(spec, inputs, {FEDERATED: models[FEDERATED]})
    pool = _Test(
        POOLED,
        inputs,
        np.concatenate([part.labels for part in parts]),
        told,
        rounded=disclosure.pool_tells(everyone),
        seed=spec.seed,
    )
    return [pool, *parts]


def _predicted(
    spec: StudySpec, inputs: Array, models: Mapping[str, Parameters]
) -> dict[str, Array]:
    return {name: probabilities(found, inputs, spec) for name, found in models.items()}


def _learning(
    spec: StudySpec, sites: Mapping[str, Site], states: Mapping[int, Parameters], pool: _Test
) -> list[LearningPoint]:
    points = []
    for number, parameters in sorted(states.items()):
        for name, site in sites.items():
            inputs, labels = site.validation
            if enough(labels):
                found = probabilities(parameters, inputs, spec)
                loss = log_loss(labels, found) / LOSS_UNIT / len(labels)
                points.append(LearningPoint(number, name, loss, auc(labels, found)))
        area: Estimate | None = auc(pool.labels, probabilities(parameters, pool.inputs, spec))
        if pool.rounded:
            area = disclosure.blurred(area)
        points.append(LearningPoint(number, POOLED, None, area if pool.shown else None))
    return points


def _comparisons(sites: Mapping[str, Site], tests: Sequence[_Test]) -> list[Comparison]:
    pool, *parts = tests
    wanted = [(pool, CENTRALISED)]
    for part, name in zip(parts, sites, strict=True):
        wanted += [(part, own_model(name)), (pool, own_model(name)), (part, CENTRALISED)]
    found = [test.comparison(rival) for test, rival in wanted if rival in test.predicted]
    return [item for item in found if item is not None]
