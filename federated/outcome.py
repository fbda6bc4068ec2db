"""What became of each hospital in a round, in words: who is in the model, who is not, and why."""

from __future__ import annotations

from dataclasses import dataclass

from chain.rounds import Frozen, Round, Submitted
from chain.types import BlockNumber, RoundNumber
from federated.party import Party
from federated.published import read_result
from federated.staleness import contexts_of_update
from federated.study import Study
from storage.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the hospital with this index; `included` tells that its update is in the model."""

    hospital: int
    said: str
    included: bool = False


def outcomes(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> tuple[Outcome, ...]:
    """Of every hospital of the study, by index, as the chain and the manifest tell at a block.

    Raises what `read_result` does where the round is finalized.
    """
    rounds = party.chain.rounds
    round_ = rounds.round(study.number, number, block_identifier=block)
    codes = {}
    if round_.finalized:
        manifest, _, _ = read_result(party, study, number, block)
        codes = {entry.hospital: entry.code for entry in manifest.entries if entry.code}
    freezes = rounds.freezes(study.number, number, to_block=block)
    frozen = {event.freeze.hospital: event for event in freezes}
    submitted = rounds.submissions(study.number, number, to_block=block)
    events = {event.index: event for event in submitted}
    found = []
    for index in range(len(study.hospitals)):
        if round_.included >> index & 1:
            stale = _staleness(party, study, frozen[index], events[index])
            said = f"included, {stale} models late" if stale else "included"
            found.append(Outcome(index, said, included=True))
        else:
            code = codes.get(index)
            said = f"excluded: {code}" if code else _without(round_, index)
            found.append(Outcome(index, said))
    return tuple(found)


def _without(round_: Round, index: int) -> str:
    """Why no update of a hospital is in the model, where no rule excluded it."""
    if not round_.enrolled >> index & 1:
        return "not in the round"
    if round_.voided >> index & 1:
        return "voided"
    if not round_.frozen >> index & 1:
        return "did not freeze"
    return "submitted" if round_.submitted >> index & 1 else "did not submit"


def _staleness(party: Party, study: Study, frozen: Frozen, event: Submitted) -> int:
    if study.spec.late is None:
        return 0
    context = read_manifest(party.store, event.manifest).context
    return contexts_of_update(party, study, frozen)[context]
