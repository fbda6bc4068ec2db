"""A prediction as one JSON object; the words of `text` are made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chain.types import Address
from federated.bedside.calibrate import BAND, Band
from federated.bedside.explain import Explanation
from federated.bedside.similar import PERCENTILE, Reach
from federated.hospital.asked import Answer
from federated.hospital.bedside import Bedside
from federated.hospital.predict import Prediction
from federated.metrics import OPERATING_POINT, Estimate, scores
from federated.models import input_shape
from federated.results import LEAST_COUNT
from federated.schema import Array
from records.splits import Part
from storage.cid import dag_cbor_cid

REMINDER = (
    "A reference, never a verdict: it says what a model makes of a few values, and a person decides"
)

_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "centre", "right")


def tree_of(
    bedside: Bedside, predictions: list[Prediction], names: dict[Address, str]
) -> dict[str, Any]:
    """All of it; `names` are those of hospitals and auditors where they are known."""
    label = bedside.spec.data.label
    return {
        "reference": REMINDER,
        "study": bedside.study.number,
        "title": bedside.spec.title,
        "question": bedside.spec.question,
        "label": {"name": label.name, "positive": label.positive, "negative": label.negative},
        "model": _model(bedside),
        "cases": [_case(bedside, item) for item in predictions],
        "provenance": origin_tree(bedside, names),
        "reminder": REMINDER,
    }


def _model(bedside: Bedside) -> dict[str, Any]:
    held = bedside.rows(Part.VALIDATION)
    calibration = bedside.calibration
    return {
        **model_tree(bedside),
        "operating_point": OPERATING_POINT,
        "calibration": None
        if calibration is None
        else {
            "method": calibration.method,
            "slope": calibration.slope,
            "shift": calibration.shift,
            "patients": calibration.patients,
        },
        "on_own_validation_patients": _figures(bedside, held),
    }


def model_tree(bedside: Bedside) -> dict[str, Any]:
    """Which model answers, why, and how many of the hospital's patients it knows: of any task."""
    return {
        "kind": bedside.kept.value,
        "personalised": bedside.personal is not None,
        "why": bedside.personal.why if bedside.personal and not bedside.warning else None,
        "warning": bedside.warning or None,
        "own_training_patients": int(bedside.rows(Part.TRAIN).sum()),
        "own_validation_patients": int(bedside.rows(Part.VALIDATION).sum()),
    }


def _figures(bedside: Bedside, held: Array) -> dict[str, Any] | None:
    """Sensitivity and specificity at the operating point; None for too few of a label."""
    labels = bedside.labels[held]
    positives = int(np.count_nonzero(labels))
    if min(positives, len(labels) - positives) < LEAST_COUNT:
        return None
    found = scores(labels, bedside.reader.chances(bedside.inputs[held]))
    return {name: estimate_tree(getattr(found, name)) for name in ("sensitivity", "specificity")}


def _case(bedside: Bedside, item: Prediction) -> dict[str, Any]:
    label = bedside.spec.data.label
    return {
        "probability": item.score if item.chance is None else item.chance,
        "calibrated": item.chance is not None,
        "model_probability": item.score,
        "global_model_probability": item.score if item.common is None else item.common,
        "positive": item.positive,
        "decision": label.positive if item.positive else label.negative,
        "similar_scores": band_tree(item.band),
        "explanation": explained(bedside, item),
        **rest_of_case(bedside, item),
    }


def rest_of_case(bedside: Bedside, item: Answer) -> dict[str, Any]:
    """What is told of a case whatever the task, save the explanation."""
    return {
        "similar": [
            {
                "patient": other.key,
                "label": other.label,
                "distance": other.distance,
            }
            for other in item.similar
        ],
        "outside": _outside(bedside, item),
        "reach": {name: _reach(found) for name, found in item.reaches.items()},
        "imputed": list(item.case.imputed),
        "picture": item.case.done or None,
    }


def band_tree(band: Band) -> dict[str, Any]:
    """Patients like the case, and None for every number that is too small to be shown."""
    return {
        "within": BAND,
        "fewer_than_5": band.few.value or None,
        "patients": band.patients,
        "positive": band.positive,
        "share": estimate_tree(band.share),
    }


