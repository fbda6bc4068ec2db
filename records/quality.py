"""How good a hospital's file is, in Kahn's terms; for the hospital's own eyes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from records.dictionary import Dictionary


class Category(StrEnum):
    """Kahn et al. 2016: does it fit the form, is it there, can it be true."""

    CONFORMANCE = "conformance"
    COMPLETENESS = "completeness"
    PLAUSIBILITY = "plausibility"


class Rule(StrEnum):
    """Rules for a row; the first three judge the row, the others one field."""

    CELLS = "cells"
    KEY_PRESENT = "key-present"
    KEY_UNIQUE = "key-unique"
    PRESENT = "present"
    NUMBER = "number"
    LABEL = "label"
    HELD_OUT = "held-out"
    IMAGE = "image"
    RANGE = "range"

    @property
    def category(self) -> Category:
        """Where the rule stands in Kahn's terms."""
        if self in (Rule.PRESENT, Rule.KEY_PRESENT):
            return Category.COMPLETENESS
        return Category.PLAUSIBILITY if self is Rule.RANGE else Category.CONFORMANCE


@dataclass(frozen=True, slots=True, repr=False)
class Finding:
    """A broken rule: line in the file, field, rule, and the value, which stays here."""

    line: int
    field: str
    rule: Rule
    value: str

    def __repr__(self) -> str:
        return f"Finding(line={self.line}, field={self.field!r}, rule={self.rule.value!r})"


@dataclass(frozen=True, slots=True)
class Check:
    """How many of the rows that a rule looked at broke it."""

    category: Category
    rule: Rule
    field: str
    failed: int
    total: int

    @property
    def percent(self) -> float:
        """Share of rows that broke the rule, in percent."""
        return 100 * self.failed / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class QualityReport:
    """All checks of one file. `ignored` are columns that the dictionary does not know."""

    rows: int
    accepted: int
    quarantined: int
    ignored: tuple[str, ...]
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that some row broke, the most broken first."""
        broken = [check for check in self.checks if check.failed]
        return tuple(sorted(broken, key=lambda check: -check.failed))


def report(
    dictionary: Dictionary, rows: int, accepted: int, header: Iterable[str], found: list[Finding]
) -> QualityReport:
    """Count findings per rule and field; rules that nothing broke are listed too."""
    known = {*dictionary.columns, dictionary.held_out}
    columns = tuple(header)
    ignored = tuple(column for column in columns if column not in known)
    counts = Counter((finding.rule, finding.field) for finding in found)
    checks = tuple(
        Check(rule.category, rule, field, counts[rule, field], rows)
        for rule, field in _planned(dictionary, columns)
    )
    return QualityReport(rows, accepted, rows - accepted, ignored, checks)


def _planned(dictionary: Dictionary, columns: tuple[str, ...]) -> list[tuple[Rule, str]]:
    planned = [(rule, "") for rule in (Rule.CELLS,)]
    planned += [(Rule.KEY_PRESENT, dictionary.key), (Rule.KEY_UNIQUE, dictionary.key)]
    for field in dictionary.fields:
        rules = (Rule.IMAGE,) if field.shape else (Rule.NUMBER, Rule.RANGE)
        planned += [(rule, field.name) for rule in (Rule.PRESENT, *rules)]
    planned += dictionary.outcome.rules
    if dictionary.held_out in columns:
        planned.append((Rule.HELD_OUT, dictionary.held_out))
    return planned
