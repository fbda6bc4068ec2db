"""What a study's data are: the dictionary that each hospital maps its records to."""

from __future__ import annotations

from dataclasses import dataclass

from federated.errors import SpecError


@dataclass(frozen=True, slots=True)
class Feature:
    """An input of the model: one number, or an array of `shape` (an image).

    `minimum` and `maximum` are the plausible range in `unit` (UCUM): values outside are quarantined
    by the hospital, and inputs are scaled by it.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Label:
    """What is predicted, in the column `name`; the study's task says which other keys it has.

    `positive` and `negative` are its two values; in a survival study that of a patient who had the
    event, and of one last seen without it. `classes` are its values in the order that they are
    shown in. `unit` (UCUM) and `minimum`, `maximum` are of an amount, and in a survival study of
    the column `time`, which counts from 0 to the event or to when the patient was last seen.
    """

    name: str
    positive: str | None = None
    negative: str | None = None
    classes: tuple[str, ...] | None = None
    time: str | None = None
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None

    @property
    def range(self) -> tuple[float, float]:
        """What is plausible of the amount, or of the time. Raises `SpecError`."""
        low = 0.0 if self.time is not None else self.minimum
        if low is None or self.maximum is None:
            missing = "minimum" if low is None else "maximum"
            raise SpecError(f"data.label.{missing}", "missing key; this task needs it")
        return low, self.maximum

    @property
    def words(self) -> tuple[str, ...]:
        """The column's values by the number that stands for them; none for an amount."""
        if self.classes is not None:
            return self.classes
        return () if self.positive is None else (self.negative or "", self.positive)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A patient is eligible when the feature `field` lies in [minimum, maximum]."""

    field: str
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Data:
    """The dictionary that each hospital maps its records to."""

    dictionary: str
    features: tuple[Feature, ...]
    label: Label
    eligibility: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Fractions of a hospital's records that train on nothing; the rest trains."""

    validation: float
    test: float
