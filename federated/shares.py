"""The hospitals' shares by a study's reward rule, and the root that a center posts of them."""

from __future__ import annotations

from collections.abc import Mapping

from eth_abi.exceptions import EncodingError

from chain.merkle import MerkleTree, hash_share_leaf
from chain.types import BlockNumber, RoundNumber, Wei
from federated.canonical import tagged_hash
from federated.errors import RecordError
from federated.party import Party, signer_at
from federated.published import read_result
from federated.reports import Report
from federated.rewards import leave_one_out, split
from federated.study import Study
from storage.cid import Codec, dag_cbor_cid
from storage.errors import StorageError, Unreachable
from storage.signed import Shape, open_record, sign_record
from storage.store import BlockStore, get_record, put_record

TAG = "consilium/signed-report/1"
_BODY: Shape = {"report": bytes}
_LIST = "consilium/shares/1"


def sign_report(party: Party, report: Report) -> bytes:
    """A hospital signs, keeps and announces its report of a round; returns the digest."""
    block = sign_record(TAG, {"report": report.to_bytes()}, party.sender)
    cid = party.store.put_block(Codec.DAG_CBOR, block)
    party.store.pin(cid)
    party.store.announce(report_topic(report.study, report.round_number), cid)
    return cid.digest


def report_topic(study: int, number: int) -> bytes:
    """Where the reports of a round are announced (32 bytes)."""
    return tagged_hash("consilium/report-topic/1", study, number)


def read_signed_report(party: Party, study: Study, digest: bytes, block: BlockNumber) -> Report:
    """A report, signed by the hospital that it is of. Raises `RecordError`, the store's errors."""
    record = open_record(TAG, party.store.get_block(dag_cbor_cid(digest)), _BODY)
    report = Report.from_bytes(record.body["report"])
    where = f"study {study.number}: report {digest.hex()}"
    if report.study != study.number or report.hospital >= len(study.hospitals):
        raise RecordError(f"{where}: of another study, or of a hospital that is not enrolled")
    if record.signer != signer_at(party.chain, study.hospitals[report.hospital], block):
        raise RecordError(f"{where}: not signed by the hospital that it is of")
    return report


def listed_reports(party: Party, study: Study, block: BlockNumber) -> list[Report]:
    """The reports that the manifests of finalized rounds list."""
    reports = []
    for number in range(1, party.chain.rounds.count(study.number, block_identifier=block) + 1):
        place = RoundNumber(number)
        if party.chain.rounds.round(study.number, place, block_identifier=block).finalized:
            manifest, _, _ = read_result(party, study, place, block)
            then = party.chain.rounds.finalized(study.number, place, to_block=block).block
            reports += [read_signed_report(party, study, d, then) for d in manifest.reports]
    return reports


def shares_by_rule(
    party: Party, study: Study, weights: Mapping[int, int], block: BlockNumber
) -> dict[int, Wei]:
    """What each hospital gets of the pool, by index; `weights` as the `count` rule counts them."""
    pool = study.terms.hospital_pool
    if study.spec.reward.rule == "count":
        return split(pool, weights)
    return leave_one_out(pool, listed_reports(party, study, block), weights)


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
