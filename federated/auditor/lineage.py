"""Lineage: each round continues from where the spec says, and none from a voided update."""

from __future__ import annotations

from collections.abc import Sequence

from chain.rounds import RoundOpened
from federated.auditor.facts import Facts
from federated.auditor.verdict import Checks, Place
from federated.party import Party
from federated.study import Study


def check_lineage(party: Party, study: Study, rounds: Sequence[Facts], checks: Checks) -> None:
    """Check the parent of every round; `rounds` are all of the study, in order."""
    flagged: set[int] = set()
    for facts in rounds:
        at, parent = Place(facts.number), facts.round.parent
        with checks.guarded("parent", at):
            opened = party.chain.rounds.opening(study.number, facts.number, to_block=facts.block)
            wanted = _parent(study, rounds, opened)
            detail = f"opened from round {parent}; {study.spec.after_void!r} gives round {wanted}"
            checks.add("parent", parent == wanted, detail, at)
        detail = f"descends from round {parent}, which a voided update contaminates"
        checks.add("descent", parent not in flagged, detail, at)
        if facts.round.contaminated or parent in flagged:
            flagged.add(facts.number)


def _parent(study: Study, rounds: Sequence[Facts], opened: RoundOpened) -> int:
    """The newest finalized round; under "go-back", that descends from no void known by then."""
    clean = {0: True}
    newest = 0
    for facts in rounds:
        if facts.number >= opened.round:
            break
        voided = any(
            void.contaminated and (void.block, void.log_index) < (opened.block, opened.log_index)
            for void in facts.voids.values()
        )
        clean[facts.number] = clean.get(facts.round.parent, True) and not voided
        if facts.round.finalized and (clean[facts.number] or study.spec.after_void == "go-on"):
            newest = facts.number
    return newest
