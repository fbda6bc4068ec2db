"""Each model on each hospital's test records, for every task; figures of few people are withheld.

It sees every hospital's records, as a simulation alone does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from federated.evaluation.disclosure import enough, pool_tells
from federated.evaluation.result import POOLED
from federated.schema import Array, Parameters
from federated.simulate import Site, used_at
from federated.spec import StudySpec
from federated.tasks import Figures, task_of
from federated.tasks.reading import outputs_of


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A model on test records of a hospital, or of all ("pooled"); no figures where withheld."""

    model: str
    test: str
    figures: Figures
    withheld: bool


def compare_figures(
    spec: StudySpec,
    sites: Mapping[str, Site],
    models: Mapping[str, Parameters],
    own: Mapping[str, Parameters] | None = None,
) -> list[FigureRow]:
    """The matrix of models and test records, the pool first; `own` as `simulate.compare` has it.

    A hospital with fewer than five people of one of the task's groups shows nothing; where the pool
    less the hospitals shown would tell of such, neither does the pool: other tasks' figures have
    no rounding that is known to hide a hospital.
    """
    tests = {name: site.test for name, site in sites.items()}
    groups = {name: task_of(spec.task).group(labels) for name, (_, labels) in tests.items()}
    hidden = {name for name, found in groups.items() if not may_show(found, spec)}
    if pool_tells(groups, task_of(spec.task).groups(spec)):
        hidden.add(POOLED)
    pool = tuple(np.concatenate([test[at] for test in tests.values()]) for at in (0, 1))
    return [
        _row(spec, model, used_at(where, models, own)[model], where, records, hidden)
        for model in models
        for where, records in {POOLED: pool, **tests}.items()
    ]


def may_show(groups: Array, spec: StudySpec, people: Array | None = None) -> bool:
    """Whether there are five people or more in each of the task's groups.  # (n,), (n,)"""
    return enough(groups, people, task_of(spec.task).groups(spec))


def _row(
    spec: StudySpec,
    model: str,
    parameters: Parameters,
    where: str,
    records: tuple[Array, ...],
    hidden: set[str],
) -> FigureRow:
    task, (inputs, labels) = task_of(spec.task), records
    if where in hidden:
        return FigureRow(model, where, dict.fromkeys(task.figures), True)
    found = task.scores(labels, outputs_of(parameters, inputs, spec), spec, name=where)
    return FigureRow(model, where, found, False)
