"""The search for settings, as a part of a study: pure, so that everyone comes to the same choice.

Candidate i (counted from 0) has rounds i·n + 1 … (i + 1)·n and begins from the study's own state.
In the last of them hospitals judge its model on validation patients and sign their losses before
the round is finalized. The candidate with the least mean loss over people goes on: the rounds that
follow have its settings, and begin from its model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from federated.contribution import measured
from federated.errors import StepError
from federated.spec import Search, StudySpec, Training, Tried

if TYPE_CHECKING:
    from federated.reports import Report

_TRAINING = tuple(item.name for item in fields(Tried) if item.name in Training.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Tally:
    """What hospitals reported of a candidate: loss in half nats over `people`, by `hospitals`.

    `enough` says whether so many judged it that it can be chosen.
    """

    loss: int
    people: int
    hospitals: int
    enough: bool

    @property
    def mean(self) -> Fraction | None:
        """Half nats a person; None where nobody was judged."""
        return Fraction(self.loss, self.people) if self.people else None


def ends(spec: StudySpec) -> int:
    """How many rounds the search takes: 0 without one."""
    return 0 if spec.search is None else spec.search.rounds * len(spec.search.candidates)


def candidate_of(spec: StudySpec, number: int) -> int | None:
    """Whose round it is; None for a round that is not of the search."""
    if spec.search is None or not 1 <= number <= ends(spec):
        return None
    return (number - 1) // spec.search.rounds


def judging_rounds(spec: StudySpec) -> list[int]:
    """The last round of each candidate, in which its model is judged."""
    if spec.search is None:
        return []
    return [(at + 1) * spec.search.rounds for at in range(len(spec.search.candidates))]


def reports_asked(spec: StudySpec, number: int) -> bool:
    """Whether hospitals judge a round's models: for the reward rule, or for the search."""
    return measured(spec.reward.rule) or number in judging_rounds(spec)


def settings(spec: StudySpec) -> tuple[StudySpec, ...]:
    """The spec as each candidate has it, or as it is: every way in which a round may train."""
    if spec.search is None:
        return (spec,)
    return tuple(_applied(spec, item) for item in spec.search.candidates)


def effective(spec: StudySpec, number: int, chosen: int | None) -> StudySpec:
    """The spec with the settings of a round; `chosen` is the candidate of rounds after the search.

    Raises `StepError` where one of these is asked for before anything was chosen.
    """
    if spec.search is None:
        return spec
    at = candidate_of(spec, number)
    if at is None and (at := chosen) is None:
        raise StepError(f"round {number} has the settings that the search chooses: finish it first")
    return _applied(spec, spec.search.candidates[at])


def line(spec: StudySpec, number: int, chosen: int | None) -> tuple[int, ...]:
    """Rounds that a round may go on from, ascending; where none of them can serve, it is round 0.

    A candidate's go on from its own, so that none profits from another's. Those after the search
    go on from each other and from the chosen candidate's.
    """
    if spec.search is None:
        return tuple(range(1, number))
    at, last = candidate_of(spec, number), ends(spec)
    if at is None and (at := chosen) is None:
        raise StepError(f"round {number} goes on from what the search chooses: finish it first")
    first = at * spec.search.rounds + 1
    own = range(first, min(first + spec.search.rounds, number))
    return (*own, *range(last + 1, number))


def tallies(search: Search, reports: Sequence[Sequence[Report]]) -> tuple[Tally, ...]:
    """By candidate, the sum of the reports that the manifest of its last round lists.

    There is one of a hospital at most (`signed_report.listed_in`).
    """
    return tuple(_tally(search, found) for found in reports)


def search_choice(spec: StudySpec, reports: Sequence[Sequence[Report]]) -> int:
    """The candidate that goes on: least mean loss over people, the first of equals.

    0 where no candidate was judged by enough hospitals. Integers decide: half nats and people.
    Raises `StepError` for a spec without a search.
    """
    if spec.search is None:
        raise StepError("the spec has no search; nothing is chosen")
    means = {
        at: found.mean
        for at, found in enumerate(tallies(spec.search, reports))
        if found.enough and found.mean is not None
    }
    return min(means, key=lambda at: (means[at], at), default=0)


def _tally(search: Search, reports: Sequence[Report]) -> Tally:
    judged = [item for item in reports if item.evaluations]
    loss = sum(item.evaluations[0].loss for item in judged)
    people = sum(item.people for item in judged)
    return Tally(loss, people, len(judged), len(judged) >= search.reports)


def _applied(spec: StudySpec, tried: Tried) -> StudySpec:
    given = {name: getattr(tried, name) for name in _TRAINING}
    training = replace(spec.training, **{k: v for k, v in given.items() if v is not None})
    config = {**spec.strategy.config, **(tried.strategy or {})}
    return replace(spec, training=training, strategy=replace(spec.strategy, config=config))


def in_words(tried: Tried) -> str:
    """A candidate's settings, for a table."""
    given = {name: getattr(tried, name) for name in _TRAINING}
    given |= {f"{name} (strategy)": value for name, value in (tried.strategy or {}).items()}
    found = [f"{name} {value}" for name, value in given.items() if value is not None]
    return ", ".join(found) or "as in the spec"
