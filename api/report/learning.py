"""The global model from round to round."""

from __future__ import annotations

from api.report.blocks import (
    REPORTED,
    SIMULATED,
    Block,
    Cell,
    Plots,
    Section,
    Table,
    Text,
    row,
    table,
)
from api.report.data import ReportData
from api.report.numbers import NONE, count, figure, share
from api.report.plots import (
    learning_plot,
    pooled_learning_plot,
    strokes,
)
from federated.evaluation.result import (
    POOLED,
)
from federated.results import LEAST_COUNT


def section(data: ReportData) -> Section:
    """The global model from round to round."""
    points = data.evaluation.learning
    names = [name for name in data.hospitals if any(point.where == name for point in points)]
    loss = {
        name: [(p.round_number, p.loss) for p in points if p.where == name and p.loss is not None]
        for name in names
    }
    area = {
        name: [(p.round_number, p.auc.value) for p in points if p.where == name and p.auc]
        for name in names
    }
    pooled = [point for point in points if point.where == POOLED and point.auc]
    panels = []
    if names:
        panels.append(learning_plot("learn-loss", "Validation loss by hospital", "log loss", loss))
        panels.append(learning_plot("learn-auc", "Validation AUC by hospital", "AUC", area))
    if pooled:
        panels.append(pooled_learning_plot("learn-pooled", pooled))
    key = tuple(zip(names, strokes(len(names)), strict=True))
    blocks: list[Block] = [
        Text(
            "Round 0 is the model as the study begins. Settings and opponents were chosen on "
            "validation records; test records chose nothing."
        ),
        Plots(tuple(panels), key),
    ]
    if data.search:
        blocks += [_search_table(data)]
    if worse := [name for name, line in loss.items() if line[-1][1] > line[0][1]]:
        words = "the loss on the hospital's own validation patients is higher than before training"
        blocks.append(Text(f"At {', '.join(worse)} {words}.", "bad"))
    if missing := data.evaluation.unlearned:
        words = f"fewer than {LEAST_COUNT} validation patients with or without the finding"
        blocks.append(Text(f"Not drawn: {', '.join(missing)} ({words}).", "note"))
    blocks.append(_learning_table(data, names))
    return Section("learning", "Learning curves", tuple(blocks))


def _search_table(data: ReportData) -> Table:
    """The candidates of the study's search, each over its own rounds."""
    rows = []
    for item in data.search:
        first, last = item.rounds
        rows.append(
            row(
                str(item.candidate),
                item.settings,
                str(first) if first == last else f"{first} to {last}",
                NONE if item.loss is None else f"{item.loss:.4f}",
                count(item.people),
                count(item.hospitals),
                Cell("yes", strong=True) if item.chosen else "no",
            )
        )
    columns = ("candidate", "settings", "rounds", "loss a person", "people", "hospitals", "chosen")
    caption = "The search for settings: validation loss of each candidate, in nats"
    return table("search-table", caption, REPORTED, columns, rows, words=(1, 6))


def _learning_table(data: ReportData, names: list[str]) -> Table:
    found = {(point.round_number, point.where): point for point in data.evaluation.learning}
    rows = []
    for number in sorted({number for number, _ in found}):
        cells = []
        for name in names:
            point = found[number, name]
            area = NONE if point.auc is None else share(point.auc.value)
            cells.append(f"{share(point.loss or 0.0)} / {area}")
        rows.append(row(str(number), *cells, figure(found[number, POOLED].auc)))
    columns = ("round", *(f"{name}: loss / AUC" for name in names), "all hospitals: test AUC")
    caption = "The global model by round: validation log loss and AUC, pooled test AUC"
    return table("learning-table", caption, SIMULATED, columns, rows, folded=True)
