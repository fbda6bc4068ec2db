"""A prediction for one patient, and all that it rests on. Nothing of a case is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federated.bedside.calibrate import Band, band_of
from federated.hospital.asked import Answer, about, ask, read_file_of_cases
from federated.hospital.bedside import Bedside
from federated.metrics import OPERATING_POINT
from federated.schema import Array
from records.case import Case
from records.splits import Part

__all__ = ["Prediction", "predict", "read_file_of_cases"]


@dataclass(frozen=True, slots=True, repr=False)
class Prediction(Answer):
    """One case of a study of two labels.

    `score` is the model's own probability, `chance` the calibrated one where there is, `common` the
    global model's where another one is used. `positive` is the decision at the operating point of
    `score`.
    """

    score: float
    common: float | None
    chance: float | None
    positive: bool
    band: Band


def predict(bedside: Bedside, cases: Sequence[Case]) -> list[Prediction]:
    """Predictions of a study of two labels, in the order of cases."""

    def say(case: Case, inputs: Array, output: Array, spaces: dict[str, Array]) -> Prediction:
        return _predict(bedside, case, inputs, float(output), spaces)

    return ask(bedside, cases, say)


def _predict(
    bedside: Bedside, case: Case, inputs: Array, odds: float, spaces: dict[str, Array]
) -> Prediction:
    held, calibration = bedside.rows(Part.VALIDATION), bedside.calibration
    score = float(1 / (1 + np.exp(-odds)))
    scores = bedside.reader.chances(bedside.inputs[held])
    return Prediction(
        **about(bedside, case, inputs, spaces, bedside.reader),
        score=score,
        common=float(bedside.common.chances(inputs[None])[0]) if bedside.common else None,
        chance=calibration.chance(odds) if calibration else None,
        positive=score >= OPERATING_POINT,
        band=band_of(score, scores, bedside.labels[held]),
    )
