"""What a study needs of its center now: one look, and the step that is due."""

from __future__ import annotations

from collections.abc import Callable

from chain.types import RoundNumber, StudyId
from federated.center.aggregate import finalize
from federated.center.inputs import read_inputs
from federated.center.propose import hear, measures, propose_for
from federated.center.rounds import open_round
from federated.party import Party
from federated.phase import is_complete, report_by, standing
from federated.study import Study, read_study

Say = Callable[[str], None]


def advance(party: Party, number: StudyId, say: Say) -> bool:
    """Propose or finalize the live round when it is complete, else open the next.

    True once all are over. A round that stays below k submissions is waited for until finalizeBy,
    then another is opened. Raises what the steps raise; every step is idempotent.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    now = party.chain.client.timestamp()
    count = RoundNumber(party.chain.rounds.count(number, block_identifier=block))
    if count:
        round_ = party.chain.rounds.round(number, count, block_identifier=block)
        if not (round_.finalized or round_.aborted or now > round_.finalize_by):
            barred = party.chain.rounds.barred(number, block_identifier=block)
            enough = standing(round_).bit_count() >= study.terms.min_hospitals
            if enough and is_complete(round_, barred, now) and _is_judged(party, study, count, say):
                done = finalize(party, number, count)
                say(f"round {count}: finalized {done.included.bit_count()} updates")
            return False
    if count >= study.terms.max_rounds or now > study.terms.end_by:
        return True
    say(f"round {open_round(party, number)} is open")
    return False


def _is_judged(party: Party, study: Study, number: RoundNumber, say: Say) -> bool:
    """Whether the reports that a contribution rule needs are in, or their time is over."""
    if not measures(study):
        return True
    inputs = read_inputs(party, study, number, party.head())
    is_new = party.journal.get(f"candidates-{study.number}-{number}") is None
    candidates = propose_for(party, study, inputs)
    if candidates is None:
        return True
    if is_new:
        say(f"round {number}: proposes {len(candidates.items)} models, waits for reports")
    missing = hear(party, study, inputs, candidates).missing
    if missing and party.chain.client.timestamp() <= report_by(inputs.round):
        return False
    for index in missing:
        say(f"round {number}: goes on without the report of {study.hospitals[index]}")
    return True
