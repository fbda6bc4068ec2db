"""What a study's search chose, read from the chain and the store alone: anyone comes to it."""

from __future__ import annotations

from dataclasses import dataclass

from chain.types import BlockNumber, RoundNumber
from federated.errors import StepError
from federated.metrics import LOSS_STEP, LOSS_UNIT
from federated.party import Party
from federated.reports import Report
from federated.search import (
    candidate_of,
    effective,
    ends,
    in_words,
    judging_rounds,
    line,
    search_choice,
    tallies,
)
from federated.signed_report import listed_in
from federated.spec import StudySpec
from federated.study import Study


def reports_of_search(party: Party, study: Study, block: BlockNumber) -> list[list[Report]]:
    """By candidate, the reports that the manifest of its last round lists and that count.

    None of a round that ended without a model. Raises what the store raises for one that is gone.
    """
    return [
        listed_in(party, study, RoundNumber(number), block) for number in judging_rounds(study.spec)
    ]


def chosen(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> int | None:
    """The candidate whose settings a round has that is opened after the search; else None.

    Nothing can change it any more: manifests of finalized rounds are bound by the chain.
    """
    if study.spec.search is None or candidate_of(study.spec, number) is not None:
        return None
    return search_choice(study.spec, reports_of_search(party, study, block))


def spec_of_round(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> StudySpec:
    """The spec with the settings of a round."""
    return effective(study.spec, number, chosen(party, study, number, block))


def line_of_round(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> tuple[int, ...]:
    """Rounds that a round may go on from (`search.line`)."""
    return line(study.spec, number, chosen(party, study, number, block))


def require_line(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> None:
    """Raise `StepError` where a round does not go on from where the study's search has it.

    A center that chooses another candidate, or begins one from another's model, would bend what
    the hospitals' reports say.
    """
    if study.spec.search is None:
        return
    rounds, allowed = party.chain.rounds, line_of_round(party, study, number, block)
    parent = rounds.round(study.number, number, block_identifier=block).parent
    earlier = (
        rounds.round(study.number, RoundNumber(place), block_identifier=block) for place in allowed
    )
    nothing = not any(item.finalized and not item.contaminated for item in earlier)
    if parent in allowed or (parent == 0 and nothing):
        return
    which = "the candidate that" if number > ends(study.spec) else "where"
    raise StepError(
        f"study {study.number}: round {number}: goes on from round {parent}, not from {which} the "
        "study's search has it: take no part in it, and tell the auditors"
    )


@dataclass(frozen=True, slots=True)
class Searched:
    """A candidate as a table shows it, counted from 1.

    `loss` is in nats a person of `people` validation patients at `hospitals`, None where nobody was
    judged. `chosen` is None while the search goes on.
    """

    candidate: int
    settings: str
    rounds: tuple[int, int]
    loss: float | None
    people: int
    hospitals: int
    chosen: bool | None


def search_table(party: Party, study: Study, block: BlockNumber) -> tuple[Searched, ...]:
    """The search as anyone recomputes it; empty without one. Raises what the store raises."""
    if (search := study.spec.search) is None:
        return ()
    reports = reports_of_search(party, study, block)
    best = search_choice(study.spec, reports) if search_is_over(party, study, block) else None
    rows = []
    for at, found in enumerate(tallies(search, reports)):
        first = at * search.rounds + 1
        rows.append(
            Searched(
                candidate=at + 1,
                settings=in_words(search.candidates[at]),
                rounds=(first, first + search.rounds - 1),
                loss=None if found.mean is None else float(found.mean * LOSS_STEP / LOSS_UNIT),
                people=found.people,
                hospitals=found.hospitals,
                chosen=None if best is None else at == best,
            )
        )
    return tuple(rows)


def search_is_over(party: Party, study: Study, block: BlockNumber) -> bool:
    """Whether the search's last round is, with or without a model."""
    rounds, last = party.chain.rounds, RoundNumber(ends(study.spec))
    count = rounds.count(study.number, block_identifier=block)
    return count >= last and rounds.is_over(study.number, last, block_identifier=block)
