"""A prediction of a task without two labels as one JSON object; `task_text` puts it in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.bedside.tree import (
    REMINDER,
    band_tree,
    estimate_tree,
    explained,
    model_tree,
    origin_tree,
    rest_of_case,
)
from chain.types import Address
from federated.bedside.residuals import COVERAGE
from federated.evaluation.figures import may_show
from federated.hospital.asked import Answer
from federated.hospital.bedside import Bedside
from federated.hospital.predict_task import AmountAnswer, Ranking, RiskAnswer
from federated.results import LEAST_COUNT
from federated.schema import Array
from federated.tasks import task_of
from records.splits import Part


def task_tree_of(
    bedside: Bedside, answers: Sequence[Answer], names: dict[Address, str]
) -> dict[str, Any]:
    """All of it; `names` are those of hospitals and auditors where they are known."""
    label = bedside.spec.data.label
    return {
        "reference": REMINDER,
        "study": bedside.study.number,
        "title": bedside.spec.title,
        "question": bedside.spec.question,
        "task": bedside.spec.task,
        "label": {"name": label.name, "values": list(label.words), "unit": label.unit},
        "model": {
            **model_tree(bedside),
            "on_own_validation_patients": _figures(bedside, bedside.rows(Part.VALIDATION)),
        },
        "cases": [_case(bedside, item) for item in answers],
        "provenance": origin_tree(bedside, names),
        "reminder": REMINDER,
    }


def _figures(bedside: Bedside, held: Array) -> dict[str, Any] | None:
    """The task's metrics; None for too few of one of its groups."""
    task, labels = task_of(bedside.spec.task), bedside.labels[held]
    if not may_show(task.group(labels), bedside.spec):
        return None
    outputs = bedside.reader.outputs(bedside.inputs[held])
    found = task.scores(labels, outputs, bedside.spec, name="bedside")
    return {name: estimate_tree(figure) for name, figure in found.items()}


def _case(bedside: Bedside, item: Answer) -> dict[str, Any]:
    if isinstance(item, Ranking):
        said = _ranking(bedside, item)
    elif isinstance(item, AmountAnswer):
        said = _amount(bedside, item)
    else:
        assert isinstance(item, RiskAnswer)
        said = _risk(bedside, item)
    return {**said, "explanation": _explanation(bedside, item), **rest_of_case(bedside, item)}


def _ranking(bedside: Bedside, item: Ranking) -> dict[str, Any]:
    words = bedside.spec.data.label.words
    shown = item.scores if item.chances is None else item.chances
    common = item.scores if item.common is None else item.common
    return {
        "ranking": [
            {
                "class": words[place],
                "probability": float(shown[place]),
                "model_probability": float(item.scores[place]),
                "global_model_probability": float(common[place]),
            }
            for place in item.ranked
        ],
        "calibrated": item.calibration is not None,
        "calibration": None
        if item.calibration is None
        else {
            "method": "temperature",
            "slope": item.calibration.slope,
            "patients": item.calibration.patients,
        },
        "similar_scores": band_tree(item.band),
    }


def _amount(bedside: Bedside, item: AmountAnswer) -> dict[str, Any]:
    low, high = bedside.spec.data.label.range
    within = item.within
    return {
        "amount": item.amount,
        "global_model_amount": item.amount if item.common is None else item.common,
        "plausible": low <= item.amount <= high,
        "interval": None
        if within is None
        else {
            "coverage": COVERAGE,
            "low": item.amount - within.distance,
            "high": item.amount + within.distance,
            "patients": within.patients,
        },
    }


def _risk(bedside: Bedside, item: RiskAnswer) -> dict[str, Any]:
    trained = int(bedside.rows(Part.TRAIN).sum())
    return {
        "hazard_ratio": item.ratio,
        "global_model_hazard_ratio": item.ratio if item.common is None else item.common,
        "reference_patients": trained if trained >= LEAST_COUNT else 0,
        "third": None
        if item.third is None
        else {"third": item.third.third.value, **band_tree(item.third.band)},
    }


def _explanation(bedside: Bedside, item: Answer) -> dict[str, Any] | None:
    """Parts in log odds of the likeliest class, in the label's unit, or in log hazard."""
    found = explained(bedside, item)
    if found is None:
        return None
    scale, unit = 1.0, "log odds" if bedside.spec.task == "multiclass" else "log hazard"
    if bedside.spec.task == "regression":
        low, high = bedside.spec.data.label.range
        scale, unit = (high - low) / 4, bedside.spec.data.label.unit or "1"
    parts = [
        {**{k: v for k, v in row.items() if k != "log_odds"}, "part": row["log_odds"] * scale}
        for row in found["parts"]
    ]
    return {
        "method": found["method"],
        "unit": unit,
        "whole": (found["log_odds"] - found["reference_log_odds"]) * scale,
        "reference_patients": found["reference_patients"],
        "gap": found["gap"] * scale,
        "steps": found["steps"],
        "parts": parts,
    }
