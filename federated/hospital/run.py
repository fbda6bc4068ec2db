"""What a study needs of a hospital now: one look, and the steps that are due."""

from __future__ import annotations

from collections.abc import Callable

from chain.round_types import Round
from chain.types import RoundNumber, StudyId
from federated import drawing
from federated.errors import FederatedError
from federated.hospital.answer import answer_demands
from federated.hospital.evaluate import publish_figures, publish_results
from federated.hospital.freeze import freeze
from federated.hospital.node import HospitalNode
from federated.hospital.report import report, reported
from federated.hospital.told import forget_told, knows_told
from federated.hospital.train import submit, train
from federated.party import Party
from federated.published import read_result
from federated.reported import figures_of, results_of
from federated.search import reports_asked
from federated.signed_report import read_report, wanted_reports
from federated.study import Study, read_study
from federated.tasks import task_of
from records.splits import Part
from storage.errors import StorageError, Unreachable

Say = Callable[[str], None]


def advance(node: HospitalNode, number: StudyId, say: Say) -> bool:
    """Answer, freeze, train, submit and evaluate as far as is due; True once nothing will be.

    Demands may still come until `challengeEnd`: look again from time to time.

    Finalized rounds are evaluated on validation patients, the study's last one on test patients.
    Raises what the steps raise; every step is idempotent.
    """
    party = node.party
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    index = study.index_of(party.address)
    now = party.chain.client.timestamp()
    count = party.chain.rounds.count(number, block_identifier=block)
    last = count >= study.terms.max_rounds or now > study.terms.end_by
    if answered := answer_demands(node, number):
        say(f"answered {answered} demands for leaves")
    standing = _takes_part(node, study, index)
    for place in range(1, count + 1):
        round_ = party.chain.rounds.round(number, RoundNumber(place), block_identifier=block)
        if round_.finalized and round_.frozen >> index & 1 and standing:
            _check_listed(node, study, RoundNumber(place), say)
            _evaluate(node, study, RoundNumber(place), last and place == count, say)
        elif place == count and not _is_over(round_, now):
            _take_part(node, study, RoundNumber(place), round_, now, say)
            return False
    return last


def _takes_part(node: HospitalNode, study: Study, index: int) -> bool:
    """Whether models are sealed to this hospital: it did not leave and was never voided."""
    return bool(drawing.standing(node.party, study, node.party.head()) >> index & 1)


def _take_part(
    node: HospitalNode, study: Study, place: RoundNumber, round_: Round, now: int, say: Say
) -> None:
    """The steps of a live round; each follows from the one before, so both may be due at once."""
    party = node.party
    bit = 1 << study.index_of(party.address)
    barred = party.chain.rounds.barred(study.number, block_identifier=party.head())
    if not round_.enrolled & bit or (round_.voided | barred) & bit:
        return
    if round_.submitted & bit:
        _report(node, study, place, say)
        return
    if not round_.frozen & bit:
        if now > round_.freeze_by:
            return
        commitment = freeze(node, study.number, place)
        say(f"round {place}: froze a cohort of {commitment.n} patients")
    if now <= round_.submit_by:
        trained = train(node, study.number, place)
        if party.chain.client.timestamp() > round_.submit_by:
            kept = "" if study.spec.late is None else "; the update waits for the next round"
            say(f"round {place}: trained, but its time to submit is over{kept}")
            return
        submit(node, study.number, place)
        of = "trained" if trained.round_number == place else f"late from {trained.round_number}"
        say(f"round {place}: {of}, and submitted {trained.size} bytes")


def _report(node: HospitalNode, study: Study, place: RoundNumber, say: Say) -> None:
    """For a contribution rule or a search, judge what the center proposes as soon as it does."""
    if not reports_asked(study.spec, place):
        return
    earlier = reported(node, study.number, place)
    done = report(node, study.number, place)
    if done is None or done == earlier:
        return
    models = len(done.evaluations)
    what = f"{models} models" if models > 1 else "the model"
    found = f"judged {what}" if models else "too few patients of a class to report"
    say(f"round {place}: {found} on validation patients")


def _check_listed(node: HospitalNode, study: Study, place: RoundNumber, say: Say) -> None:
    """Say, once, when the center finalized without a report that this hospital had announced."""
    step, done = f"listed-{study.number}-{place}", reported(node, study.number, place)
    if done is None or node.party.journal.get(step) is not None:
        return
    party, block = node.party, node.party.head()
    manifest, round_, _ = read_result(party, study, place, block)
    wanted = wanted_reports(party, study, place, round_, block)
    index = study.index_of(party.address)
    listed = False
    for digest in manifest.reports:
        try:
            listed |= read_report(party, study, wanted, digest).hospital == index
        except Unreachable:
            raise
        except (FederatedError, StorageError):
            continue  # another hospital's, which the audit judges; this one asks for its own
    party.journal.put(step, {"listed": listed})
    if not listed:
        say(f"round {place}: the center did not list this hospital's report: tell the auditors")


def _evaluate(node: HospitalNode, study: Study, place: RoundNumber, last: bool, say: Say) -> None:
    part = Part.TEST if last else Part.VALIDATION
    step = f"results-{study.number}-{place}-{part.value}"
    if node.party.journal.get(step) is not None:
        return
    if (suppressed := _published(node.party, study, place, part)) is not None:
        if not suppressed and not knows_told(node):
            forget_told(node)  # a journal told of it first, and was lost
        node.party.journal.put(step, {"suppressed": suppressed})
        return
    publish = publish_results if task_of(study.spec.task).counted else publish_figures
    results = publish(node, study.number, place, part)
    node.party.journal.put(step, {"suppressed": results.suppressed})
    found = "too few patients to publish" if results.suppressed else "published the results"
    say(f"round {place}: evaluated the model on {part.value} patients, {found}")


def _published(party: Party, study: Study, place: RoundNumber, part: Part) -> bool | None:
    """Whether the results that this hospital announced are suppressed; None where it has not."""
    said = results_of if task_of(study.spec.task).counted else figures_of
    mine = (study.index_of(party.address), part.value)
    found = said(party, study, place, party.head())
    return next((x.suppressed for x in found if (x.hospital, x.split) == mine), None)


def _is_over(round_: Round, now: int) -> bool:
    return round_.finalized or round_.aborted or now > round_.finalize_by
