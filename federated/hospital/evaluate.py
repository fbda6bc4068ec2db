"""How a global model does on the hospital's own consented patients."""

from __future__ import annotations

from chain.types import RoundNumber, StudyId
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_count, frozen_members
from federated.hospital.node import HospitalNode
from federated.hospital.policy.standing import require_allowed
from federated.hospital.told import may_tell, tellable_members
from federated.metrics import auc, confusion
from federated.published import context_of_state, open_state
from federated.results import Results, write_results
from federated.schema import Array
from federated.study import read_study
from records.splits import Part


def publish_results(
    node: HospitalNode, number: StudyId, round_number: RoundNumber, part: Part
) -> Results:
    """Sign and announce the counts of a finalized round's model on one part of its cohort.

    `part` is TEST or VALIDATION; only patients in the cohort frozen for that round are counted, and
    of them those whose counts may leave beside what left before (`told`). The counts are suppressed
    for fewer than five people of a class.
    Raises `PolicyRefused` where the hospital's policy forbids the study by now.
    """
    from federated.networks import probabilities  # torch takes seconds: only here it is needed

    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    require_allowed(node, study, frozen_count(node, study, round_number))
    round_ = party.chain.rounds.round(number, round_number, block_identifier=block)
    state = open_state(party, study, round_number, block)
    own = [m for m in frozen_members(node, study, round_number) if m.part is part]
    members = tellable_members(node, own)
    inputs, labels = arrays(members, study.spec)
    numbers = {}
    if may_tell(node, members, labels):
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


def _numbers(labels: Array, predicted: Array) -> dict[str, int]:
    """Counts and AUC in millionths; empty without an AUC."""
    counts, area = confusion(labels, predicted), auc(labels, predicted)
    if area is None:
        return {}
    shares = {"auc": area.value, "auc_low": area.low, "auc_high": area.high}
    return {name: getattr(counts, name) for name in ("tp", "fp", "tn", "fn", "loss")} | {
        name: round(value * 1_000_000) for name, value in shares.items()
    }
