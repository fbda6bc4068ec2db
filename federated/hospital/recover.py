"""A cohort that is frozen on-chain and that this home's journal lacks: read back from the store.

What the journal alone knew are the salts. The published list has the salted digests, so root,
proofs and answers to demands are there again; that the records at hand are those committed to can
no more be told. Which tables have left this hospital cannot either: it publishes no further one.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from chain.round_types import Freeze
from chain.types import BlockNumber, RoundNumber
from federated.errors import StepError
from federated.hospital.members import members_of
from federated.hospital.node import HospitalNode
from federated.hospital.policy.headcount import Headcount
from federated.hospital.told import forget_told
from federated.leaf_list import read_leaves, tree_of
from federated.study import Study
from federated.tasks import task_of


def recovered(
    node: HospitalNode, study: Study, number: RoundNumber, block: BlockNumber
) -> dict[str, Any]:
    """The journal's record of this hospital's freeze, without salts and with the leaves.

    Raises `StepError` where the list or the table of consents is not that of the freeze, and what
    the store raises.
    """
    index = study.index_of(node.party.address)
    events = node.party.chain.rounds.freezes(study.number, number, to_block=block)
    freeze = next(event.freeze for event in events if event.freeze.hospital == index)
    leaves = read_leaves(node.party.store, freeze.leaf_list, most=freeze.n)
    patients = {row.id: row.patient for row in node.consents.of_study(study.number)}
    ids = [bytes(leaf.consent) for leaf in leaves]
    found = {patients[one]: one for one in ids if one in patients}
    members = members_of(node, study, found)
    if tree_of(leaves).root != freeze.root or len(members) != len(leaves):
        raise StepError(
            f"study {study.number}: round {number}: the journal lacks the frozen cohort, and the "
            "records, the table of consents or the published list here are not those of it: "
            "restore them, or wait for the next round"
        )
    forget_told(node)
    fields = {name: getattr(freeze, name) for name in Freeze.__dataclass_fields__}
    return {
        "digest": freeze.digest().hex(),
        "count": asdict(Headcount.of(members, task_of(study.spec.task).groups(study.spec))),
        "freeze": {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()},
        "entries": [[member.record.key, member.consent.hex(), ""] for member in members],
        "leaves": [[leaf.consent.hex(), leaf.record.hex()] for leaf in leaves],
    }
