"""What each hospital's updates were worth to the others: leave-one-out and two Shapley values.

A rule is a game for each hospital that judges: its players are the other hospitals of a round, and
the judge's own update is in every model that it judges. So its own contribution is in no report.
Everything here is pure and exact: integers from signed reports in, fractions out.
"""

from federated.contribution.coalitions import bit, everyone, members
from federated.contribution.confidence import Confidence, confidences
from federated.contribution.cost import Cost, cost_of
from federated.contribution.measure import RULES, Measure, check_reward, measured, plan_of
from federated.contribution.plan import Plan
from federated.contribution.walk import Walk, follow

__all__ = [
    "RULES",
    "Confidence",
    "Cost",
    "Measure",
    "Plan",
    "Walk",
    "bit",
    "check_reward",
    "confidences",
    "cost_of",
    "everyone",
    "follow",
    "measured",
    "members",
    "plan_of",
]
