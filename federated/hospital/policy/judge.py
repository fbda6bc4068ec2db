"""What a policy says of a study: every rule, whether it passes, and why."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from federated.errors import PolicyRefused
from federated.hospital.policy.policy import Policy
from federated.models import parameter_schema
from federated.purposes import PERMISSIONS, RESTRICTIONS, study_bitmap, tier_bitmap
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


def judge(policy: Policy, asked: Asked) -> tuple[Finding, ...]:
    """The answer of every rule, in the order of `Policy`."""
    return tuple(
        Finding(name, *_JUDGES[name](policy, asked)) for name in Policy.__dataclass_fields__
    )


def refuse(found: Iterable[Finding]) -> None:
    """Raise `PolicyRefused` that names every rule which refuses."""
    refused = [(item.rule, item.why) for item in found if item.outcome is Outcome.REFUSES]
    if refused:
        raise PolicyRefused(*refused[0], *refused[1:])


def _purposes(policy: Policy, asked: Asked) -> Answer:
    needed = study_bitmap(asked.spec.purposes)
    if not policy.purposes:
        return Outcome.PASSES, "any"
    missing = needed & ~tier_bitmap(policy.purposes)
    words = [term.label for term in PERMISSIONS.values() if missing >> term.bit & 1]
    words += [
        f"not to be bound by {term.label!r}"
        for term in RESTRICTIONS.values()
        if len(term.bits) == 1 and missing >> term.bits[0] & 1
    ]
    if not words:
        return Outcome.PASSES, ", ".join(asked.spec.purposes)
    allowed = ", ".join(policy.purposes)
    return Outcome.REFUSES, f"the study needs {', '.join(words)}; allowed: {allowed}"


def _parameters(policy: Policy, asked: Asked) -> Answer:
    shapes = parameter_schema(asked.spec)
    return _at_most(policy.most_parameters, shapes.size, "parameters")


def _denied_features(policy: Policy, asked: Asked) -> Answer:
    data = asked.spec.data
    names = [item.name for item in data.features] + [data.label.name]
    names += [item.field for item in data.eligibility]
    denied = {_plain(name) for name in policy.denied_features}
    used = sorted({name for name in names if _plain(name) in denied})
    if used:
        return Outcome.REFUSES, f"the study uses {_quoted(used)}; no model may"
    return Outcome.PASSES, "none is used" if denied else "any"


def _denied_centers(policy: Policy, asked: Asked) -> Answer:
    if not policy.denied_centers:
        return Outcome.PASSES, "any"
    if asked.center is None:
        return Outcome.LATER, _ON_CHAIN
    if _same(asked.center) in map(_same, policy.denied_centers):
        return Outcome.REFUSES, f"the center {asked.center} may not ask"
    return Outcome.PASSES, asked.center


def _auditors(policy: Policy, asked: Asked) -> Answer:
    named = {_same(item.address) for item in asked.spec.auditors}
    missing = [item for item in policy.auditors if _same(item) not in named]
    if missing:
        return Outcome.REFUSES, f"the study does not name {', '.join(missing)}"
    return Outcome.PASSES, "all are named" if policy.auditors else "any"


def _least_auditors(policy: Policy, asked: Asked) -> Answer:
    """A center that names itself has nobody else recompute."""
    named = {_same(item.address) for item in asked.spec.auditors}
    if asked.center is not None:
        named -= {_same(asked.center)}
    return _at_least(policy.least_auditors, len(named), "auditors besides the center")


def _studies(policy: Policy, asked: Asked) -> Answer:
    if asked.others is None:
        return Outcome.LATER, "counted when the study is approved and joined"
    return _at_most(policy.most_studies, asked.others + 1, "studies at once, with this one")


def _cohort(least: int, asked: Asked) -> Answer:
    """Cohorts are counted at freeze; here only what no cohort could ever reach is refused."""
    if not least:
        return Outcome.PASSES, "any"
    most = asked.spec.terms.max_patients
    if most < least:
        return Outcome.REFUSES, f"the study takes {most} patients of a hospital, at least {least}"
    return Outcome.LATER, f"at least {least} people: counted before a cohort is frozen"


def _epsilon(most: float | None) -> Answer:
    if most is None:
        return Outcome.PASSES, "no privacy noise is asked for"
    return Outcome.REFUSES, (
        f"no privacy budget is declared, so that none can keep ε ≤ {most}: studies carry no "
        "privacy noise yet; without this rule the hospital takes part without it"
    )


def _among(wanted: str | None, allowed: Sequence[str]) -> Answer:
    if not allowed:
        return Outcome.PASSES, "any"
    if wanted is None:
        return Outcome.LATER, _ON_CHAIN
    if wanted in allowed:
        return Outcome.PASSES, _quoted([wanted])
    return Outcome.REFUSES, f"the study has {_quoted([wanted])}; allowed: {', '.join(allowed)}"


def _at_most(most: int, got: int, what: str) -> Answer:
    if got > most:
        return Outcome.REFUSES, f"the study has {got} {what}, at most {most}"
    return Outcome.PASSES, f"{got} of at most {most}"


def _at_least(least: int, got: int, what: str) -> Answer:
    if got < least:
        return Outcome.REFUSES, f"the study has {got} {what}, at least {least}"
    return Outcome.PASSES, f"{got} of at least {least}"


def _same(address: str | None) -> str | None:
    return None if address is None else address.lower()


def _plain(name: str) -> str:
    """A name as a person reads it: "Post code", full-width letters and case are one spelling."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


def _quoted(names: Iterable[str]) -> str:
    """Words of a center are data: `repr` leaves no control character to a terminal."""
    return ", ".join(repr(name[:60]) for name in names)


_ON_CHAIN = "known when the study is open"

_JUDGES: dict[str, Callable[[Policy, Asked], Answer]] = {
    "purposes": _purposes,
    "modes": lambda p, a: _among(a.spec.mode, p.modes),
    "tasks": lambda p, a: _among(a.spec.task, p.tasks),
    "models": lambda p, a: _among(a.spec.model.name, p.models),
    "most_parameters": _parameters,
    "strategies": lambda p, a: _among(a.spec.strategy.name, p.strategies),
    "most_rounds": lambda p, a: _at_most(p.most_rounds, a.spec.rounds, "rounds"),
    "most_epochs": lambda p, a: _at_most(p.most_epochs, a.spec.training.epochs, "passes a round"),
    "least_hospitals": lambda p, a: _at_least(
        p.least_hospitals, a.spec.min_hospitals, "hospitals that a round needs"
    ),
    "least_cohort": lambda p, a: _cohort(p.least_cohort, a),
    "least_training": lambda p, a: _cohort(p.least_training, a),
    "least_per_class": lambda p, a: _cohort(p.least_per_class, a),
    "dictionaries": lambda p, a: _among(a.spec.data.dictionary, p.dictionaries),
    "denied_features": _denied_features,
    "centers": lambda p, a: _among(_same(a.center), p.centers),
    "denied_centers": _denied_centers,
    "auditors": _auditors,
    "least_auditors": _least_auditors,
    "rewards": lambda p, a: _among(a.spec.reward.rule, p.rewards),
    "after_void": lambda p, a: _among(a.spec.after_void, p.after_void),
    "tokens": lambda p, a: _among(_same(a.token), p.tokens),
    "most_studies": _studies,
    "epsilon_per_study": lambda p, _: _epsilon(p.epsilon_per_study),
    "epsilon_per_year": lambda p, _: _epsilon(p.epsilon_per_year),
}
