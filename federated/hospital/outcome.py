"""A study's label as a hospital's records have it."""

from __future__ import annotations

from collections.abc import Callable

from federated.spec import Label, StudySpec
from federated.tasks import task_of
from records.outcomes import Amount, Classes, Outcome, TimeToEvent, Two


def outcome_of(spec: StudySpec) -> Outcome:
    """The label's columns and what may stand in them. Raises `SpecError` for an unknown task."""
    made: dict[str, Callable[[Label], Outcome]] = {
        "binary": _two,
        "multiclass": _classes,
        "regression": _amount,
        "survival": _time_to_event,
    }
    return made[task_of(spec.task).name](spec.data.label)


def _two(label: Label) -> Outcome:
    negative, positive = label.words
    return Two(label.name, positive, negative)


def _classes(label: Label) -> Outcome:
    return Classes(label.name, label.words)


def _amount(label: Label) -> Outcome:
    return Amount(label.name, label.unit or "", *label.range)


def _time_to_event(label: Label) -> Outcome:
    censored, event = label.words
    time, unit = label.time or "", label.unit or ""
    return TimeToEvent(label.name, event, censored, time, unit, label.range[1])
