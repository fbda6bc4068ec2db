"""Lineage: each round continues from where the spec says, and none from a voided update.

In a study with a search: from its candidate's own rounds, and after it from those of the candidate
that the reports choose. Whoever has no key recomputes the choice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chain.round_events import RoundOpened
from chain.types import BlockNumber
from federated.auditor.facts import Facts
from federated.auditor.verdict import Checks, Place
from federated.chosen import line_of_round, reports_of_search, search_is_over
from federated.party import Party
from federated.search import candidate_of, tallies
from federated.study import Study


def check_lineage(party: Party, study: Study, rounds: Sequence[Facts], checks: Checks) -> None:
    """Check the parent of every round; `rounds` are all of the study, in order."""
    flagged: set[int] = set()
    for facts in rounds:
        at, parent = Place(facts.number), facts.round.parent
        with checks.guarded("parent", at):
            opened = party.chain.rounds.opening(study.number, facts.number, to_block=facts.block)
            line = line_of_round(party, study, facts.number, facts.block)
            wanted = _parent(study, rounds, opened, line)
            detail = f"opened from round {parent}; {study.spec.after_void!r} gives round {wanted}"
            checks.add("parent", parent == wanted, detail, at)
            if study.spec.search is not None:
                _check_search(study, facts, parent in (*line, wanted), checks)
        detail = f"descends from round {parent}, which a voided update contaminates"
        checks.add("descent", parent not in flagged, detail, at)
        if facts.round.contaminated or parent in flagged:
            flagged.add(facts.number)


def _check_search(study: Study, facts: Facts, ok: bool, checks: Checks) -> None:
    """Whether a round goes on from its candidate's rounds, or from the chosen one's."""
    own = candidate_of(study.spec, facts.number)
    says = "the reports choose another candidate"
    if own is not None:
        says = f"candidate {own + 1} of the search begins from the study's own state"
    detail = f"opened from round {facts.round.parent}, and {says}"
    checks.add("search", ok, detail, Place(facts.number))


def note_search(party: Party, study: Study, block: BlockNumber, checks: Checks) -> None:
    """Name candidates that fewer hospitals judged than the spec asks for: nobody chose them."""
    search = study.spec.search
    with checks.guarded("search"):
        if search is None or not search_is_over(party, study, block):
            return
        found = tallies(search, reports_of_search(party, study, block))
        for place, item in enumerate(found, start=1):
            if not item.enough:
                text = f"candidate {place} has reports of {item.hospitals} hospitals, too few"
                checks.note("search", f"{text} to be chosen")
        if not any(item.enough for item in found):
            checks.note("search", "no candidate has enough reports, so that the first one stands")


def _parent(
    study: Study, rounds: Sequence[Facts], opened: RoundOpened, line: Collection[int]
) -> int:
    """The newest finalized round of `line`; under "go-back", that descends from no void known by
    then."""
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
        if facts.number not in line:
            continue
        if facts.round.finalized and (clean[facts.number] or study.spec.after_void == "go-on"):
            newest = facts.number
    return newest
