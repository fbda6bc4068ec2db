"""What became of each hospital in a round: who is in the model, who is not, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chain.round_events import Frozen, Submitted
from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber
from federated.party import Party
from federated.published import read_result
from federated.staleness import contexts_of_update
from federated.study import Study
from storage.manifest import read_manifest


class Fate(StrEnum):
    """How far a hospital came in a round. `VOIDED` goes before all: a challenge may come late.

    `OUTSIDE`: the round was opened for others. `ABSENT`: did not freeze; `FROZEN`: did not submit;
    `SUBMITTED`: in no model, and no rule left it out.
    """

    INCLUDED = "included"
    VOIDED = "voided"
    EXCLUDED = "excluded"
    SUBMITTED = "submitted"
    FROZEN = "frozen"
    ABSENT = "absent"
    OUTSIDE = "outside"


_SAID = {Fate.FROZEN: "did not submit", Fate.ABSENT: "did not freeze"}
_SAID[Fate.OUTSIDE] = "not in the round"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the hospital with this index; `included` tells that its update is in the model.

    `code` says by which rule it was excluded, `staleness` how many models late an included one is.
    `restored`: auditors found it excluded falsely, and its weight counts all the same.
    """

    hospital: int
    fate: Fate
    code: str = ""
    included: bool = False
    staleness: int = 0
    restored: bool = False

    @property
    def said(self) -> str:
        """In words."""
        if self.included:
            late = f", {self.staleness} model{'s'[: self.staleness > 1]} late"
            since = ", voided since" * (self.fate is Fate.VOIDED)
            return f"included{late * bool(self.staleness)}{since}"
        if self.fate is Fate.EXCLUDED:
            return f"excluded: {self.code}{', restored by auditors' * self.restored}"
        return _SAID.get(self.fate, self.fate.value)


def outcomes(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> tuple[Outcome, ...]:
    """Of every hospital of the study, by index, as the chain and the manifest tell at a block.

    Raises what `read_result` does where the round is finalized.
    """
    rounds = party.chain.rounds
    round_ = rounds.round(study.number, number, block_identifier=block)
    codes: dict[int, str] = {}
    if round_.finalized:
        manifest, _, _ = read_result(party, study, number, block)
        codes = {entry.hospital: entry.code.value for entry in manifest.entries if entry.code}
    freezes = rounds.freezes(study.number, number, to_block=block)
    frozen = {event.freeze.hospital: event for event in freezes}
    submitted = rounds.submissions(study.number, number, to_block=block)
    events = {event.index: event for event in submitted}
    restored = rounds.restored(study.number, number, block_identifier=block)
    found = []
    for index in range(len(study.hospitals)):
        included = bool(round_.included >> index & 1)
        stale = _staleness(party, study, frozen[index], events[index]) if included else 0
        fate = _fate(round_, index, codes)
        again = bool(restored >> index & 1)
        found.append(Outcome(index, fate, codes.get(index, ""), included, stale, again))
    return tuple(found)


def _fate(round_: Round, index: int, codes: dict[int, str]) -> Fate:
    words = (
        (Fate.VOIDED, round_.voided >> index & 1),
        (Fate.INCLUDED, round_.included >> index & 1),
        (Fate.EXCLUDED, index in codes),
        (Fate.SUBMITTED, round_.submitted >> index & 1),
        (Fate.FROZEN, round_.frozen >> index & 1),
        (Fate.ABSENT, round_.enrolled >> index & 1),
    )
    return next((fate for fate, holds in words if holds), Fate.OUTSIDE)


def _staleness(party: Party, study: Study, frozen: Frozen, event: Submitted) -> int:
    if study.spec.late is None:
        return 0
    context = read_manifest(party.store, event.manifest).context
    return contexts_of_update(party, study, frozen)[context]
