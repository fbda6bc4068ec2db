"""A study's model made ready in its hospital: which one answers, and the patients it is seen by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from chain.types import BlockNumber, ConsentId, StudyId
from federated.bedside.calibrate import Calibration, calibrate
from federated.bedside.choose import Kind
from federated.bedside.similar import own_nearest
from federated.hospital.data import arrays
from federated.hospital.kept import own_model
from federated.hospital.members import current_members
from federated.hospital.node import HospitalNode
from federated.hospital.personal import Personal, read_personal
from federated.hospital.policy.standing import require_model
from federated.provenance import Provenance, provenance_of, standing_round
from federated.published import open_state
from federated.results import LEAST_COUNT
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.study import Study, read_study
from federated.tasks import task_of
from records.cohort import Member
from records.splits import Part

if TYPE_CHECKING:
    from federated.bedside.reading import Reader


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


def open_bedside(node: HospitalNode, number: StudyId, folder: Path) -> Bedside:
    """The hospital's model of a study: its personal one while that may be used, else the global.

    The global model is fetched by its digest on-chain. A personal model is not used where a patient
    whom it saw has withdrawn, or where another model stands now than that which it began from.
    Raises `StepError` where no round is finalized, and what `open_state` does.
    """
    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    study.index_of(party.address)
    require_model(node, study)
    round_number = standing_round(party, study, block)
    provenance = provenance_of(party, study, round_number, block)
    state = open_state(party, study, round_number, block)
    own = own_model(party, study, state, block)
    start = own.parameters
    personal = read_personal(folder, party, study)
    warning = _why_not(node, provenance, personal, block)
    kept, parameters = Kind.GLOBAL, start
    if personal is not None and not warning:
        kept, parameters = personal.kept, _of_kind(personal, start)
    if kept is Kind.GLOBAL:
        warning = "; ".join(filter(None, (warning, own.warning)))
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
    spaces = spaces_of(reader, inputs)
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
        calibration=_calibrated(reader, inputs[held], labels[held]),
    )


def _calibrated(reader: Reader, inputs: Array, labels: Array) -> Calibration | None:
    """Of a study of two labels; other tasks calibrate what they say themselves."""
    if not task_of(reader.spec.task).counted:
        return None
    return calibrate(reader.log_odds(inputs), labels)


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
    return np.zeros((0, width), dtype=np.float32), task_of(spec.task).labels([])


def spaces_of(reader: Reader, inputs: Array) -> dict[str, Array]:
    """Where distances are measured; a linear model's last layer reads the inputs themselves."""
    found = {"values": inputs.astype(np.float64)}
    if not reader.linear:
        found["last layer"] = reader.last_layer(inputs)
    return found


def _rows(members: Sequence[Member], part: Part) -> Array:
    return np.array([member.part is part for member in members], dtype=bool)
