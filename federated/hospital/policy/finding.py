"""What a study asks, and what a rule answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from federated.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a study. A spec alone tells neither who asks nor what it pays in.

    `others` are the hospital's other studies that go on.
    """

    spec: StudySpec
    center: str | None = None
    token: str | None = None
    others: int | None = None


class Outcome(StrEnum):
    """`later`: not known yet, and held against the study when it is."""

    PASSES = "passes"
    REFUSES = "refuses"
    LATER = "later"


Answer = tuple[Outcome, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's answer; `why` shows what the study asks and what is allowed."""

    rule: str
    outcome: Outcome
    why: str
