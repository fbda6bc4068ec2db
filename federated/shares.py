"""The hospitals' shares by a study's reward rule, and the root that a center posts of them."""

from __future__ import annotations

from collections.abc import Mapping

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
from storage.signed import Shape, open_record, sign_record

TAG = "consilium/signed-report/1"
_BODY: Shape = {"report": bytes}


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
            reports += [read_signed_report(party, study, d, block) for d in manifest.reports]
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
