"""What a study needs of its center now: one look, and the step that is due."""

from __future__ import annotations

from collections.abc import Callable

from chain.rounds import Round
from chain.types import RoundNumber, StudyId
from federated.center.aggregate import finalize
from federated.center.rounds import open_round
from federated.party import Party
from federated.study import read_study

Say = Callable[[str], None]


def advance(party: Party, number: StudyId, say: Say) -> bool:
    """Finalize the live round when it is complete, else open the next; True once all are over.

    A round that stays below k submissions is waited for until finalizeBy, then another is opened.
    Raises what the steps raise; every step is idempotent.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    now = party.chain.client.timestamp()
    count = RoundNumber(party.chain.rounds.count(number, block_identifier=block))
    if count:
        round_ = party.chain.rounds.round(number, count, block_identifier=block)
        if not (round_.finalized or round_.aborted or now > round_.finalize_by):
            if ready(party, number, round_, study.terms.min_hospitals, now):
                done = finalize(party, number, count)
                say(f"round {count}: finalized {done.included.bit_count()} updates")
            return False
    if count >= study.terms.max_rounds or now > study.terms.end_by:
        return True
    say(f"round {open_round(party, number)} is open")
    return False


def ready(party: Party, number: StudyId, round_: Round, least: int, now: int) -> bool:
    """Whether a round can be finalized: as the contract says, with at least k submissions."""
    barred = party.chain.rounds.barred(number, block_identifier=party.head())
    waiting = round_.enrolled & ~round_.submitted & ~barred
    if now > round_.freeze_by:
        waiting &= round_.frozen
    standing = (round_.submitted & ~round_.voided).bit_count()
    return standing >= least and (waiting == 0 or now > round_.submit_by)
