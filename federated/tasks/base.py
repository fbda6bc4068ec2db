"""What a task is: what a study's model predicts, and how it is judged. NumPy only, no torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias

import numpy as np

from federated.errors import SpecError
from federated.metrics import FIGURE_STEP, LOSS_UNIT, Estimate
from federated.schema import Array
from federated.spec import Label, StudySpec

LabelValue: TypeAlias = bool | int | float | tuple[float, bool]
"""A record's label: positive or not, place of a class, an amount, or a time and its event."""

Figures: TypeAlias = Mapping[str, Estimate | None]
"""A task's metrics by name with their 95 % intervals; None where the records cannot tell."""


_MOST_LOSS = float(1 << 40)
"""Of one term: a model that ran away loses, and its loss stays a number."""


class Task(ABC):
    """Labels are an array (n, …), a model's outputs (n,) or (n, K), both float.

    `counted` says that a hospital's results are counts, which add up over hospitals; other tasks
    have `figures`. `lost` names the loss in words. `keys` are those of `data.label` that a spec
    needs, `rewards` the rules that its hospitals can be paid by: None for each, for the others only
    those that need no report, whose counts are of two labels.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    keys: ClassVar[tuple[str, ...]]
    counted: ClassVar[bool] = False
    rewards: ClassVar[tuple[str, ...] | None] = ("count",)
    figures: ClassVar[tuple[str, ...]]
    lost: ClassVar[str] = "log loss"

    def check(self, spec: StudySpec) -> None:
        """Raise `SpecError`, naming the key, for a label or settings that are not of this task."""
        label = spec.data.label
        for key in Label.__dataclass_fields__:
            if key == "name":
                continue
            given = getattr(label, key) is not None
            if key in self.keys and not given:
                raise SpecError(f"data.label.{key}", f"missing key; a {self.name} study needs it")
            if given and key not in self.keys:
                raise SpecError(f"data.label.{key}", f"a {self.name} study has none; leave it out")
        if "positive" in self.keys and label.positive == label.negative:
            raise SpecError("data.label", "both values are the same")
        if self.rewards is not None and spec.reward.rule not in self.rewards:
            raise SpecError(
                "reward.rule",
                f"{spec.reward.rule} reads reports of two labels, and a {self.name} study has "
                f"none; use {' or '.join(self.rewards)}",
            )

    def outputs(self, spec: StudySpec) -> int:
        """How many numbers the model gives for a patient."""
        del spec
        return 1

    def labels(self, found: Sequence[LabelValue]) -> Array:
        """The labels of records as training reads them.  # (n,) float32"""
        return np.array(found, dtype=np.float32)

    def groups(self, spec: StudySpec) -> int:
        """Into how many groups labels put people, each of which must be five or more to be told."""
        del spec
        return 2

    def group(self, labels: Array) -> Array:
        """Which group each label is in.  # (n, …) → (n,) int64, below `groups`"""
        return labels.astype(np.int64)

    @abstractmethod
    def predicted(self, outputs: Array, spec: StudySpec) -> Array:
        """What the task makes of a model's outputs (float64)."""

    @abstractmethod
    def losses(self, labels: Array, outputs: Array, spec: StudySpec) -> Array:
        """The terms of the validation loss, one for each patient who has one.  # (at most n,)

        The same patients have one whatever the model, so two models' terms are pairs.
        """

    def loss(self, labels: Array, outputs: Array, spec: StudySpec) -> int:
        """The sum of `losses` in 1/65536 nats or squared quarters of a range."""
        terms = np.rint(self.losses(labels, outputs, spec) * LOSS_UNIT)
        bounded = np.minimum(np.nan_to_num(terms, nan=_MOST_LOSS), _MOST_LOSS)
        return int(bounded.astype(np.int64).sum())

    def step(self, figure: str, spec: StudySpec) -> float:
        """In which steps a figure leaves a hospital: whoever knew the model, the features and finer
        figures of many rounds could reckon labels from them."""
        del figure, spec
        return FIGURE_STEP

    @abstractmethod
    def scores(self, labels: Array, outputs: Array, spec: StudySpec, *, name: str) -> Figures:
        """The task's metrics; `name` keys the draws of bootstrapped intervals."""
