"""How a global model does on the hospital's own consented patients."""

from __future__ import annotations

import numpy as np

from chain.types import RoundNumber, StudyId
from federated.evaluation.disclosure import differ_by_few, enough
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_count, frozen_members
from federated.hospital.node import HospitalNode
from federated.hospital.policy.standing import require_allowed
from federated.metrics import auc, confusion
from federated.published import context_of_state, open_state
from federated.results import Results, write_results
from federated.schema import Array
from federated.study import read_study
from records.splits import Part

_TOLD = "told"
"""The journal's name for whose counts have left this hospital, in any study."""


def publish_results(
    node: HospitalNode, number: StudyId, round_number: RoundNumber, part: Part
) -> Results:
    """Sign and announce the counts of a finalized round's model on one part of its cohort.

    `part` is TEST or VALIDATION; only patients in the cohort frozen for that round are counted. The
    counts are suppressed for fewer than five people of a class, and where they differ by fewer than
    five people from those whose counts left before: two rounds' results around one withdrawal would
    give that patient as their difference.
    Raises `PolicyRefused` where the hospital's policy forbids the study by now.
    """
    from federated.networks import probabilities  # torch takes seconds: only here it is needed

    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    require_allowed(node, study, frozen_count(node, study, round_number))
    round_ = party.chain.rounds.round(number, round_number, block_identifier=block)
    state = open_state(party, study, round_number, block)
    members = [m for m in frozen_members(node, study, round_number) if m.part is part]
    inputs, labels = arrays(members, study.spec)
    people = [str(member.record.key) for member in members]
    numbers = {}
    if enough(labels, np.array(people)) and _may_tell(node, set(people)):
        numbers = _numbers(labels, probabilities(state.parameters, inputs, study.spec))
    results = Results(
        context=context_of_state(party, study, round_number, round_.start_state, round_.state),
        study=number,
        round_number=round_number,
        hospital=study.index_of(party.address),
        state=round_.state,
        split=part.value,
        suppressed=not numbers,
        **(numbers or dict.fromkeys(_NAMES, 0)),
    )
    write_results(party.store, results, party.sender)
    return results


_NAMES = ("tp", "fp", "tn", "fn", "loss", "auc", "auc_low", "auc_high")


def _may_tell(node: HospitalNode, people: set[str]) -> bool:
    """Whether no one to four people are the difference to whom was told; then it is remembered."""
    told = [set(keys) for keys in node.party.journal.get(_TOLD) or []]
    if differ_by_few(people, told):
        return False
    if people not in told:
        node.party.journal.put(_TOLD, [sorted(keys) for keys in [*told, people]])
    return True


def _numbers(labels: Array, predicted: Array) -> dict[str, int]:
    """Counts and AUC in millionths; empty without an AUC."""
    counts, area = confusion(labels, predicted), auc(labels, predicted)
    if area is None:
        return {}
    shares = {"auc": area.value, "auc_low": area.low, "auc_high": area.high}
    return {name: getattr(counts, name) for name in ("tp", "fp", "tn", "fn", "loss")} | {
        name: round(value * 1_000_000) for name, value in shares.items()
    }
