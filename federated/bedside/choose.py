"""Which model a hospital keeps: the global one, unless another is better on its own patients.

The measure is the task's loss of a validation patient: of classes the log loss, at most 16 nats
each; of an amount the squared error; of survival a term of Cox's loss for each who had the event.
Another model takes the
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

from federated.results import LEAST_COUNT
from federated.schema import Array


class Kind(StrEnum):
    """Where a hospital's model comes from; ties go to who is listed first."""

    GLOBAL = "global"
    TUNED = "fine-tuned"
    HEAD = "own head"
    DITTO = "ditto"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Judged:
    """Mean loss on validation patients; `lead` is the global model's less this one's.

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


def choose(losses: Mapping[Kind, Array], patients: int, *, enough: bool, lost: str) -> Choice:
    """Judge models by the terms of their validation loss, the same patients' for each.  # (n,)

    `enough` tells whether so many validation patients may judge at all: at least five of each
    label, or of each other group that the task knows. `lost` is the loss in words.
    """
    judged = tuple(_judge(kind, losses[kind], losses[Kind.GLOBAL]) for kind in losses)
    if not enough:
        why = f"fewer than {LEAST_COUNT} validation patients of a label cannot judge another model"
        return Choice(Kind.GLOBAL, judged, patients, why)
    better = [item for item in judged if item.lead > item.error]
    if better:
        best = min(better, key=lambda item: (item.loss, list(Kind).index(item.kind)))
        why = f"its {lost} is lower by more than one standard error of the paired difference"
        return Choice(best.kind, judged, patients, why)
    why = f"no other model's {lost} is lower by more than one standard error"
    return Choice(Kind.GLOBAL, judged, patients, why)


def _judge(kind: Kind, losses: Array, reference: Array) -> Judged:
    if not len(losses):
        return Judged(kind, 0.0, 0.0, 0.0)
    lead = reference - losses
    error = float(lead.std(ddof=1) / np.sqrt(len(lead))) if len(lead) > 1 else 0.0
    return Judged(kind, float(losses.mean()), float(lead.mean()), error)
