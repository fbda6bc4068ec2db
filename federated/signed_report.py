"""Signed reports of a round: how they are announced, and which of them count.

A report counts when its hospital signed it with a key of the round's time, it is bound to this
chain, deployment, round and proposed model, its root is the one frozen on-chain, and it judges
exactly the models that the study's rule asks of it, over no more records than the cohort has beside
those that trained.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from chain.round_types import Freeze, Round
from chain.types import BlockNumber, RoundNumber
from federated.candidates import context_of_candidates
from federated.canonical import tagged_hash
from federated.contribution import Plan, follow, members, plan_of
from federated.errors import FederatedError, RecordError
from federated.party import Party, signers_between
from federated.published import read_result
from federated.reports import Report
from federated.study import Study
from storage.cid import Cid, Codec, dag_cbor_cid
from storage.errors import StorageError, Unreachable
from storage.signed import Shape, open_record, sign_record

TAG = "consilium/signed-report/1"
_BODY: Shape = {"report": bytes}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What reports of a round must agree with; keys count from the round's opening to `until`."""

    context: bytes
    round_number: RoundNumber
    state: bytes
    included: frozenset[int]
    plan: Plan
    freezes: Mapping[int, Freeze]
    since: BlockNumber
    until: BlockNumber


def sign_report(party: Party, report: Report) -> bytes:
    """A hospital signs, keeps and announces its report of a round; returns the digest."""
    cid = party.store.put_block(
        Codec.DAG_CBOR, sign_record(TAG, {"report": report.to_bytes()}, party.sender)
    )
    party.store.pin(cid)
    topic = report_topic(report.context)
    if cid not in party.store.announced(topic):
        party.store.announce(topic, cid)
    return cid.digest


def report_topic(context: bytes) -> bytes:
    """Where reports on the candidates of this context are announced (32 bytes)."""
    return tagged_hash("consilium/report-topic/1", context)


def wanted_reports(
    party: Party, study: Study, number: RoundNumber, round_: Round, until: BlockNumber
) -> Wanted:
    """For a finalized round; `until` is the block of its finalize."""
    return wanted_for(party, study, number, round_, round_.state, round_.included, until)


def wanted_for(
    party: Party,
    study: Study,
    number: RoundNumber,
    round_: Round,
    state: bytes,
    included: int,
    until: BlockNumber,
) -> Wanted:
    """For a proposed state that the hospitals of `included` (one bit each) are in."""
    freezes = party.chain.rounds.freezes(study.number, number, to_block=until)
    return Wanted(
        context=context_of_candidates(party, study, number, round_.start_state, state),
        round_number=number,
        state=state,
        included=frozenset(members(included)),
        plan=plan_of(study.spec, included, number, state),
        freezes={event.freeze.hospital: event.freeze for event in freezes},
        since=round_.open_block,
        until=until,
    )


def read_report(party: Party, study: Study, wanted: Wanted, digest: bytes) -> Report:
    """A report that counts. Raises `RewardError`, `RecordError` and the store's errors."""
    record = open_record(TAG, party.store.get_block(dag_cbor_cid(digest)), _BODY)
    report = Report.from_bytes(record.body["report"])
    place = (report.context, report.study, report.round_number)
    if place != (wanted.context, study.number, wanted.round_number):
        raise _refused(digest, "it is of another round, study, deployment or proposed model")
    if report.hospital not in wanted.included:
        raise _refused(digest, "it is of a hospital whose update is not in the model")
    account = study.hospitals[report.hospital]
    if record.signer not in signers_between(party.chain, account, wanted.since, wanted.until):
        raise _refused(digest, f"hospital {report.hospital} did not sign it")
    freeze = wanted.freezes[report.hospital]
    if report.root != freeze.root:
        raise _refused(digest, f"hospital {report.hospital} froze another cohort")
    if report.evaluations:
        _check_evaluations(report, wanted, freeze, digest)
    return report


def _check_evaluations(report: Report, wanted: Wanted, freeze: Freeze, digest: bytes) -> None:
    model = report.evaluations[0]
    if model.state != wanted.state:
        raise _refused(digest, "it judges other models than those of this round")
    follow(wanted.plan, report)
    if report.people > freeze.n - freeze.weight:
        raise _refused(digest, "it counts more people than the cohort holds out of training")


def find_reports(
    party: Party, study: Study, wanted: Wanted, states: Mapping[int, bytes] | None = None
) -> dict[int, tuple[bytes, Report]]:
    """Announced reports that count, by hospital: digest and report, one each.

    With `states`, by the set of hospitals left out, only those that judge these very models.
    Anyone can announce anything: what does not count is passed over.
    """
    found: dict[int, tuple[bytes, Report]] = {}
    for cid in _announced(party, wanted):
        try:
            report = read_report(party, study, wanted, cid.digest)
        except Unreachable:
            raise
        except (FederatedError, StorageError):
            continue  # anyone can announce anything: what is no report of the round hides none
        if states is None or not differing_states(report, states):
            found.setdefault(report.hospital, (cid.digest, report))
    return found


def _announced(party: Party, wanted: Wanted) -> Collection[Cid]:
    return party.store.announced(report_topic(wanted.context))


def differing_states(report: Report, states: Mapping[int, bytes]) -> list[int]:
    """Who is left out of the models that the report judges and that are not these."""
    return [without for without, state in report.states.items() if states.get(without) != state]


def listed_reports(
    party: Party, study: Study, block: BlockNumber, refused: Collection[bytes] = ()
) -> list[Report]:
    """Those of `listed_in` over all rounds."""
    reports: list[Report] = []
    for number in range(1, party.chain.rounds.count(study.number, block_identifier=block) + 1):
        reports += listed_in(party, study, RoundNumber(number), block, refused)
    return reports


def listed_in(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    refused: Collection[bytes] = (),
) -> list[Report]:
    """The reports that a round's manifest lists and that count, one a hospital; none without one.

    What is listed and does not count is passed over, as are digests in `refused`: a center cannot
    make shares incomputable by listing junk. Raises what the store raises for one that is gone.
    """
    if number > party.chain.rounds.count(study.number, block_identifier=block):
        return []
    round_ = party.chain.rounds.round(study.number, number, block_identifier=block)
    if not round_.finalized:
        return []
    manifest, _, _ = read_result(party, study, number, block)
    then = party.chain.rounds.finalized(study.number, number, to_block=block).block
    wanted = wanted_reports(party, study, number, round_, then)
    found: dict[int, Report] = {}
    for digest in manifest.reports:
        if digest not in refused and (report := _counts(party, study, wanted, digest)):
            found.setdefault(report.hospital, report)
    return list(found.values())


def _counts(party: Party, study: Study, wanted: Wanted, digest: bytes) -> Report | None:
    party.store.get_block(dag_cbor_cid(digest))  # gone or altered is no verdict on its content
    try:
        return read_report(party, study, wanted, digest)
    except Unreachable:
        raise
    except (FederatedError, StorageError):
        return None  # it is there as it was announced, and is no report that counts


def _refused(digest: bytes, why: str) -> RecordError:
    return RecordError(f"report {dag_cbor_cid(digest)} does not count: {why}")
