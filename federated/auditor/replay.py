"""The whole replay, from the code at the addresses to the last payment."""

from __future__ import annotations

from collections.abc import Callable

from chain.deploy import verify_deployment
from chain.types import RoundNumber, StudyId
from federated.auditor.cohorts import Consents, check_cohorts
from federated.auditor.money import check_money
from federated.auditor.rounds import check_round
from federated.auditor.verdict import Checks, Level, Verdict
from federated.party import Party
from federated.study import Study, differing_terms, read_study

Progress = Callable[[str], None]


def replay(
    party: Party, number: StudyId, *, level: Level, progress: Progress = lambda _: None
) -> Verdict:
    """Check a study up to the newest block.

    `Level.KEYED` needs the key of an auditor whom the study names; `Level.KEYLESS` needs none.
    Raises what an unreachable store or node raises; everything else that is wrong is a check.
    """
    block = party.head()
    checks = Checks()
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
        _rounds(party, study, checks, level, progress)
    return Verdict(number, block, level, tuple(checks.found))


def _rounds(party: Party, study: Study, checks: Checks, level: Level, progress: Progress) -> None:
    block = party.head()
    consents = Consents.of_study(party, study, block)
    count = party.chain.rounds.count(study.number, block_identifier=block)
    for number in range(1, count + 1):
        progress(f"round {number} of {count}")
        cohorts = check_cohorts(party, study, RoundNumber(number), block, consents, checks)
        check_round(party, study, RoundNumber(number), block, checks, level)
        consents.remember(number, cohorts)
    progress("money")
    with checks.guarded("money"):
        check_money(party, study, block, consents, checks)
