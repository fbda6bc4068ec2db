"""Which model a hospital keeps: the global one, unless another is better on its own patients.

The measure is the log loss of a validation patient, at most 16 nats each. Another model takes the
global one's place where its mean is lower by more than one standard error of the paired difference;
so a tie, and a lead that chance explains, leave the global model. Of several that do so, the lowest
mean wins, and on a tie the one that is listed first. Too few validation patients of a label leave
the global model too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from federated.metrics import LOSS_CAP
from federated.results import LEAST_COUNT
from federated.schema import Array


class Kind(StrEnum):
    """Where a hospital's model comes from; ties go to who is listed first."""

    GLOBAL = "global"
    TUNED = "fine-tuned"
    DITTO = "ditto"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Judged:
    """Mean log loss on validation patients; `lead` is the global model's less this one's.

    `error` is the lead's standard error.
    """

    kind: Kind
    loss: float
    lead: float
    error: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The kind that is kept, all that were judged, on so many patients, and why, in words."""

    kept: Kind
    judged: tuple[Judged, ...]
    patients: int
    why: str


def choose(log_odds: Mapping[Kind, Array], labels: Array) -> Choice:
    """Judge models by their log odds of validation patients with labels of 0 and 1.  # (n,)"""
    losses = {kind: _losses(odds, labels) for kind, odds in log_odds.items()}
    judged = tuple(_judge(kind, losses[kind], losses[Kind.GLOBAL]) for kind in losses)
    positives = int(np.count_nonzero(labels))
    if min(positives, len(labels) - positives) < LEAST_COUNT:
        why = f"fewer than {LEAST_COUNT} validation patients of a label cannot judge another model"
        return Choice(Kind.GLOBAL, judged, len(labels), why)
    better = [item for item in judged if item.lead > item.error]
    if better:
        best = min(better, key=lambda item: (item.loss, list(Kind).index(item.kind)))
        why = "its log loss is lower by more than one standard error of the paired difference"
        return Choice(best.kind, judged, len(labels), why)
    why = "no other model's log loss is lower by more than one standard error"
    return Choice(Kind.GLOBAL, judged, len(labels), why)


def _judge(kind: Kind, losses: Array, reference: Array) -> Judged:
    if not len(losses):
        return Judged(kind, 0.0, 0.0, 0.0)
    lead = reference - losses
    error = float(lead.std(ddof=1) / np.sqrt(len(lead))) if len(lead) > 1 else 0.0
    return Judged(kind, float(losses.mean()), float(lead.mean()), error)


def _losses(log_odds: Array, labels: Array) -> Array:
    nats: Array = np.logaddexp(0, np.where(labels == 1, -log_odds, log_odds))
    return np.minimum(nats, LOSS_CAP)
