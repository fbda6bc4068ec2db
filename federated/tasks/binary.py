"""Two labels: the chance of the positive one."""

from __future__ import annotations

import numpy as np

from federated.metrics import FIGURES, LOSS_CAP, scores
from federated.schema import Array
from federated.spec import StudySpec
from federated.tasks.base import Figures, Task


class Binary(Task):
    """One output, the log odds of the positive label; the loss is binary cross-entropy."""

    name = "binary"
    source = "Cox 1958"
    keys = ("positive", "negative")
    counted = True
    rewards = None
    figures = FIGURES

    def predicted(self, outputs: Array, spec: StudySpec) -> Array:
        """Probabilities of the positive label.  # (n,) → (n,)"""
        chances: Array = np.exp(-np.logaddexp(0, -outputs))
        return chances

    def losses(self, labels: Array, outputs: Array, spec: StudySpec) -> Array:
        """Log loss of each patient, at most 16 nats.  # (n,)"""
        nats: Array = np.logaddexp(0, np.where(labels == 1, -outputs, outputs))
        return np.minimum(nats, LOSS_CAP)

    def scores(self, labels: Array, outputs: Array, spec: StudySpec, *, name: str) -> Figures:
        """Figures at the operating point, and the AUC."""
        found = scores(labels, self.predicted(outputs, spec))
        return {figure: getattr(found, figure) for figure in FIGURES}
