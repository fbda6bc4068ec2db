"""A prediction for one patient, and all that it rests on. Nothing of a case is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chain.types import BlockNumber, ConsentId, StudyId
from federated.bedside.calibrate import Band, Calibration, band_of, calibrate
from federated.bedside.choose import Kind
from federated.bedside.similar import Reach, beyond, distances, nearest, own_nearest, reach
from federated.errors import ExplanationError
from federated.hospital.data import CLEANING, arrays, values_array
from federated.hospital.members import current_members
from federated.hospital.node import HospitalNode, dictionary_of
from federated.hospital.personal import Personal, read_personal
from federated.metrics import OPERATING_POINT
from federated.provenance import Provenance, provenance_of, standing_round
from federated.published import open_state
from federated.results import LEAST_COUNT
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.study import Study, read_study
from records.case import Case, Reading, read_cases
from records.cohort import Member
from records.record import LocalKey
from records.splits import Part

if TYPE_CHECKING:
    from federated.bedside.explain import Explanation
    from federated.bedside.reading import Reader

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


@dataclass(frozen=True, slots=True, repr=False)
class Bedside:
    """A model ready for cases: where it comes from, and the hospital's patients who consent now.

    `kept` is which kind of model `reader` reads, `common` the global one where that is another;
    `personal` is what was kept, and `warning` says why it is not used. Arrays are over `members` in
    their order.
    """

    study: Study
    provenance: Provenance
    kept: Kind
    personal: Personal | None
    warning: str
    reader: Reader
    common: Reader | None
    members: tuple[Member, ...]
    inputs: Array
    labels: Array
    spaces: dict[str, Array]
    between: dict[str, Array]
    calibration: Calibration | None

    @property
    def spec(self) -> StudySpec:
        """The study's spec."""
        return self.study.spec

    def rows(self, part: Part) -> Array:
        """Which members play a part.  # (members,) of bool"""
        return _rows(self.members, part)

    @property
    def reference(self) -> Array:
        """What a case is compared with: the mean training patient, else the ranges' middle."""
        train = self.rows(Part.TRAIN)
        if train.sum() < LEAST_COUNT:
            return np.zeros(self.inputs.shape[1])
        mean: Array = self.inputs[train].mean(axis=0, dtype=np.float64)
        return mean


def read_file_of_cases(file: Path, spec: StudySpec, *, fit: bool = False) -> list[Case]:
    """Cases by the study's dictionary and the hospital's cleaning. Raises `RecordsError`s."""
    dictionary = dictionary_of(spec)
    return read_cases(file, Reading(dictionary, CLEANING.get(dictionary.name), fit))


def open_bedside(node: HospitalNode, number: StudyId, folder: Path) -> Bedside:
    """The hospital's model of a study: its personal one while that may be used, else the global.

    The global model is fetched by its digest on-chain. A personal model is not used where a patient
    whom it saw has withdrawn, or where another model stands now than that which it began from.
    Raises `StepError` where no round is finalized, and what `open_state` does.
    """
    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    study.index_of(party.address)
    round_number = standing_round(party, study, block)
    provenance = provenance_of(party, study, round_number, block)
    start = open_state(party, study, round_number, block).parameters
    personal = read_personal(folder, party, study)
    warning = _why_not(node, provenance, personal, block)
    kept, parameters = Kind.GLOBAL, start
    if personal is not None and not warning:
        kept, parameters = personal.kept, _of_kind(personal, start)
    members = current_members(node, study, block)
    ready = prepare(study, provenance, (kept, personal, warning), parameters, members)
    if kept is Kind.GLOBAL:
        return ready
    return replace(ready, common=type(ready.reader).of(start, study.spec))


def prepare(
    study: Study,
    provenance: Provenance,
    origin: tuple[Kind, Personal | None, str],
    parameters: Parameters,
    members: Sequence[Member],
) -> Bedside:
    """A model and patients made ready: calibration, and distances between patients.

    `origin` is what `Bedside` calls kept, personal and warning.
    """
    from federated.bedside.reading import Reader  # torch takes seconds: only here it is needed

    kept, personal, warning = origin
    reader = Reader.of(parameters, study.spec)
    inputs, labels = _own_arrays(members, study.spec)
    spaces = _spaces(reader, inputs)
    train, held = (_rows(members, part) for part in (Part.TRAIN, Part.VALIDATION))
    return Bedside(
        study=study,
        provenance=provenance,
        kept=kept,
        personal=personal,
        warning=warning,
        reader=reader,
        common=None,
        members=tuple(members),
        inputs=inputs,
        labels=labels,
        spaces=spaces,
        between={name: own_nearest(space[train]) for name, space in spaces.items()},
        calibration=calibrate(reader.log_odds(inputs[held]), labels[held]),
    )


def predict(bedside: Bedside, cases: Sequence[Case]) -> list[Prediction]:
    """Predictions in the order of cases."""
    inputs = values_array([case.values for case in cases], bedside.spec)
    odds, spaces = bedside.reader.log_odds(inputs), _spaces(bedside.reader, inputs)
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
            bedside.members[i].record.key, bedside.members[i].record.positive, float(found[i])
        )
        for i in chosen
    )


def _why_not(
    node: HospitalNode, provenance: Provenance, personal: Personal | None, block: BlockNumber
) -> str:
    """Why what was kept is not to be used now; empty where it is, or where nothing was kept."""
    if personal is None:
        return ""
    anew = f"run `consilium hospital personalise {provenance.study}` again"
    seen = [ConsentId(id_) for id_ in (*personal.trained, *personal.validated)]
    flags = node.party.chain.consents.active_at(seen, block, block_identifier=block)
    if gone := flags.count(False):
        people = "a patient who has" if gone == 1 else f"{gone} patients who have"
        return (
            f"the personal model saw {people} withdrawn since: it is not used any more, {anew}; "
            "the global model answers"
        )
    if personal.state != provenance.state:
        return (
            f"the personal model began from round {personal.round_number}'s model, and that of "
            f"round {provenance.round_number} stands now: {anew}; the global model answers"
        )
    return ""


def _of_kind(personal: Personal, start: Parameters) -> Parameters:
    return start if personal.kept is Kind.GLOBAL else personal.parameters


def _own_arrays(members: Sequence[Member], spec: StudySpec) -> tuple[Array, Array]:
    if members:
        return arrays(members, spec)
    width = sum(int(np.prod(feature.shape)) for feature in spec.data.features)
    return np.zeros((0, width), dtype=np.float32), np.zeros(0, dtype=np.float32)


def _spaces(reader: Reader, inputs: Array) -> dict[str, Array]:
    """Where distances are measured; a linear model's last layer reads the inputs themselves."""
    found = {"values": inputs.astype(np.float64)}
    if not reader.linear:
        found["last layer"] = reader.last_layer(inputs)
    return found


def _rows(members: Sequence[Member], part: Part) -> Array:
    return np.array([member.part is part for member in members], dtype=bool)
