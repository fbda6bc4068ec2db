"""The hospitals' shares by a study's reward rule, and the root that a center posts of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from eth_abi.exceptions import EncodingError

from chain.merkle import MerkleTree, hash_share_leaf
from chain.types import BlockNumber, Wei
from federated.canonical import tagged_hash
from federated.contribution import Measure, measured
from federated.party import Party
from federated.rewards import by_contribution, split
from federated.signed_report import listed_reports
from federated.study import Study
from storage.errors import StorageError, Unreachable
from storage.store import BlockStore, get_record, put_record

_LIST = "consilium/shares/1"


def shares_by_rule(
    party: Party,
    study: Study,
    weights: Mapping[int, int],
    block: BlockNumber,
    refused: Collection[bytes] = (),
) -> dict[int, Wei]:
    """What each hospital gets of the pool, by index; `weights` as the `count` rule counts them.

    A contribution rule divides without the weights that auditors restored: contributions are
    measured on models that these updates are not in, and votes that come after the root was posted
    do not make it false.
    `refused` are digests of listed reports that an auditor with a key found to be on other models.
    """
    pool = study.terms.hospital_pool
    if not measured(study.spec.reward.rule):
        return split(pool, weights)
    reports = listed_reports(party, study, block, refused)
    restored = party.chain.rounds.restored_weights(study.number, block_identifier=block)
    weights = {index: weight - restored.get(index, 0) for index, weight in weights.items()}
    return by_contribution(Measure.of(study.spec), pool, reports, weights)


def shares_tree(study: int, shares: Mapping[int, int]) -> MerkleTree:
    """The tree whose root a center posts."""
    return MerkleTree([hash_share_leaf(study, index, shares[index]) for index in sorted(shares)])


def publish_shares(store: BlockStore, study: int, shares: Mapping[int, int]) -> bytes:
    """Keep and announce the shares under their root, which is returned.

    Whoever wants to see which hospital's share is wrong, or to claim, finds them there.
    """
    root = shares_tree(study, shares).root
    rows = [[index, str(shares[index])] for index in sorted(shares)]  # cbor's integers end at 2^64
    cid = put_record(store, {"format": _LIST, "shares": rows, "study": study})
    store.pin(cid)
    store.announce(_shares_topic(root), cid)
    return root


def posted_shares(store: BlockStore, study: int, root: bytes) -> dict[int, Wei] | None:
    """The published shares that give a posted root; None where nobody has them."""
    for cid in store.announced(_shares_topic(root)):
        try:
            tree = get_record(store, cid.digest)
            if tree["format"] == _LIST:
                shares = {int(index): Wei(int(amount)) for index, amount in tree["shares"]}
                if shares_tree(study, shares).root == root:
                    return shares
        except (StorageError, EncodingError, KeyError, TypeError, ValueError) as exc:
            if isinstance(exc, Unreachable):
                raise
            continue  # anyone can announce anything: the root decides
    return None


def _shares_topic(root: bytes) -> bytes:
    return tagged_hash(_LIST, root)
