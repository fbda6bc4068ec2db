"""Three or more labels: a chance for each, in their order."""

from __future__ import annotations

import numpy as np

from federated.errors import SpecError
from federated.evaluation.many_classes import many_class_figures
from federated.metrics import LOSS_CAP
from federated.schema import Array
from federated.spec import StudySpec
from federated.tasks.base import Figures, Task

MOST_CLASSES = 256


class Multiclass(Task):
    """An output a class, whose softmax are the chances; the loss is cross-entropy."""

    name = "multiclass"
    source = "Bridle 1990"
    keys = ("classes",)
    figures = ("accuracy", "balanced_accuracy", "auc", "brier")

    def check(self, spec: StudySpec) -> None:
        """The classes are 3 to 256 different words."""
        super().check(spec)
        classes = spec.data.label.classes or ()
        if not 3 <= len(classes) <= MOST_CLASSES or len(set(classes)) != len(classes):
            raise SpecError("data.label.classes", "3 to 256 different values are expected")
        if not all(0 < len(word) <= 100 for word in classes):
            raise SpecError("data.label.classes", "a value is empty or too long")

    def outputs(self, spec: StudySpec) -> int:
        """One a class."""
        if spec.data.label.classes is None:
            raise SpecError("data.label.classes", "missing key; a multiclass study needs it")
        return len(spec.data.label.classes)

    def groups(self, spec: StudySpec) -> int:
        """One a class."""
        return self.outputs(spec)

    def predicted(self, outputs: Array, spec: StudySpec) -> Array:
        """Chances that sum to 1.  # (n, K) → (n, K)"""
        chances: Array = np.exp(log_chances(outputs))
        return chances

    def losses(self, labels: Array, outputs: Array, spec: StudySpec) -> Array:
        """Log loss of each patient, at most 16 nats.  # (n,)"""
        rows = np.arange(len(labels))
        nats: Array = -log_chances(outputs)[rows, labels.astype(np.int64)]
        return np.minimum(nats, LOSS_CAP)

    def scores(self, labels: Array, outputs: Array, spec: StudySpec, *, name: str) -> Figures:
        """Figures over all classes."""
        chances = self.predicted(outputs, spec)
        return many_class_figures(labels.astype(np.int64), chances, seed=spec.seed, name=name)


def log_chances(outputs: Array) -> Array:
    """Logarithms of the softmax, for outputs of any size.  # (n, K) → (n, K)"""
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result
