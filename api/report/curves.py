"""ROC and calibration, by hospital."""

from __future__ import annotations

from dataclasses import replace

from api.report.blocks import (
    SIMULATED,
    Block,
    Cell,
    Plots,
    Section,
    Text,
    row,
    table,
)
from api.report.data import ReportData
from api.report.findings import area_of
from api.report.numbers import NONE, count, figure, share, signed
from api.report.performance import tested_on, withheld
from api.report.plots import (
    MODEL_STROKES,
    area_words,
    calibration_plot,
    roc_plot,
)
from federated.evaluation.calibration import Calibration
from federated.evaluation.result import (
    CENTRALISED,
    FEDERATED,
    Evaluation,
    own_model,
)
from federated.evaluation.roc import Point
from federated.metrics import Estimate

SPECIFICITIES = (0.95, 0.9, 0.8, 0.7, 0.5)


def _drawn(evaluation: Evaluation, name: str) -> list[str]:
    """The models drawn for a test, in the order of their strokes."""
    return [FEDERATED, own_model(name), CENTRALISED]


MODEL_KEY = tuple(zip(("federated", "own model", "centralised"), MODEL_STROKES, strict=True))


def rocs(data: ReportData) -> Section:
    """ROC curves of each hospital and of the pool."""
    evaluation = data.evaluation
    curves = {(item.test, item.model): item.points for item in evaluation.rocs}
    panels, areas, sensitivities = [], [], []
    for place, test in enumerate(evaluation.tests):
        models = _drawn(evaluation, test.name)
        drawn = [curves.get((test.name, model), ()) for model in models]
        if not any(drawn):
            continue
        shown = {
            label: area_of(data, model, test.name)
            for (label, _), model, points in zip(MODEL_KEY, models, drawn, strict=True)
            if points
        }
        title = tested_on(test.name)
        best = shown.get(FEDERATED)
        headed = f"{title}: AUC {share(best.value)}" if best else title
        panels.append(roc_plot(f"roc-{place}", headed, drawn, area_words(shown)))
        areas.append(row(title, *(figure(shown.get(label)) for label, _ in MODEL_KEY)))
        for (label, _), points in zip(MODEL_KEY, drawn, strict=True):
            if points:
                found = [share(_sensitivity(points, at), 2) for at in SPECIFICITIES]
                sensitivities.append(row(title, label, *found))
    columns = ("test patients", *(label for label, _ in MODEL_KEY))
    at = tuple(f"at specificity {x:.2f}" for x in SPECIFICITIES)
    caption = "Sensitivity at some specificities"
    blocks: list[Block] = [
        Plots(tuple(panels), tuple((name, replace(look, marker="")) for name, look in MODEL_KEY)),
        table("areas", "Area under each curve, 95 % interval", SIMULATED, columns, areas),
        table(
            "sensitivities",
            caption,
            SIMULATED,
            ("test patients", "model", *at),
            sensitivities,
            words=(1,),
            folded=True,
        ),
        *withheld(evaluation),
    ]
    return Section("roc", "ROC curves", tuple(blocks))


def _sensitivity(points: tuple[Point, ...], specificity: float) -> float:
    """The highest sensitivity at this specificity or a higher one."""
    return max(y for x, y in points if x <= 1 - specificity + 1e-9)


def calibration(data: ReportData) -> Section:
    """Whether the probabilities are right."""
    evaluation = data.evaluation
    found = {(item.test, item.model): item.calibration for item in evaluation.calibrations}
    panels, rows, scored, bins = [], [], [], []
    for place, test in enumerate(evaluation.tests):
        drawn = [found.get((test.name, model)) for model in _drawn(evaluation, test.name)]
        if not any(drawn):
            continue
        title = tested_on(test.name)
        words = "; ".join(
            f"{label}: Brier {figure(item.brier)}, slope {_plain(item)}"
            for (label, _), item in zip(MODEL_KEY, drawn, strict=True)
            if item
        )
        plotted = [*drawn[:2], None]  # a third line would hide the two that matter here
        panels.append(calibration_plot(f"calibration-{place}", title, plotted, f"{words}."))
        for (label, _), item in zip(MODEL_KEY, drawn, strict=True):
            if item is not None:
                rows.append(_calibration_row(title, label, item))
                scored.append(_brier_row(title, label, item))
                bins += _bin_rows(title, label, item)
    columns = (
        *("test patients", "model", "mean predicted", "observed"),
        *("intercept (ideal 0)", "slope (ideal 1)"),
    )
    parts = ("patients", "Brier score", "= miscalibration", "− discrimination", "+ uncertainty")
    in_bins = ("test patients", "model", "patients", "mean predicted", "observed (95 % interval)")
    blocks: list[Block] = [
        Text(
            "A point is a group of equally many patients, at least ten, with neighbouring "
            "probabilities; its line is the 95 % interval of the share that has the finding. On "
            "the diagonal a probability of 0.3 means three of ten. An intercept below 0 says that "
            "probabilities are too high, a slope below 1 that they are too extreme. Of the Brier "
            "score, miscalibration is what correcting the probabilities could spare, and "
            "discrimination what they spare beside telling everybody the observed share, which has "
            "the score called uncertainty."
        ),
        Plots(tuple(panels), MODEL_KEY[:2]),
        table("calibrations", "Calibration, 95 % intervals", SIMULATED, columns, rows, words=(1,)),
        table(
            "brier",
            "Brier score, 95 % intervals, and what it is made of",
            SIMULATED,
            ("test patients", "model", *parts),
            scored,
            words=(1,),
        ),
        table(
            "bins",
            "The points of the calibration plots",
            SIMULATED,
            in_bins,
            bins,
            words=(1,),
            folded=True,
        ),
        *withheld(evaluation),
    ]
    return Section("calibration", "Calibration", tuple(blocks))


def _calibration_row(title: str, label: str, item: Calibration) -> tuple[Cell, ...]:
    return row(
        title,
        label,
        share(item.expected),
        share(item.observed),
        signed(item.intercept, 2),
        _interval(item.slope),
    )


def _brier_row(title: str, label: str, item: Calibration) -> tuple[Cell, ...]:
    made_of = item.parts
    parts = (made_of.miscalibration, made_of.discrimination, made_of.uncertainty)
    return row(title, label, count(item.count), figure(item.brier), *map(share, parts))


def _bin_rows(title: str, label: str, item: Calibration) -> list[tuple[Cell, ...]]:
    return [
        row(title, label, count(part.count), share(part.predicted), figure(part.observed))
        for part in item.bins
    ]


def _plain(item: Calibration) -> str:
    return NONE if item.slope is None else share(item.slope.value, 2)


def _interval(found: Estimate | None) -> str:
    if found is None:
        return NONE
    return f"{share(found.value, 2)} ({share(found.low, 2)} to {share(found.high, 2)})"
