"""What a study of the chain's benches asks for: long periods, little money, nothing masked."""

from __future__ import annotations

from chain.studies import RewardRule, Terms
from chain.types import Address, Wei

SPEC, STATE = b"\2" * 32, b"\3" * 32
_DAY = 86_400


def terms(now: int, token: Address, *, patients: int, hospitals: int, auditor_quorum: int) -> Terms:
    """Of a study that so many hospitals must join, with at most so many patients each."""
    return Terms(
        spec=SPEC,
        state=STATE,
        purposes=1,
        token=token,
        hospital_pool=Wei(1_000),
        bond=Wei(10),
        demand_deposit=Wei(1),
        end_by=now + 10 * _DAY,
        settle_by=now + 20 * _DAY,
        challenge_end=now + 30 * _DAY,
        claim_end=now + 40 * _DAY,
        refund_at=now + 50 * _DAY,
        freeze_period=_DAY,
        submit_period=_DAY,
        unmask_period=0,
        finalize_period=_DAY,
        answer_period=_DAY,
        max_weight=patients,
        max_patients=patients,
        min_hospitals=hospitals,
        max_hospitals=hospitals,
        max_rounds=4,
        threshold=0,
        max_demands=4,
        auditor_quorum=auditor_quorum,
        masked=False,
        rule=RewardRule.COUNT,
    )
