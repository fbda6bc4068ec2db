"""How a study measures contributions: its rule, the rule's settings, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from federated.contribution.plan import Plan
from federated.errors import SpecError
from federated.strategies.settings import Setting, check_settings

if TYPE_CHECKING:
    from federated.spec import Reward, StudySpec

COUNT, LEAVE_ONE_OUT = "count", "leave-one-out"
TMC, GTG = "tmc-shapley", "gtg-shapley"
MOST_MODELS = 4096
"""Models of one round: what a center computes and seals for its hospitals."""

_ORDERS = Setting("permutations", 1, 1000, whole=True)
_WITHIN = Setting("tolerance", 0, 16)
_BETWEEN = Setting("round_tolerance", 0, 16)

RULES: dict[str, tuple[Setting, ...]] = {
    COUNT: (),
    LEAVE_ONE_OUT: (),
    TMC: (_ORDERS, _WITHIN),
    GTG: (_ORDERS, _WITHIN, _BETWEEN),
}
"""Reward rules and their settings. Tolerances are in nats a record."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A contribution rule with what it needs to name a round's models.

    `permutations` is how many orders of joining a hospital judges at most; 0 for leave-one-out.
    Tolerances are in nats a record, exactly what the spec's floats are.
    """

    rule: str
    seed: int = 0
    permutations: int = 0
    tolerance: Fraction = Fraction(0)
    round_tolerance: Fraction = Fraction(0)

    @classmethod
    def of(cls, spec: StudySpec) -> Measure:
        """That of a spec that opens. Raises `SpecError` for a study without one."""
        rule, config = spec.reward.rule, spec.reward.config or {}
        if not measured(rule):
            raise SpecError("reward.rule", f"{rule} measures no contribution")
        within, between = (Fraction(config.get(item.name, 0)) for item in (_WITHIN, _BETWEEN))
        return cls(rule, spec.seed, config.get(_ORDERS.name, 0), within, between)

    def plan(self, included: int, round_number: int, state: bytes) -> Plan:
        """Which models the hospitals of a round judge; `state` is what the round leads to."""
        return Plan(
            included,
            orders=self.permutations,
            guided=self.rule == GTG,
            origin=(self.seed, round_number, state),
            tolerance=self.tolerance,
            round_tolerance=self.round_tolerance,
        )

    def models(self, hospitals: int) -> tuple[int, int]:
        """Models that a round of so many hospitals proposes, and that each judges at most."""
        if not self.permutations:
            return hospitals + 1, hospitals
        proposed = self.permutations * hospitals * (hospitals - 1) + 1
        if (1 << hospitals) - 1 <= proposed:
            return (1 << hospitals) - 1, 1 << (hospitals - 1)
        return proposed, self.permutations * (hospitals - 2) + 2


def plan_of(spec: StudySpec, included: int, round_number: int, state: bytes) -> Plan:
    """Which models of a round are judged: those of the spec's rule, or the round's own alone."""
    if measured(spec.reward.rule):
        return Measure.of(spec).plan(included, round_number, state)
    origin, nothing = (spec.seed, round_number, state), Fraction(0)
    return Plan(included, 0, False, origin, nothing, nothing, whole=True)


def measured(rule: str) -> bool:
    """Whether hospitals judge models for it."""
    return rule != COUNT


def check_reward(reward: Reward, hospitals: int) -> None:
    """Raise `SpecError` unless rule and settings are ones, and a round's models not too many."""
    if reward.rule not in RULES:
        raise SpecError("reward.rule", f"one of {', '.join(RULES)} is expected")
    settings, config = RULES[reward.rule], reward.config
    if not settings and config is not None:
        raise SpecError("reward.config", f"{reward.rule} has no settings; leave it out")
    check_settings(reward.rule, settings, config or {}, "reward.config")
    if not settings:
        return
    orders = (config or {})[_ORDERS.name]
    proposed, _ = Measure(reward.rule, permutations=orders).models(hospitals)
    if proposed > MOST_MODELS:
        raise SpecError(
            f"reward.config.{_ORDERS.name}",
            f"{hospitals} hospitals would have up to {proposed} models proposed in a round, at "
            f"most {MOST_MODELS} may be; lower it, or use {LEAVE_ONE_OUT}",
        )
