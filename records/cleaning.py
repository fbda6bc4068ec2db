"""Cleaning inside a hospital: rules of a data dictionary, and a report of every change.

What cannot be true becomes missing, what is only somewhat too high or too low is moved to the
bound (the bounds of MIMIC-Extract), and what is missing is filled by one public rule: the middle of
the field's plausible range. A model reads the middle as 0, so a missing value speaks neither for
nor against; no statistic of a hospital is used, and nothing marks which hospital a record is from
or that a value was missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from records.cells import number
from records.dictionary import Dictionary, Field
from records.outcomes import LabelValue
from records.table import Row, Table, require_columns


class Fix(StrEnum):
    """Why a cell was changed; `DUPLICATE` drops a row."""

    DUPLICATE = "duplicate"
    LABEL = "label"
    MISSING_WORD = "missing-word"
    ZERO = "zero-is-missing"
    OUTLIER = "outlier"
    CLAMPED = "clamped"
    IMPUTED = "imputed"


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """A cell before and after, by line in the file and field; it stays in the hospital."""

    line: int
    field: str
    old: str
    new: str
    rule: Fix

    def __repr__(self) -> str:
        return f"Change(line={self.line}, field={self.field!r}, rule={self.rule.value!r})"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Numbers outside [lowest, highest] cannot be true; between them the field's range holds."""

    lowest: float
    highest: float
    zero_is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The rules for files of one dictionary.

    `label_column` with its codes becomes the dictionary's label by `labels`: which of its two words
    or classes a code stands for. Fields without bounds
    keep their numbers, and the importer judges them.
    """

    label_column: str
    labels: Mapping[str, LabelValue]
    bounds: Mapping[str, Bounds]
    missing: frozenset[str] = field(default=frozenset({"", "?"}))

    def filling(self, item: Field) -> float:
        """What stands for a missing number: the middle of its plausible range."""
        return (item.minimum + item.maximum) / 2


def clean(
    table: Table, cleaning: Cleaning, dictionary: Dictionary
) -> tuple[Table, tuple[Change, ...]]:
    """The table after all rules, under the dictionary's names, and each change in order of lines.

    Rows of the wrong number of cells are left for the importer to refuse. Raises `ImportFailed`
    where a column is missing.
    """
    renamed = {dictionary.outcome.column: cleaning.label_column}
    needed = [renamed.get(column, column) for column in dictionary.columns]
    require_columns(table, needed, dictionary.name)
    changes: list[Change] = []
    rows = []
    for row in _without_duplicates(table, dictionary, changes):
        if len(row.cells) == len(table.header):
            row = _clean_row(row, table.header, cleaning, dictionary, changes)
        rows.append(row)
    names = {column: name for name, column in renamed.items()}
    header = tuple(names.get(column, column) for column in table.header)
    changes.sort(key=lambda change: change.line)
    return replace(table, header=header, rows=tuple(rows)), tuple(changes)


def _without_duplicates(
    table: Table, dictionary: Dictionary, changes: list[Change]
) -> Sequence[Row]:
    """Rows that repeat an earlier one in all but the patient's key go: one visit, entered twice."""
    key = table.header.index(dictionary.key)
    seen: set[tuple[str | float, ...]] = set()
    kept = []
    for row in table.rows:
        cells = [cell.strip() for i, cell in enumerate(row.cells) if i != key]
        content = tuple(cell if (value := number(cell)) is None else value for cell in cells)
        if content in seen and len(row.cells) == len(table.header):
            changes.append(Change(row.line, dictionary.key, row.cells[key], "", Fix.DUPLICATE))
            continue
        seen.add(content)
        kept.append(row)
    return kept


def _clean_row(
    row: Row,
    header: Sequence[str],
    cleaning: Cleaning,
    dictionary: Dictionary,
    changes: list[Change],
) -> Row:
    cells = [cell.strip() for cell in row.cells]
    for item in dictionary.fields:
        if not item.shape:
            place = header.index(item.name)
            steps = _repair(cells[place], item, cleaning)
            cells[place] = _note(row.line, item.name, cells[place], steps, changes)
    place = header.index(cleaning.label_column)
    coded = _code(cells[place], cleaning.labels)
    if coded is not None:
        name, word = dictionary.outcome.column, str(dictionary.outcome.say(coded))
        cells[place] = _note(row.line, name, cells[place], [(word, Fix.LABEL)], changes)
    return Row(row.line, tuple(cells))


def _note(
    line: int, name: str, cell: str, steps: list[tuple[str, Fix]], changes: list[Change]
) -> str:
    """The cell after some steps, each noted."""
    for new, rule in steps:
        changes.append(Change(line, name, cell, new, rule))
        cell = new
    return cell


def _repair(cell: str, item: Field, cleaning: Cleaning) -> list[tuple[str, Fix]]:
    """What the cell becomes, step by step."""
    steps: list[tuple[str, Fix]] = []
    value, bounds = number(cell), cleaning.bounds.get(item.name)
    if cell in cleaning.missing:
        if cell:
            steps.append(("", Fix.MISSING_WORD))
    elif value is None or bounds is None:
        return []  # the importer judges it
    elif value == 0 and bounds.zero_is_missing:
        steps.append(("", Fix.ZERO))
    elif not bounds.lowest <= value <= bounds.highest:
        steps.append(("", Fix.OUTLIER))
    elif value != (nearest := min(max(value, item.minimum), item.maximum)):
        return [(repr(nearest), Fix.CLAMPED)]
    else:
        return []
    return [*steps, (repr(cleaning.filling(item)), Fix.IMPUTED)]


def _code(cell: str, labels: Mapping[str, LabelValue]) -> LabelValue | None:
    """What a code means; 1 and 1.0 are one code."""
    value = number(cell)
    return next((labels[code] for code in labels if cell == code or value == number(code)), None)
