"""Reports of a contribution rule or a search: genuine, on the models of the round, and waited for.

Without a key: signatures, contexts, roots, sizes, that no hospital is heard twice, that all were
given the same models, and that the center finalized only when all had reported or their time was
over. With a key also every model that they judge, from the updates themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chain.types import BlockNumber, RoundNumber
from federated.aggregate import WeightedSum
from federated.auditor.again import judge_again
from federated.auditor.facts import Facts
from federated.auditor.verdict import Checks, Place
from federated.candidates import Candidate
from federated.chosen import spec_of_round
from federated.contribution import Plan, measured, members
from federated.errors import StepError
from federated.left_out import Update, left_out_states
from federated.models import update_schema
from federated.party import Party
from federated.phase import report_by
from federated.published import open_state
from federated.reports import Report
from federated.round_manifest import RoundManifest
from federated.search import reports_asked
from federated.signed_report import (
    Wanted,
    differing_states,
    find_reports,
    read_report,
    wanted_reports,
)
from federated.study import Study
from storage.cid import dag_cbor_cid


def check_reports(
    party: Party, study: Study, facts: Facts, checks: Checks, total: WeightedSum | None
) -> set[bytes]:
    """Check a finalized round's reports; digests of listed ones that count for nothing.

    `total` is the sum of the included updates, for who has a key.
    """
    manifest = facts.manifest
    if not reports_asked(study.spec, facts.number) or manifest is None:
        return set()
    then = party.chain.rounds.finalized(study.number, facts.number, to_block=facts.block).block
    wanted = wanted_reports(party, study, facts.number, facts.round, then)
    found, refused = _check_listed(party, study, wanted, manifest, checks)
    _check_agreement(facts, found, checks)
    missing = wanted.included - {report.hospital for report in found.values()}
    is_known = len(manifest.reports) == len(found) + len(refused)
    alone = len(wanted.included) < 2 and measured(study.spec.reward.rule)  # nothing to compare
    if is_known and not alone:
        _check_waited(party, facts, then, missing, checks)
        _note_unlisted(party, study, facts, wanted, missing, checks)
    if total is not None:
        with checks.guarded("candidates", Place(facts.number)):
            refused |= _check_models(party, study, facts, wanted.plan, total, found, checks)
    return refused


def _check_listed(
    party: Party, study: Study, wanted: Wanted, manifest: RoundManifest, checks: Checks
) -> tuple[dict[bytes, Report], set[bytes]]:
    """Reports that count, and digests of those that do not; of what is gone neither is known."""
    found: dict[bytes, Report] = {}
    refused: set[bytes] = set()
    for digest in manifest.reports:
        with checks.guarded("report", Place(wanted.round_number)):
            party.store.get_block(dag_cbor_cid(digest))
            refused.add(digest)
            report = read_report(party, study, wanted, digest)
            twice = any(other.hospital == report.hospital for other in found.values())
            at = Place(wanted.round_number, report.hospital)
            if checks.add("report", not twice, "a second report of this hospital is listed", at):
                found[digest] = report
                refused.discard(digest)
    return found, refused


def _check_agreement(facts: Facts, found: Mapping[bytes, Report], checks: Checks) -> None:
    """A center that gives hospitals different models gets reports on different digests."""
    seen: dict[int, bytes] = {}
    same = all(
        seen.setdefault(without, state) == state
        for report in found.values()
        for without, state in report.states.items()
    )
    if found:
        detail = "its hospitals judged different models: the center proposed more than one set"
        checks.add("report-models", same, detail, Place(facts.number))


def _check_waited(
    party: Party, facts: Facts, then: BlockNumber, missing: frozenset[int], checks: Checks
) -> None:
    """Only the block's own time shows whether a center that lists no report gave time for one."""
    if not missing:
        checks.add("reports-awaited", True, at=Place(facts.number))
        return
    at, until = party.chain.client.node.block(then).timestamp, report_by(facts.round)
    for hospital in sorted(missing):
        detail = f"finalized {until - at} s too early without its report"
        checks.add("reports-awaited", at > until, detail, Place(facts.number, hospital))


def _note_unlisted(
    party: Party,
    study: Study,
    facts: Facts,
    wanted: Wanted,
    missing: frozenset[int],
    checks: Checks,
) -> None:
    """A genuine report that is not listed came late, or was left out: nobody can tell which."""
    for hospital in sorted(find_reports(party, study, wanted).keys() & missing if missing else ()):
        text = "it announced a report that the manifest does not list: late, or left out"
        checks.note("report-unlisted", text, Place(facts.number, hospital))


def _check_models(
    party: Party,
    study: Study,
    facts: Facts,
    plan: Plan,
    total: WeightedSum,
    found: Mapping[bytes, Report],
    checks: Checks,
) -> set[bytes]:
    """Compute every model that was judged; the reports on others."""
    if not any(report.evaluations for report in found.values()):
        return set()
    start = open_state(party, study, RoundNumber(facts.round.parent), facts.block)
    updates = _updates(party, study, facts)
    given, folder = (start, facts.number, total, updates), party.journal.folder
    spec = spec_of_round(party, study, facts.number, facts.block)
    states = left_out_states(spec, *given, plan.models(), folder)
    digests = {item: Candidate.of(spec, item, state).state for item, state in states}
    refused = set()
    for digest, report in found.items():
        wrong = differing_states(report, digests)
        left = ", ".join(map(str, members(wrong[0]))) if wrong else ""
        detail = f"judged another model than that without hospital {left}" if wrong else ""
        at = Place(facts.number, report.hospital)
        if not checks.add("candidates", not wrong, detail, at):
            refused.add(digest)
    return refused


def _updates(party: Party, study: Study, facts: Facts) -> Iterator[Update]:
    for hospital, event in sorted(facts.submitted.items()):
        if not facts.round.included >> hospital & 1:
            continue
        frozen = facts.frozen[hospital]
        judged = judge_again(party, study, frozen, event, None)
        if judged.update is None:
            raise StepError(f"the update of hospital {hospital} does not open any more")
        segments = judged.update.segments(update_schema(study.spec))
        yield Update(hospital, segments, judged.weight)
