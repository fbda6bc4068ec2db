"""What a study expects of a record: fields with units and plausible ranges, and a label."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A number in `unit` (UCUM); a value outside [minimum, maximum] is not plausible."""

    name: str
    unit: str
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A versioned data dictionary; `key` is the column of the hospital's own patient key."""

    name: str
    fields: tuple[Field, ...]
    label: str
    positive: str
    negative: str
    key: str = "patient"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a file must have."""
        return (self.key, *(field.name for field in self.fields), self.label)
