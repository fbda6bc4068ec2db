"""A round that cannot be finalized yet, or not at all: tried again when that can have changed."""

from __future__ import annotations

from chain.types import RoundNumber, StudyId
from federated.center.inputs import Inputs
from federated.errors import StepError, TooFewUpdates, Unjudged
from federated.judging import judge_submission
from federated.party import Party
from federated.study import Study

STUCK = (Unjudged, TooFewUpdates)
"""What hospitals can bring about, and what must not end a center that has other rounds to run."""


def remember(party: Party, inputs: Inputs, study: Study, error: StepError) -> None:
    """Keep why a round could not be finalized; for these inputs it is not tried in vain."""
    waits_for = error.hospitals if isinstance(error, Unjudged) else ()
    record = {"basis": inputs.basis, "hospitals": list(waits_for)}
    party.journal.put(_step(study.number, inputs.number), record)


def is_stuck(party: Party, study: Study, inputs: Inputs) -> bool:
    """Whether it would fail again: the same inputs, and no auditor's word on what was missing.

    Only what was missing is asked for, not the whole round.
    """
    record = party.journal.get(_step(study.number, inputs.number))
    if record is None or record["basis"] != inputs.basis:
        return False
    if not record["hospitals"]:
        return True
    for event in inputs.submitted:
        if event.index in record["hospitals"]:
            try:
                judge_submission(party, study, inputs.frozen[event.index], event)
            except Unjudged:
                return True
    return False


def _step(number: StudyId, round_number: RoundNumber) -> str:
    return f"stuck-{number}-{round_number}"
