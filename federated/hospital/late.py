"""An update that missed its round and waits in this hospital's home for the next one."""

from __future__ import annotations

from typing import Any

from chain.types import BlockNumber, RoundNumber, StudyId
from federated.party import Party
from federated.staleness import open_rounds
from federated.study import Study


def sealed_step(number: StudyId, round_number: RoundNumber) -> str:
    """The journal's name for the update that was sealed for a round."""
    return f"sealed-{number}-{round_number}"


def waiting(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> list[tuple[RoundNumber, dict[str, Any]]]:
    """Sealed updates that may be submitted in `number` with a cohort that is still the same.

    By the round that they were trained in, the newest first, each as the journal keeps it.
    """
    index = study.index_of(party.address)
    found = []
    for place, _, _ in open_rounds(party, study, number, index, block):
        if (record := party.journal.get(sealed_step(study.number, place))) is not None:
            found.append((place, record))
    return found
