"""What a study expects of a record: fields with units and plausible ranges, and a label."""

from __future__ import annotations

from dataclasses import dataclass

from records.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Field:
    """A number in `unit` (UCUM), or a grey image of `shape` (height, width).

    A number outside [minimum, maximum] is not plausible. In a hospital's file the cell of an image
    names a PNG file beside it.
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A versioned data dictionary; `key` is the column of the hospital's own patient key.

    `held_out` is a column that a file may have: "yes" sets a record aside for testing.
    """

    name: str
    fields: tuple[Field, ...]
    outcome: Outcome
    key: str = "patient"
    held_out: str = "held_out"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a file must have."""
        return (self.key, *(field.name for field in self.fields), *self.outcome.columns)
