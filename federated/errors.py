"""Errors of this package; each says what, where and what to do, and never shows a patient's value.

FederatedError
├── CanonicalError        bytes that are not canonical dag-cbor, or an object that has no such bytes
├── SpecError             a study spec that is malformed or that a rule refuses; `key` names where
├── TensorError           tensors that are not what the schema says; `tensor` names which
│   ├── TensorSchemaError     names, element type or encoding
│   ├── TensorShapeError      shape or size
│   └── TensorValueError      NaN, infinite, or outside of the grid
├── FamilyError           an installed model family that is not the one named, or that does not run
├── TrainingError         local training that cannot start or that diverged
├── AggregationError      updates that cannot be summed, or a sum that cannot be applied
├── CohortError           a cohort or a list of leaves that breaks its rules
├── RewardError           reports or weights from which no reward can be computed
├── JournalDamaged        an actor's record of its steps is not what was written
├── RecordError           a round manifest or report that is not what its place on-chain says
├── ExplanationError      parts of a prediction that do not sum to it
├── StepError             a step that cannot be taken now: wrong phase, no cohort, nobody submitted
│   ├── TooFewUpdates         fewer than k updates of a round can be included
│   └── Unjudged              updates that nobody can judge yet; `hospitals` are their indices
└── PolicyRefused         a hospital's policy forbids the study; `rule` names why
"""

from __future__ import annotations

from typing import Any


class FederatedError(Exception):
    """Base of every error that this package raises.

    It comes out of another process as it was: by default an exception is built anew from its text
    alone, and one that cannot be takes the whole pool of processes with it.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[FederatedError], args: tuple[Any, ...]) -> FederatedError:
    return kind.__new__(kind, *args)


class CanonicalError(FederatedError):
    """Bytes are not canonical dag-cbor, or an object has no canonical bytes."""


class SpecError(FederatedError):
    """A study spec is malformed or refused; `key` is the dotted path to the reason."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"study spec: {key}: {message}")
        self.key = key


class TensorError(FederatedError):
    """Tensors differ from their schema; `tensor` is a name, or empty for the whole file."""

    def __init__(self, tensor: str, message: str) -> None:
        super().__init__(f"tensor {tensor}: {message}" if tensor else f"tensors: {message}")
        self.tensor = tensor


class TensorSchemaError(TensorError):
    """Names, element type or encoding differ from the schema."""


class TensorShapeError(TensorError):
    """A shape or a size differs from the schema."""


class TensorValueError(TensorError):
    """A value is NaN, infinite, or outside of the grid."""


class FamilyError(FederatedError):
    """A model family that somebody installed is not the one that is named, or does not run."""


class TrainingError(FederatedError):
    """Local training cannot start, or diverged."""


class AggregationError(FederatedError):
    """Updates cannot be summed, or a sum cannot be applied."""


class CohortError(FederatedError):
    """A cohort or a list of leaves breaks its rules."""


class RewardError(FederatedError):
    """No reward can be computed from these reports or weights."""


class JournalDamaged(FederatedError):
    """An actor's record of its steps is not what was written."""


class RecordError(FederatedError):
    """A round manifest or a report is not what its place on-chain says."""


class ExplanationError(FederatedError):
    """The parts of a prediction do not sum to what they explain."""


class StepError(FederatedError):
    """An actor's step cannot be taken now."""


class TooFewUpdates(StepError):
    """Fewer updates of a round can be included than the study asks for."""


class Unjudged(StepError):
    """Updates are nowhere, or do not open: an auditor's word is missing."""

    def __init__(self, hospitals: tuple[int, ...], message: str) -> None:
        super().__init__(message)
        self.hospitals = hospitals


class PolicyRefused(FederatedError):
    """A hospital's policy forbids the study; `rules` names every line that does, `rule` the first.

    `more` are further rules with their messages.
    """

    def __init__(self, rule: str, message: str, *more: tuple[str, str]) -> None:
        refused = ((rule, message), *more)
        super().__init__("policy: " + "; ".join(f"{name}: {why}" for name, why in refused))
        self.rule = rule
        self.rules = tuple(name for name, _ in refused)
