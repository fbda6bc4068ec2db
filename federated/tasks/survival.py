"""The time to an event: a relative risk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federated.errors import SpecError
from federated.evaluation.concordance import concordance_interval
from federated.schema import Array
from federated.spec import StudySpec
from federated.tasks.base import Figures, LabelValue, Task


class Survival(Task):
    """One output, the logarithm of the hazard beside a common one; labels are (time, event).

    The loss is Cox's partial likelihood, ties as Breslow (1974) treats them: those who have their
    event at one time are all at risk for each of them. Risk sets are those of the batch, so a batch
    without an event adds nothing, and a batch of one never has anything to add.
    """

    name = "survival"
    source = "Cox 1972"
    keys = ("positive", "negative", "time", "unit", "maximum")
    lost = "Cox loss"
    figures = ("c_index",)

    def check(self, spec: StudySpec) -> None:
        """The two columns differ, and a batch can hold somebody to be compared with."""
        super().check(spec)
        label = spec.data.label
        taken = {label.name, *(feature.name for feature in spec.data.features)}
        if not label.time or len(label.time) > 100 or label.time in taken:
            raise SpecError("data.label.time", "a column of its own is expected")
        if label.maximum is None or label.maximum <= 0:
            raise SpecError("data.label.maximum", "must be above 0")
        if spec.training.batch_size < 2:
            raise SpecError(
                "training.batch_size", "a patient alone is compared with nobody; 2 or more"
            )

    def labels(self, found: Sequence[LabelValue]) -> Array:
        """Times and events.  # (n, 2) float32"""
        return np.array(found, dtype=np.float32).reshape(len(found), 2)

    def group(self, labels: Array) -> Array:
        """Who had the event, and who was last seen without it."""
        return labels[:, 1].astype(np.int64)

    def predicted(self, outputs: Array, spec: StudySpec) -> Array:
        """Logarithms of relative risks; only differences mean anything.  # (n,)"""
        return outputs

    def losses(self, labels: Array, outputs: Array, spec: StudySpec) -> Array:
        """For each event in the records' order, −log of its share of the risk.  # (events,)"""
        times, events = labels[:, 0].astype(np.float64), labels[:, 1] == 1
        order = np.argsort(-times, kind="stable")
        risk = np.logaddexp.accumulate(outputs[order]) if len(order) else outputs
        last = np.searchsorted(-times[order], -times[events], side="right") - 1
        result: Array = risk[last] - outputs[events]
        return result

    def scores(self, labels: Array, outputs: Array, spec: StudySpec, *, name: str) -> Figures:
        """Harrell's C."""
        found = concordance_interval(labels[:, 0], labels[:, 1], outputs, seed=spec.seed, name=name)
        return {"c_index": found}
