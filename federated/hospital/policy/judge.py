"""What a policy says of a study: every rule, whether it passes, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from federated.errors import PolicyRefused
from federated.hospital.policy import answers
from federated.hospital.policy.finding import Answer, Asked, Finding, Outcome
from federated.hospital.policy.policy import Policy
from federated.search import settings


def judge(policy: Policy, asked: Asked) -> tuple[Finding, ...]:
    """The answer of every rule, in the order of `Policy`.

    A study that searches for settings is refused for a single candidate that goes too far.
    """
    return tuple(_judge(name, policy, asked) for name in Policy.__dataclass_fields__)


def _judge(name: str, policy: Policy, asked: Asked) -> Finding:
    if asked.spec.search is None:
        return Finding(name, *_JUDGES[name](policy, asked))
    tried = [replace(asked, spec=spec) for spec in settings(asked.spec)]
    found = [Finding(name, *_JUDGES[name](policy, one)) for one in tried]
    for place, item in enumerate(found, start=1):
        if item.outcome is Outcome.REFUSES:
            return replace(item, why=f"{item.why} (candidate {place} of the search)")
    return found[0]


def refuse(found: Iterable[Finding]) -> None:
    """Raise `PolicyRefused` that names every rule which refuses, and says what to do."""
    refused = [(item.rule, item.why) for item in found if item.outcome is Outcome.REFUSES]
    if refused:
        refused[-1] = (refused[-1][0], f"{refused[-1][1]}; change the policy, or take no part")
        raise PolicyRefused(*refused[0], *refused[1:])


_JUDGES: dict[str, Callable[[Policy, Asked], Answer]] = {
    "purposes": answers.purposes,
    "modes": lambda p, a: answers.among(a.spec.mode, p.modes),
    "tasks": lambda p, a: answers.among(a.spec.task, p.tasks),
    "models": answers.models,
    "most_parameters": answers.parameters,
    "strategies": lambda p, a: answers.among(a.spec.strategy.name, p.strategies),
    "most_rounds": lambda p, a: answers.at_most(p.most_rounds, a.spec.rounds, "rounds"),
    "most_epochs": answers.passes,
    "least_hospitals": lambda p, a: answers.at_least(
        p.least_hospitals, a.spec.min_hospitals, "hospitals that a round needs"
    ),
    "least_cohort": lambda p, a: answers.cohort(p.least_cohort, a),
    "least_training": lambda p, a: answers.cohort(p.least_training, a),
    "least_per_class": lambda p, a: answers.cohort(p.least_per_class, a),
    "dictionaries": lambda p, a: answers.among(a.spec.data.dictionary, p.dictionaries),
    "denied_features": answers.denied_features,
    "centers": lambda p, a: answers.among_addresses(a.center, p.centers),
    "denied_centers": answers.denied_centers,
    "auditors": answers.auditors,
    "least_auditors": answers.least_auditors,
    "rewards": lambda p, a: answers.among(a.spec.reward.rule, p.rewards),
    "after_void": lambda p, a: answers.among(a.spec.after_void, p.after_void),
    "tokens": lambda p, a: answers.among_addresses(a.token, p.tokens),
    "most_studies": answers.studies,
    "epsilon_per_study": lambda p, _: answers.epsilon(p.epsilon_per_study),
    "epsilon_per_year": lambda p, _: answers.epsilon(p.epsilon_per_year),
}
