"""How good the final model of another task than two labels is: the task's own figures."""

from __future__ import annotations

from api.figure_names import FIGURE_NAMES as NAMES
from api.report.blocks import SIMULATED, Block, Section, Text, row, table
from api.report.data import ReportData, TaskFigures, TaskRow
from api.report.numbers import NONE, count, figure
from api.report.performance import model_name, tested_on
from federated.evaluation.result import CENTRALISED, FEDERATED, POOLED, own_model
from federated.results import LEAST_COUNT

SIGNED = "From figures that each hospital signed about its own test patients, in the task's steps."
WITHHELD = "not shown"
MEANINGS = {
    "accuracy": "The share of patients whose likeliest class is theirs. Interval: Wilson's.",
    "balanced_accuracy": "The mean over classes of the share that is found, however rare a class.",
    "auc": "The mean over classes of the chance that a random patient of the class gets a higher "
    "probability of it than a random other one. 0.5 is guessing.",
    "brier": "The squared error of all classes' probabilities, summed: 0 is perfect, 2 the worst.",
    "mae": "The mean distance of the amount from the true one, in its unit.",
    "rmse": "The root of the mean squared distance, in the amount's unit.",
    "r2": "The share of the amounts' spread that the model explains; below 0 their mean is better.",
    "c_index": "The chance that of two patients the one with the higher risk has the event first. "
    "0.5 is guessing.",
}
"""What each tells a reader."""


def reading(found: TaskFigures) -> tuple[tuple[str, str], ...]:
    """The task's figures, explained."""
    return tuple((NAMES[name], MEANINGS[name]) for name in found.names)


def section(data: ReportData, found: TaskFigures) -> Section:
    """The final model: signed by hospitals, and beside the others by the simulation."""
    columns = tuple(NAMES[name] for name in found.names)
    blocks: list[Block] = []
    if found.signed:
        caption = "The final model at each hospital, with 95 % intervals"
        rows = [
            row(item.test, count(item.people) if item.people else NONE, *_cells(found, item))
            for item in found.signed
        ]
        head = ("hospital", "test patients", *columns)
        blocks.append(table("signed", caption, SIGNED, head, rows))
    if found.simulated:
        blocks += _simulated(data, found, columns)
    if any(item.withheld for item in (*found.signed, *found.simulated)):
        blocks.append(
            Text(
                f"Not shown: figures of fewer than {LEAST_COUNT} people of one of the task's "
                "groups, which could tell about one person, nor figures over all hospitals that, "
                "less those which are shown, would tell of so few.",
                "note",
            )
        )
    return Section("figures", "How good the final model is", tuple(blocks))


def good(found: TaskFigures) -> str:
    """The sentence of the summary: the task's first figure over all, or by hospital."""
    first = found.names[0]
    everywhere = [
        x for x in found.simulated if (x.model, x.test) == (FEDERATED, POOLED) and not x.withheld
    ]
    rows = everywhere or found.signed
    words = [
        f"{tested_on(item.test)}: {WITHHELD if item.withheld else figure(item.figures[first])}"
        for item in rows
    ]
    return f"{NAMES[first][0].upper()}{NAMES[first][1:]} on test patients: {'; '.join(words)}."


def _simulated(data: ReportData, found: TaskFigures, columns: tuple[str, ...]) -> list[Block]:
    """The pool and every model, then each hospital beside what else it could have had."""
    rows = {(item.test, item.model): item for item in found.simulated}
    places = [(POOLED, name) for name in (FEDERATED, CENTRALISED, *map(own_model, data.hospitals))]
    for name in data.hospitals:
        places += [(name, model) for model in (FEDERATED, own_model(name), CENTRALISED)]
    lines = [
        row(tested_on(test), model_name(model), *_cells(found, rows[test, model]))
        for test, model in places
        if (test, model) in rows
    ]
    caption = "Beside models tuned without federation, with 95 % intervals"
    head = ("test patients", "model", *columns)
    return [table("beside", caption, SIMULATED, head, lines, words=(1,))]


def _cells(found: TaskFigures, item: TaskRow) -> tuple[str, ...]:
    if item.withheld:
        return (WITHHELD,) * len(found.names)
    return tuple(figure(item.figures[name]) for name in found.names)
