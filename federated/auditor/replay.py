"""The whole replay, from the code at the addresses to the last payment."""

from __future__ import annotations

from collections.abc import Callable

from chain.deploy import verify_deployment
from chain.types import BlockNumber, RoundNumber, StudyId
from federated.auditor.cohorts import Consents, check_cohorts
from federated.auditor.facts import Facts, gather
from federated.auditor.lineage import check_lineage, note_search
from federated.auditor.money import check_money
from federated.auditor.reports import check_reports
from federated.auditor.rounds import check_round
from federated.auditor.verdict import Checks, Level, Place, Verdict
from federated.errors import StepError
from federated.party import Party
from federated.study import Study, differing_terms, read_study

Progress = Callable[[str], None]


def replay(
    party: Party, number: StudyId, *, level: Level, progress: Progress = lambda _: None
) -> Verdict:
    """Check a study up to the newest block.

    `Level.KEYED` needs the key of an auditor whom the study names, and raises `StepError` without
    it; `Level.KEYLESS` needs none. Raises what an unreachable store or node raises, and `StepError`
    for a study that does not exist; everything else that is wrong is a check.
    """
    block = party.head()
    checks = Checks()
    _check_level(party, number, block, level)
    progress("code and terms")
    with checks.guarded("code"):
        verify_deployment(party.chain.client, party.chain.deployment, block_identifier=block)
        checks.add("code", True)
    study = None
    with checks.guarded("spec"):
        study = read_study(party.chain, party.store, number, block)
        names = differing_terms(study)
        checks.add("spec", not names, f"terms on-chain differ from the spec: {', '.join(names)}")
    if study is not None:
        _rounds(party, study, block, checks, level, progress)
    return Verdict(number, block, level, tuple(checks.found))


def _check_level(party: Party, number: StudyId, block: BlockNumber, level: Level) -> None:
    """Refuse what could only give a wrong verdict: no such study, or a key that opens nothing."""
    studies = party.chain.studies
    known = studies.count(block_identifier=block)
    if not 1 <= number <= known:
        raise StepError(f"study {number} does not exist; this chain has studies 1 to {known}")
    if level is Level.NONE:
        raise StepError("an audit runs keyless or keyed; name one of the two levels")
    if level is not Level.KEYED:
        return
    if party.address not in studies.auditors_of(number, block_identifier=block):
        raise StepError(
            f"{party.address} is no auditor whom study {number} names, so no update is sealed to "
            "it; audit without a key"
        )
    keys = party.chain.participants.keys_at(party.address, block, block_identifier=block)
    if keys.from_block == 0 or keys.encryption != party.identity.recipient.key_id:
        raise StepError(
            f"the encryption key at hand is not the one that {party.address} published; use the "
            "auditor's own home, or audit without a key"
        )


def _rounds(
    party: Party,
    study: Study,
    block: BlockNumber,
    checks: Checks,
    level: Level,
    progress: Progress,
) -> None:
    consents = Consents.of_study(party, study, block)
    count = party.chain.rounds.count(study.number, block_identifier=block)
    seen: list[Facts] = []
    refused: set[bytes] = set()
    for place in range(1, count + 1):
        progress(f"round {place} of {count}")
        facts = gather(party, study, RoundNumber(place), block, checks)
        if facts is None:
            continue
        check_cohorts(party, study, facts, consents, checks)
        total = check_round(party, study, facts, checks, level)
        with checks.guarded("report", Place(facts.number)):
            refused |= check_reports(party, study, facts, checks, total)
        seen.append(facts)
    if len(seen) == count:  # a round whose logs are not known would make others look orphaned
        check_lineage(party, study, seen, checks)
        note_search(party, study, block, checks)
    progress("money")
    with checks.guarded("money"):
        check_money(party, study, block, consents, refused, checks)
