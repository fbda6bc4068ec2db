"""Answer demands: a hospital that does not show a demanded leaf in time is voided."""

from __future__ import annotations

from chain.challenges import Demanded
from chain.round_events import Frozen
from chain.types import StudyId
from federated.cohort import Leaf
from federated.hospital.freeze import frozen_leaves
from federated.hospital.node import HospitalNode
from federated.judging import leaves_of
from federated.leaf_list import chain_leaf, proof_of, tree_of
from federated.study import Study, read_study


def answer_demands(node: HospitalNode, number: StudyId) -> int:
    """Show every leaf that is demanded of this hospital; returns how many.

    From the published list, or rebuilt where the store lost it. Raises `StepError` where the
    journal lacks the cohort, or the records changed. Idempotent.
    """
    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    index = study.index_of(party.address)
    if not party.chain.challenges.open_demands(number, index, block_identifier=block):
        return 0
    waiting = _waiting(node, study, index)
    for demand in waiting:
        frozen = _frozen(node, study, demand)
        leaves = _leaves(node, study, frozen)
        leaf = leaves[demand.leaf]  # the contract takes no demand from n on
        call = party.chain.challenges.answer(
            frozen.freeze, chain_leaf(leaf), proof_of(tree_of(leaves), leaf)
        )
        party.chain.client.send(call, step=f"answer-{number}-{demand.round}-{demand.leaf}")
    return len(waiting)


def _waiting(node: HospitalNode, study: Study, index: int) -> list[Demanded]:
    """Demands of this hospital that nobody answered and that are not late."""
    party, block = node.party, node.party.head()
    challenges, now = party.chain.challenges, party.chain.client.timestamp()
    return [
        item
        for item in challenges.demanded(study.number, to_block=block)
        if item.index == index
        and now <= item.deadline
        and not challenges.demand_of(
            study.number, item.round, index, item.leaf, block_identifier=block
        ).closed
    ]


def _frozen(node: HospitalNode, study: Study, demand: Demanded) -> Frozen:
    events = node.party.chain.rounds.freezes(study.number, demand.round, to_block=demand.block)
    return next(event for event in events if event.freeze.hospital == demand.index)


def _leaves(node: HospitalNode, study: Study, frozen: Frozen) -> tuple[Leaf, ...]:
    leaves = leaves_of(node.party.store, frozen)
    if leaves is not None and tree_of(leaves).root == frozen.freeze.root:
        return leaves
    return frozen_leaves(node, study, frozen.freeze.round)
