"""A leaf with its proof, taken from a published list however false the list is.

Readers of cohorts refuse a list that breaks its own rules; whoever challenges one needs it as it
is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain.challenges import Leaf
from chain.merkle import MerkleTree, hash_cohort_leaf
from chain.round_events import Frozen, Submitted
from chain.types import BlockNumber, ConsentId, RoundNumber
from federated.canonical import MAX_BYTES, decode
from federated.errors import CanonicalError, StepError
from federated.party import Party
from federated.study import Study
from storage.cid import Cid
from storage.store import BlockStore, get_record

_FORMAT = "consilium/leaf-proof/1"


@dataclass(frozen=True, slots=True)
class Proven:
    """A leaf and the siblings up to the root."""

    leaf: Leaf
    proof: Sequence[bytes]

    def to_json(self) -> dict[str, Any]:
        """As a file holds it."""
        return {
            "format": _FORMAT,
            "index": self.leaf.index,
            "id": self.leaf.id.hex(),
            "record": self.leaf.record.hex(),
            "proof": [sibling.hex() for sibling in self.proof],
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Proven:
        """The inverse. Raises `StepError`."""
        try:
            consent = ConsentId(bytes.fromhex(tree["id"]))
            leaf = Leaf(int(tree["index"]), consent, bytes.fromhex(tree["record"]))
            proven = cls(leaf, [bytes.fromhex(item) for item in tree["proof"]])
            sizes = {len(leaf.id), len(leaf.record), *map(len, proven.proof)}
            sound = tree["format"] == _FORMAT and sizes == {32}
        except (KeyError, TypeError, ValueError) as exc:
            raise StepError("not a leaf with its proof: write it with `challenge proof`") from exc
        if not sound:
            raise StepError(f"not a leaf with its proof: the format is not {_FORMAT}")
        return proven


def freeze_of(party: Party, study: Study, number: RoundNumber, hospital: int) -> Frozen:
    """What a hospital froze. Raises `StepError` where it did not."""
    block = BlockNumber(party.head())
    for event in party.chain.rounds.freezes(study.number, number, to_block=block):
        if event.freeze.hospital == hospital:
            return event
    raise StepError(f"study {study.number}: round {number}: hospital {hospital} has frozen nothing")


def submission_of(party: Party, frozen: Frozen) -> Submitted:
    """What a hospital submitted for a frozen cohort. Raises `StepError` where it did not."""
    place = frozen.study, frozen.round
    for event in party.chain.rounds.submissions(*place, to_block=BlockNumber(party.head())):
        if event.index == frozen.freeze.hospital:
            return event
    raise StepError(f"{frozen.hospital} has submitted nothing in round {frozen.round}")


def proven_leaf(store: BlockStore, frozen: Frozen, index: int) -> Proven:
    """The leaf at an index of the published list, and its proof under the frozen root.

    Raises `StepError` for a list that does not give the root, or lacks the leaf: demand the leaf
    on-chain then. Raises what the store raises.
    """
    leaves = _leaves(store, frozen.freeze.leaf_list)
    where = f"the list of {frozen.hospital} in round {frozen.round}"
    if not 0 <= index < len(leaves):
        raise StepError(f"{where} has {len(leaves)} leaves, and none with index {index}")
    tree = MerkleTree([hash_cohort_leaf(leaf) for leaf in leaves])
    if tree.root != frozen.freeze.root:
        raise StepError(f"{where} does not give the frozen root: demand the leaf on-chain")
    return Proven(leaves[index], tree.proof(hash_cohort_leaf(leaves[index])))


def _leaves(store: BlockStore, digest: bytes) -> list[Leaf]:
    try:
        record = get_record(store, digest)
        file = record["leaves"] if isinstance(record, dict) else None
        if not isinstance(file, Cid):
            raise StepError(f"list of leaves {digest.hex()}: not a list")
        rows = decode(b"".join(store.cat(file, 0, MAX_BYTES + 1)))["leaves"]
        return [Leaf(i, ConsentId(bytes(a)), bytes(b)) for i, (a, b) in enumerate(rows)]
    except (KeyError, TypeError, ValueError, CanonicalError) as exc:
        raise StepError(f"list of leaves {digest.hex()}: not a list: demand the leaf") from exc
