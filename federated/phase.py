"""In which phase a round is, by the chain's words and time alone."""

from __future__ import annotations

from chain.round_events import Frozen
from chain.round_types import Round
from federated.party import Party


def is_complete(round_: Round, barred: int, now: int) -> bool:
    """Whether all updates are in: from here on its inputs change by a void alone.

    As the contract says: every enrolled hospital that can still freeze has, every frozen one has
    submitted, or submitBy is past. `barred` is one bit per hospital voided in any round.
    """
    waiting = round_.enrolled & ~round_.submitted & ~barred
    if now > round_.freeze_by:
        waiting &= round_.frozen
    return waiting == 0 or now > round_.submit_by


def standing(round_: Round) -> int:
    """One bit per hospital whose submission no challenge has voided."""
    return round_.submitted & ~round_.voided


def may_arrive(party: Party, frozen: Frozen) -> bool:
    """Whether what a hospital froze may still be sent: submitBy of that round is not past."""
    block = party.head()
    until = party.chain.rounds.deadlines(frozen.study, frozen.round, block_identifier=block)
    return party.chain.client.timestamp() <= until.submit_by


def report_by(round_: Round) -> int:
    """Until when the center of a contribution rule waits for reports, seconds.

    The middle between submitBy and finalizeBy: stored times alone decide, so that anyone tells from
    the block of finalize whether it waited, and half of the phase is left for finalizing.
    """
    return (round_.submit_by + round_.finalize_by) // 2
