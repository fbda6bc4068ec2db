"""What a dictionary's label can be, and how a row's cells become one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from records.cells import number
from records.quality import Rule

LabelValue: TypeAlias = bool | int | float | tuple[float, bool]
"""Positive or not, the place of a class, an amount, or a time and whether the event came then."""

Said: TypeAlias = str | float | tuple[str, float]
"""A label in words and numbers, as a record's digest holds it."""

Broken: TypeAlias = list[tuple[str, Rule]]
"""Columns and the rules that their cells break."""


@dataclass(frozen=True, slots=True)
class Outcome(ABC):
    """A label in `column`."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the label takes: the answers, which a case is asked about without."""
        return (self.column,)

    @property
    def words(self) -> tuple[str, ...]:
        """The column's values by the number that stands for them; none for an amount."""
        return ()

    @property
    @abstractmethod
    def rules(self) -> tuple[tuple[Rule, str], ...]:
        """What is asked of a row's label, and of which column."""

    @abstractmethod
    def read(self, row: Mapping[str, str]) -> LabelValue | Broken:
        """The label in a row of cells by column, or why there is none."""

    @abstractmethod
    def say(self, label: LabelValue) -> Said:
        """The label as its column has it."""

    def tell(self, label: LabelValue) -> str:
        """The label in one line, for people."""
        return str(self.say(label))


@dataclass(frozen=True, slots=True)
class Two(Outcome):
    """One of two words."""

    positive: str
    negative: str

    @property
    def words(self) -> tuple[str, ...]:
        """Of 0 and of 1."""
        return (self.negative, self.positive)

    @property
    def rules(self) -> tuple[tuple[Rule, str], ...]:
        """It is there, and one of the words."""
        return _worded(self.column)

    def read(self, row: Mapping[str, str]) -> LabelValue | Broken:
        """Whether it is the positive word."""
        found = _place(row[self.column], self.words)
        return [(self.column, found)] if isinstance(found, Rule) else bool(found)

    def say(self, label: LabelValue) -> Said:
        """The word."""
        return self.positive if label else self.negative


@dataclass(frozen=True, slots=True)
class Classes(Outcome):
    """One of several words, in their order."""

    values: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """In their order."""
        return self.values

    @property
    def rules(self) -> tuple[tuple[Rule, str], ...]:
        """It is there, and one of the words."""
        return _worded(self.column)

    def read(self, row: Mapping[str, str]) -> LabelValue | Broken:
        """The word's place."""
        found = _place(row[self.column], self.values)
        return [(self.column, found)] if isinstance(found, Rule) else found

    def say(self, label: LabelValue) -> Said:
        """The word."""
        assert isinstance(label, int)
        return self.values[label]


@dataclass(frozen=True, slots=True)
class Amount(Outcome):
    """A number in `unit` (UCUM), plausible in [minimum, maximum]."""

    unit: str
    minimum: float
    maximum: float

    @property
    def rules(self) -> tuple[tuple[Rule, str], ...]:
        """It is there, a number, and plausible."""
        return _numbered(self.column)

    def read(self, row: Mapping[str, str]) -> LabelValue | Broken:
        """The number."""
        found = _amount(row[self.column], self.minimum, self.maximum)
        return [(self.column, found)] if isinstance(found, Rule) else found

    def say(self, label: LabelValue) -> Said:
        """The number."""
        assert isinstance(label, float)
        return label

    def tell(self, label: LabelValue) -> str:
        """With its unit."""
        return f"{label:g} {self.unit}".removesuffix(" 1")


@dataclass(frozen=True, slots=True)
class TimeToEvent(Outcome):
    """A word that says whether the event came, and in the column `time` when.

    Without the event it is the time at which the patient was last seen. Times are in `unit`, from 0
    to `maximum`.
    """

    event: str
    censored: str
    time: str
    unit: str
    maximum: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Event and time."""
        return (self.column, self.time)

    @property
    def words(self) -> tuple[str, ...]:
        """Of 0 and of 1."""
        return (self.censored, self.event)

    @property
    def rules(self) -> tuple[tuple[Rule, str], ...]:
        """Those of a word and of a number."""
        return (*_worded(self.column), *_numbered(self.time))

    def read(self, row: Mapping[str, str]) -> LabelValue | Broken:
        """Time and event."""
        event = _place(row[self.column], self.words)
        time = _amount(row[self.time], 0.0, self.maximum)
        if isinstance(event, Rule) or isinstance(time, Rule):
            found = {self.column: event, self.time: time}
            return [(name, item) for name, item in found.items() if isinstance(item, Rule)]
        return time, bool(event)

    def say(self, label: LabelValue) -> Said:
        """The word and the time."""
        assert isinstance(label, tuple)
        return (self.event if label[1] else self.censored), label[0]

    def tell(self, label: LabelValue) -> str:
        """The word, and after how long."""
        assert isinstance(label, tuple)
        return f"{self.event if label[1] else self.censored} at {label[0]:g} {self.unit}"


def stratum_of(label: LabelValue) -> int:
    """Which records are alike when parts are dealt and people counted: one class, one event."""
    if isinstance(label, tuple):
        return int(label[1])
    return 0 if isinstance(label, float) else int(label)


def _worded(column: str) -> tuple[tuple[Rule, str], ...]:
    return ((Rule.PRESENT, column), (Rule.LABEL, column))


def _numbered(column: str) -> tuple[tuple[Rule, str], ...]:
    return ((Rule.PRESENT, column), (Rule.NUMBER, column), (Rule.RANGE, column))


def _place(cell: str, words: Sequence[str]) -> int | Rule:
    if not cell:
        return Rule.PRESENT
    return words.index(cell) if cell in words else Rule.LABEL


def _amount(cell: str, minimum: float, maximum: float) -> float | Rule:
    if not cell:
        return Rule.PRESENT
    value = number(cell)
    if value is None:
        return Rule.NUMBER
    return value if minimum <= value <= maximum else Rule.RANGE