def explained(bedside: Bedside, item: Answer) -> dict[str, Any] | None:
    """The parts of an explanation, the strongest first; None where there is none."""
    found = item.explanation
    if found is None:
        return None
    image = bedside.spec.data.features[0].shape
    parts = _regions(found, image) if image else _fields(bedside, item, found)
    trained = int(bedside.rows(Part.TRAIN).sum())
    return {
        "method": "exact" if not found.steps else "integrated gradients",
        "log_odds": found.log_odds,
        "reference_log_odds": found.reference,
        "reference_patients": trained if trained >= LEAST_COUNT else 0,
        "gap": found.gap,
        "steps": found.steps,
        "parts": parts,
    }


def _fields(bedside: Bedside, item: Answer, found: Explanation) -> list[dict[str, Any]]:
    """One part a field, the strongest first."""
    rows = [
        {
            "field": feature.name,
            "value": value,
            "unit": feature.unit,
            "imputed": feature.name in item.case.imputed,
            "log_odds": float(part),
        }
        for feature, value, part in zip(
            bedside.spec.data.features, item.case.values, found.parts, strict=True
        )
    ]
    return sorted(rows, key=lambda row: -abs(float(row["log_odds"])))


def _regions(found: Explanation, shape: tuple[int, ...]) -> list[dict[str, Any]]:
    """One part a ninth of the picture, as one looks at it, the strongest first."""
    grid = found.parts.reshape(shape[:2])
    rows = [
        {"region": f"{high} {wide}", "log_odds": float(cell.sum())}
        for high, band in zip(_ROWS, np.array_split(grid, 3, axis=0), strict=True)
        for wide, cell in zip(_COLUMNS, np.array_split(band, 3, axis=1), strict=True)
    ]
    return sorted(rows, key=lambda row: -abs(row["log_odds"]))


def _outside(bedside: Bedside, item: Answer) -> list[dict[str, Any]]:
    """Every way in which the case lies outside of the training patients; empty for none."""
    found: list[dict[str, Any]] = []
    if input_shape(bedside.spec) == (len(bedside.spec.data.features),):
        found += [
            {"field": feature.name, "side": "above" if side > 0 else "below"}
            for feature, side in zip(bedside.spec.data.features, item.beyond, strict=True)
            if side
        ]
    found += [{"distance": name} for name, at in item.reaches.items() if at is not None and at.far]
    return found


def _reach(found: Reach | None) -> dict[str, Any] | None:
    if found is None:
        return None
    numbers = {"nearest": found.nearest, "usual": found.usual, "limit": found.limit}
    return numbers | {"percentile": PERCENTILE}


def origin_tree(bedside: Bedside, names: dict[Address, str]) -> dict[str, Any]:
    """Where the model comes from."""
    found, personal = bedside.provenance, bedside.personal
    in_use = personal is not None and not bedside.warning
    return {
        "chain": found.chain_id,
        "rounds": found.rounds,
        "study": found.study,
        "round": found.round_number,
        "of_rounds": found.of_rounds,
        "state": found.state.hex(),
        "manifest": found.manifest,
        "spec": found.spec.hex(),
        "hospitals": [{"address": a, "name": names.get(a)} for a in found.included],
        "contaminated": bool(found.voided),
        "voided_rounds": list(found.voided),
        "attestations": [
            {
                "auditor": item.auditor,
                "name": names.get(item.auditor),
                "round": item.round or None,
                "level": item.level.name.lower(),
                "verdict": item.verdict.name.lower(),
                "report": str(dag_cbor_cid(item.report)) if any(item.report) else None,
            }
            for item in found.attestations
        ],
        "personal": None
        if personal is None or not in_use
        else {
            "kept": personal.kept.value,
            "block": personal.block,
            "training_patients": len(personal.trained),
            "validation_patients": len(personal.validated),
        },
    }


def everyone(bedside: Bedside) -> list[Address]:
    """Accounts whose names the tree shows."""
    found = bedside.provenance
    return [*found.included, *dict.fromkeys(item.auditor for item in found.attestations)]


def estimate_tree(figure: Estimate | None) -> dict[str, float] | None:
    """A figure and its interval."""
    if figure is None:
        return None
    return {"value": figure.value, "low": figure.low, "high": figure.high}
