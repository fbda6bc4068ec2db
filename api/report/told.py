"""Gathers the figures of a study of another task than two labels, signed and simulated."""

from __future__ import annotations

from collections.abc import Sequence

from api.report.data import TaskFigures, TaskRow
from chain.types import BlockNumber, RoundNumber
from federated.evaluation.figures import FigureRow
from federated.evaluation.result import FEDERATED
from federated.party import Party
from federated.reported import figures_of
from federated.study import Study
from federated.tasks import task_of


def task_figures(
    party: Party,
    study: Study,
    number: RoundNumber,
    names: Sequence[str],
    simulated: Sequence[FigureRow],
    block: BlockNumber,
) -> TaskFigures:
    """What hospitals signed of a round's model on their test patients, and what was simulated.

    `names` are the hospitals' in the order of their index. A hospital that signed nothing has no
    row.
    """
    signed = [
        TaskRow(
            FEDERATED,
            names[item.hospital],
            dict(item.estimates(study.spec)),
            item.suppressed,
            None if item.suppressed else item.people,
        )
        for item in figures_of(party, study, number, block)
        if item.split == "test"
    ]
    rows = [TaskRow(x.model, x.test, dict(x.figures), x.withheld) for x in simulated]
    return TaskFigures(task_of(study.spec.task).figures, tuple(signed), tuple(rows))
