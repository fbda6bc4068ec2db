"""How good the models are: the figures, and every model at every hospital."""

from __future__ import annotations

from api.report.blocks import (
    SIGNED,
    SIMULATED,
    Block,
    Cell,
    Section,
    Table,
    Text,
    row,
    table,
)
from api.report.data import ReportData
from api.report.findings import TOO_FEW, area_of
from api.report.numbers import NONE, count, figure
from federated.evaluation.disclosure import NOTHING
from federated.evaluation.result import (
    CENTRALISED,
    FEDERATED,
    POOLED,
    Evaluation,
    TestSet,
    own_model,
)
from federated.metrics import FIGURES, Scores

ALL = "all hospitals"
COLUMNS = ("accuracy", "balanced accuracy", "sensitivity", "specificity", "AUC")
"""The figures of `Scores`, as people read them."""

TUNED = "beside models tuned without federation"


def tested_on(name: str) -> str:
    """A set of test records as people read it."""
    return ALL if name == POOLED else name


def model_name(name: str) -> str:
    """A model as people read it."""
    return name.replace("local:", "own of ", 1) if name.startswith("local:") else name


def figures(data: ReportData) -> Section:
    """The final model: signed by hospitals, and over all by the simulation."""
    tests = {test.name: test for test in data.evaluation.tests}
    signed_by = {item.hospital: item.scores for item in data.signed}
    rows = [_figures_row(name, tests.get(name), signed_by.get(name)) for name in data.hospitals]
    where = f"{data.study.outcome}: {data.study.positive}"
    columns = ("test patients", f"of them {where}", *COLUMNS)
    caption = "The final model at each hospital, at probability 0.5, with 95 % intervals"
    blocks: list[Block] = [
        table("signed", caption, SIGNED, ("hospital", *columns), rows),
        _pooled_table(data, columns),
        *_beside_table(data),
        *withheld(data.evaluation),
    ]
    return Section("figures", "How good the final model is", tuple(blocks))


def _pooled_table(data: ReportData, columns: tuple[str, ...]) -> Table:
    """Every model on all test patients; the AUC alone where rounded."""
    pool = next(test for test in data.evaluation.tests if test.name == POOLED)
    rows = [
        _figures_row(model_name(name), pool, data.evaluation.cell(name, POOLED))
        for name in (FEDERATED, CENTRALISED, *map(own_model, data.hospitals))
    ]
    if data.evaluation.pool_rounded:
        columns, rows = columns[-1:], [(line[0], line[-1]) for line in rows]
    caption = f"On the patients of all hospitals, {TUNED}, with 95 % intervals"
    return table("pooled", caption, SIMULATED, ("model", *columns), rows)


def _beside_table(data: ReportData) -> list[Block]:
    """What else a hospital could have had, on its own patients."""
    rows = [
        row(name, model_name(model), *_shown(data.evaluation.cell(model, name)))
        for name in (test.name for test in data.evaluation.tests if not test.withheld)
        for model in (FEDERATED, own_model(name), CENTRALISED)
        if name != POOLED
    ]
    if not rows:
        return []
    caption = f"On each hospital's patients, {TUNED}, with 95 % intervals"
    return [
        table("beside", caption, SIMULATED, ("test patients", "model", *COLUMNS), rows, words=(1,))
    ]


def _figures_row(name: str, test: TestSet | None, found: Scores | None) -> tuple[Cell, ...]:
    scores = found or NOTHING
    sizes = (test.count, test.positives) if test else (None, None)
    return row(
        name,
        *(NONE if size is None else count(size) for size in sizes),
        *_shown(scores),
    )


def _shown(scores: Scores) -> tuple[str, ...]:
    return tuple(figure(getattr(scores, name)) for name in FIGURES)


def withheld(evaluation: Evaluation) -> list[Block]:
    """Why some figures are missing."""
    names = [test.name for test in evaluation.tests if test.withheld and test.name != POOLED]
    if not names:
        return []
    words = f"Not shown: {', '.join(names)} ({TOO_FEW}; such figures could tell about one person)."
    if evaluation.pool_rounded:
        words += (
            " So that nobody gets them as a difference either, figures over all hospitals are "
            "rounded and come without counts."
        )
    return [Text(words, "note")]


def matrix(data: ReportData) -> Section:
    """Every model on every hospital's patients."""
    evaluation = data.evaluation
    models = list(dict.fromkeys(cell.model for cell in evaluation.cells))
    tests = [test.name for test in evaluation.tests]
    rows = []
    for model in models:
        cells = [_area_cell(data, model, test) for test in tests]
        rows.append(row(Cell(model_name(model)), *cells))
    columns = ("model trained by", *(tested_on(test) for test in tests))
    blocks: list[Block] = [
        Text(
            "Each row is a model, each column the test patients of a hospital: own models show how "
            "far learning alone carries to other hospitals. The darker, the higher the AUC; a "
            "hospital's own model on its own patients is in bold."
        ),
        table(
            "matrix",
            "AUC of every model at every hospital, 95 % intervals",
            SIMULATED,
            columns,
            rows,
        ),
        *withheld(evaluation),
    ]
    return Section("cross-site", "Cross-site matrix", tuple(blocks))


def _area_cell(data: ReportData, model: str, test: str) -> Cell:
    area = area_of(data, model, test)
    if area is None:
        return Cell(NONE)
    shade = min(5, max(0, int((area.value - 0.45) / 0.1)))
    return Cell(figure(area), shade=shade, strong=model == own_model(test))
