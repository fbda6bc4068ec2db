"""A cohort held against the policy: people are counted, not rows and not weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from federated.hospital.policy.finding import Finding, Outcome
from federated.hospital.policy.policy import Policy
from records.cohort import Member
from records.splits import Part


@dataclass(frozen=True, slots=True)
class Headcount:
    """How many different people a cohort has; `fewest` are those of its rarer class who train."""

    people: int
    training: int
    fewest: int

    @classmethod
    def of(cls, members: Iterable[Member], groups: int) -> Headcount:
        """Count people by their local keys: one person with two records is one.

        `groups` is how many classes the study's task has, also such that nobody here is of.
        """
        people = {member.record.key: member for member in members}
        training = [member for member in people.values() if member.part is Part.TRAIN]
        of_class = Counter(member.record.stratum for member in training)
        return cls(len(people), len(training), min(of_class[place] for place in range(groups)))


def judge_cohort(policy: Policy, count: Headcount) -> tuple[Finding, ...]:
    """The answers of the rules that count people. They never say how many of a class there are."""
    return (
        _least("least_cohort", policy.least_cohort, count.people, "consent"),
        _least("least_training", policy.least_training, count.training, "train"),
        _per_class(policy.least_per_class, count.fewest),
    )


def _least(rule: str, least: int, got: int, do: str) -> Finding:
    if got >= least:
        return Finding(rule, Outcome.PASSES, f"{got} patients {do}")
    why = f"too few patients {do} ({got}, at least {least} are needed)"
    return Finding(rule, Outcome.REFUSES, why)


def _per_class(least: int, got: int) -> Finding:
    if got >= least:
        return Finding("least_per_class", Outcome.PASSES, "enough of each class")
    why = f"too few patients of a class train (at least {least} are needed)"
    return Finding("least_per_class", Outcome.REFUSES, why)
