"""Predictions of the tasks that have no two labels: a ranking, an amount, a relative risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from federated.bedside.calibrate import Band, band_of
from federated.bedside.residuals import Within, within_of
from federated.bedside.risk import OfThird, third_of
from federated.bedside.temperature import Temperature, fit_temperature
from federated.hospital.asked import Answer, about, ask
from federated.hospital.bedside import Bedside
from federated.schema import Array
from federated.tasks import task_of
from records.case import Case
from records.splits import Part


@dataclass(frozen=True, slots=True, repr=False)
class Ranking(Answer):
    """Chances by class, as the model gives them (`scores`), and calibrated where they are.

    `ranked` are places of classes, the likeliest first; `common` the global model's chances where
    another one is used. `band` and the explanation are of the likeliest.
    """

    scores: Array
    chances: Array | None
    common: Array | None
    ranked: tuple[int, ...]
    calibration: Temperature | None
    band: Band


@dataclass(frozen=True, slots=True, repr=False)
class AmountAnswer(Answer):
    """An amount in the label's unit, and what validation patients show of its error."""

    amount: float
    common: float | None
    within: Within | None


@dataclass(frozen=True, slots=True, repr=False)
class RiskAnswer(Answer):
    """A hazard beside that of the reference (the mean training patient), as a ratio."""

    ratio: float
    common: float | None
    third: OfThird | None


def predict_task(bedside: Bedside, cases: Sequence[Case]) -> Sequence[Answer]:
    """Answers of a study of any other task than two labels, in the order of cases."""
    asked = {"multiclass": _rankings, "regression": _amounts, "survival": _risks}
    return asked[bedside.spec.task](bedside, cases)


def _rankings(bedside: Bedside, cases: Sequence[Case]) -> Sequence[Answer]:
    task, spec, held = task_of(bedside.spec.task), bedside.spec, bedside.rows(Part.VALIDATION)
    outputs, labels = bedside.reader.outputs(bedside.inputs[held]), bedside.labels[held]
    calibration, scores = fit_temperature(outputs, labels), task.predicted(outputs, spec)

    def say(case: Case, inputs: Array, output: Array, spaces: dict[str, Array]) -> Ranking:
        own = task.predicted(output[None], spec)[0]
        ranked = tuple(int(place) for place in np.argsort(-own, kind="stable"))
        first = ranked[0]
        common = bedside.common
        return Ranking(
            **about(bedside, case, inputs, spaces, replace(bedside.reader, place=first)),
            scores=own,
            chances=calibration.chances(output) if calibration else None,
            common=task.predicted(common.outputs(inputs[None]), spec)[0] if common else None,
            ranked=ranked,
            calibration=calibration,
            band=band_of(float(own[first]), scores[:, first], labels == first),
        )

    return ask(bedside, cases, say)


def _amounts(bedside: Bedside, cases: Sequence[Case]) -> Sequence[Answer]:
    task, spec, held = task_of(bedside.spec.task), bedside.spec, bedside.rows(Part.VALIDATION)
    judged = task.predicted(bedside.reader.outputs(bedside.inputs[held]), spec)
    within = within_of(bedside.labels[held], judged)

    def say(case: Case, inputs: Array, output: Array, spaces: dict[str, Array]) -> AmountAnswer:
        common = bedside.common
        return AmountAnswer(
            **about(bedside, case, inputs, spaces, bedside.reader),
            amount=float(task.predicted(output, spec)),
            common=float(task.predicted(common.outputs(inputs[None]), spec)[0]) if common else None,
            within=within,
        )

    return ask(bedside, cases, say)


def _risks(bedside: Bedside, cases: Sequence[Case]) -> Sequence[Answer]:
    held, reference = bedside.rows(Part.VALIDATION), bedside.reference[None]
    risks = bedside.reader.outputs(bedside.inputs[held])
    base = float(bedside.reader.outputs(reference)[0])

    def say(case: Case, inputs: Array, output: Array, spaces: dict[str, Array]) -> RiskAnswer:
        common = bedside.common
        pair = common.outputs(np.concatenate([inputs[None], reference])) if common else None
        return RiskAnswer(
            **about(bedside, case, inputs, spaces, bedside.reader),
            ratio=float(np.exp(output - base)),
            common=None if pair is None else float(np.exp(pair[0] - pair[1])),
            third=third_of(float(output), risks, bedside.labels[held]),
        )

    return ask(bedside, cases, say)
