"""An amount: a number in the label's unit."""

from __future__ import annotations

import numpy as np

from federated.errors import SpecError
from federated.evaluation.amounts import amount_figures
from federated.metrics import FIGURE_STEP
from federated.schema import Array
from federated.spec import StudySpec
from federated.tasks.base import Figures, Task


class Regression(Task):
    """One output, the amount on the label's public scale; the loss is the squared error on it.

    The scale is that of inputs: 0 is the middle of the plausible range, 1 a quarter of its width.
    So a study in mmol/L and one in mg/dL train alike, and nobody shares a mean.
    """

    name = "regression"
    source = "Legendre 1805"
    keys = ("unit", "minimum", "maximum")
    lost = "squared error"
    figures = ("mae", "rmse", "r2")

    def check(self, spec: StudySpec) -> None:
        """The range is not empty."""
        super().check(spec)
        low, high = spec.data.label.range
        if not low < high:
            raise SpecError("data.label.minimum", "must be below maximum")

    def groups(self, spec: StudySpec) -> int:
        """All people are of one kind."""
        return 1

    def group(self, labels: Array) -> Array:
        """The only one."""
        return np.zeros(len(labels), dtype=np.int64)

    def predicted(self, outputs: Array, spec: StudySpec) -> Array:
        """Amounts in the label's unit.  # (n,) → (n,)"""
        low, high = spec.data.label.range
        return outputs * ((high - low) / 4) + (low + high) / 2

    def losses(self, labels: Array, outputs: Array, spec: StudySpec) -> Array:
        """Squared error of each patient on the public scale.  # (n,)"""
        wanted = on_scale(labels.astype(np.float64), spec)
        result: Array = np.square(outputs - wanted)
        return result

    def step(self, figure: str, spec: StudySpec) -> float:
        """Errors in hundredths of the plausible range, whatever the unit."""
        low, high = spec.data.label.range
        return FIGURE_STEP if figure == "r2" else (high - low) * FIGURE_STEP

    def scores(self, labels: Array, outputs: Array, spec: StudySpec, *, name: str) -> Figures:
        """Errors in the label's unit, and R²."""
        amounts = self.predicted(outputs, spec)
        return amount_figures(labels.astype(np.float64), amounts, seed=spec.seed, name=name)


def on_scale(labels: Array, spec: StudySpec) -> Array:
    """Amounts as the model's output has to give them.  # (n,)"""
    low, high = spec.data.label.range
    return (labels - (low + high) / 2) / ((high - low) / 4)
