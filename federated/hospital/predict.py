"""A prediction for one patient, and all that it rests on. Nothing of a case is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from federated.bedside.calibrate import Band, band_of
from federated.bedside.similar import Reach, beyond, distances, nearest, reach
from federated.errors import ExplanationError
from federated.hospital.bedside import Bedside, spaces_of
from federated.hospital.data import CLEANING, values_array
from federated.hospital.node import dictionary_of
from federated.metrics import OPERATING_POINT
from federated.schema import Array
from federated.spec import StudySpec
from records.case import Case, Reading
from records.case_files import read_cases
from records.record import LocalKey
from records.splits import Part

if TYPE_CHECKING:
    from federated.bedside.explain import Explanation

SIMILAR = 3


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A consented past case of this hospital; it leaves the hospital in no form."""

    key: LocalKey
    positive: bool
    distance: float


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """One case. `score` is the model's own probability, `chance` the calibrated one where there is,
    `common` the global model's where another one is used.

    `positive` is the decision at the operating point of `score`. `beyond` is −1 or 1 for each input
    below or above every training patient's; `reaches` say of each space how far the case lies from
    training patients. `explanation` is None where its parts do not sum to what they explain.
    """

    case: Case
    inputs: Array
    score: float
    common: float | None
    chance: float | None
    positive: bool
    band: Band
    explanation: Explanation | None
    similar: tuple[Neighbour, ...]
    beyond: Array
    reaches: dict[str, Reach | None]


def read_file_of_cases(file: Path, spec: StudySpec, *, fit: bool = False) -> list[Case]:
    """Cases by the study's dictionary and the hospital's cleaning. Raises `RecordsError`s."""
    dictionary = dictionary_of(spec)
    return read_cases(file, Reading(dictionary, CLEANING.get(dictionary.name), fit))


def predict(bedside: Bedside, cases: Sequence[Case]) -> list[Prediction]:
    """Predictions in the order of cases."""
    inputs = values_array([case.values for case in cases], bedside.spec)
    odds, spaces = bedside.reader.log_odds(inputs), spaces_of(bedside.reader, inputs)
    return [
        _predict(bedside, case, inputs[i], float(odds[i]), {k: v[i] for k, v in spaces.items()})
        for i, case in enumerate(cases)
    ]


def _predict(
    bedside: Bedside, case: Case, inputs: Array, odds: float, spaces: dict[str, Array]
) -> Prediction:
    train, held = bedside.rows(Part.TRAIN), bedside.rows(Part.VALIDATION)
    score = float(1 / (1 + np.exp(-odds)))
    scores = bedside.reader.chances(bedside.inputs[held])
    calibration = bedside.calibration
    return Prediction(
        case=case,
        inputs=inputs,
        score=score,
        common=float(bedside.common.chances(inputs[None])[0]) if bedside.common else None,
        chance=calibration.chance(odds) if calibration else None,
        positive=score >= OPERATING_POINT,
        band=band_of(score, scores, bedside.labels[held]),
        explanation=_explanation(bedside, inputs),
        similar=_similar(bedside, case, spaces),
        beyond=beyond(inputs, bedside.inputs[train]),
        reaches={
            name: reach(spaces[name], space[train], bedside.between[name])
            for name, space in bedside.spaces.items()
        },
    )


def _explanation(bedside: Bedside, inputs: Array) -> Explanation | None:
    from federated.bedside.explain import explain

    try:
        return explain(bedside.reader, inputs, bedside.reference)
    except ExplanationError:
        return None  # the answer says that there is none: a sum that is off would mislead


def _similar(bedside: Bedside, case: Case, spaces: dict[str, Array]) -> tuple[Neighbour, ...]:
    """In what the model's last layer reads; the case's own record, if it names it, is left out."""
    name = list(bedside.spaces)[-1]
    found = distances(spaces[name], bedside.spaces[name])
    others = [i for i, m in enumerate(bedside.members) if m.record.key != case.key]
    chosen = [others[place] for place in nearest(found[others], SIMILAR)]
    return tuple(
        Neighbour(
            bedside.members[i].record.key, bool(bedside.members[i].record.label), float(found[i])
        )
        for i in chosen
    )
