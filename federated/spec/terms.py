"""When a study's phases and periods end, who is paid how much, and who audits.

Times are seconds; those of `Terms` count from the opening of the study, those of `Phases` from the
opening of a round and each from the end of the phase before.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.types import Wei
from federated.codec import Address, Config


@dataclass(frozen=True, slots=True)
class Phases:
    """Length of each phase of a round; `unmask_s` is 0 exactly in open mode."""

    freeze_s: int
    submit_s: int
    unmask_s: int
    finalize_s: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Ends of the study's periods, seconds after its opening, and the rules for demands.

    `end_by_s`: last finalize. `settle_s`: last reward root. `challenge_s`: last challenge.
    `claim_s`: last claim. `refund_s`: what is left returns to the center. `max_patients`: cap on
    the consents that one hospital may admit.
    """

    end_by_s: int
    settle_s: int
    challenge_s: int
    claim_s: int
    refund_s: int
    answer_s: int
    demand_deposit_wei: Wei
    max_demands: int
    max_patients: int


@dataclass(frozen=True, slots=True)
class Reward:
    """How hospitals share `hospitals_wei` of the budget; `contribution.RULES` has the rules.

    `config` holds the settings of a rule that has some.
    """

    rule: str
    budget_wei: Wei
    hospitals_wei: Wei
    bond_wei: Wei
    config: Config | None = None


@dataclass(frozen=True, slots=True)
class Auditor:
    """An auditor whom updates are sealed to, and whose vote counts."""

    address: Address
