"""A center opens rounds, each from the newest state that stands."""

from __future__ import annotations

from chain.types import RoundNumber, StudyId
from federated.errors import StepError
from federated.party import Party
from federated.provenance import parent_round
from federated.study import read_study


def open_round(party: Party, number: StudyId) -> RoundNumber:
    """Open the next round; returns the live one where a round is open already.

    Raises `StepError` when the study has had all its rounds.
    """
    chain, block = party.chain, party.head()
    study = read_study(chain, party.store, number, block)
    count = chain.rounds.count(number, block_identifier=block)
    live = RoundNumber(count)
    if count and not chain.rounds.is_over(number, live, block_identifier=block):
        return live
    if count >= study.terms.max_rounds:
        raise StepError(f"study {number} has had all its {count} rounds; settle it")
    parent = parent_round(party, study, block)
    state = (
        chain.rounds.round(number, parent, block_identifier=block).state
        if parent
        else study.terms.state
    )
    chain.client.send(chain.rounds.open(number, parent, state), step=f"open-{number}-{count + 1}")
    return RoundNumber(count + 1)
