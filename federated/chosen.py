"""What a study's search chose, read from the chain and the store alone: anyone comes to it."""

from __future__ import annotations

from chain.types import BlockNumber, RoundNumber
from federated.errors import StepError
from federated.party import Party
from federated.reports import Report
from federated.search import candidate_of, effective, ends, judging_rounds, line, search_choice
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
