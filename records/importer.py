"""Read a hospital's CSV file by a dictionary.

A row that breaks a rule goes to the quarantine, whole and with every reason; the others are
imported. Only a file that cannot be read at all (no such file, encoding, header) is an error.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from records.cleaning import Change, Cleaning, clean
from records.dictionary import Dictionary
from records.quality import Finding, QualityReport, Rule, report
from records.record import Record
from records.rows import read_row
from records.table import Table, read_table, require_columns


@dataclass(frozen=True, slots=True, repr=False)
class Quarantined:
    """A row that was not imported: its line, its cells as they were, and why."""

    line: int
    cells: tuple[str, ...]
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        return f"Quarantined(line={self.line}, findings={self.findings!r})"


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file held: records ordered by local key, the quarantine, the quality report.

    `changes` is what cleaning altered before, cell by cell.
    """

    records: tuple[Record, ...]
    quarantine: tuple[Quarantined, ...]
    report: QualityReport
    changes: tuple[Change, ...] = ()


def import_csv(path: Path, dictionary: Dictionary, cleaning: Cleaning | None = None) -> Imported:
    """Import a UTF-8, comma-separated file with a header, cleaned first by rules where given.

    Raises `ImportFailed`.
    """
    table, changes = read_table(path), tuple[Change, ...]()
    if cleaning is not None:
        table, changes = clean(table, cleaning, dictionary)
    require_columns(table, dictionary.columns, dictionary.name)
    records, quarantine = _sort_out(table, dictionary)
    found = [finding for row in quarantine for finding in row.findings]
    quality = report(dictionary, len(table.rows), len(records), table.header, found)
    return Imported(tuple(records), tuple(quarantine), quality, changes)


def _sort_out(table: Table, dictionary: Dictionary) -> tuple[list[Record], list[Quarantined]]:
    """Records by local key, and the rows that break a rule."""
    width, place = len(table.header), table.header.index(dictionary.key)
    keys = Counter(row.cells[place].strip() for row in table.rows if len(row.cells) == width)
    records, quarantine = [], []
    for row in table.rows:
        found: Record | tuple[Finding, ...]
        if len(row.cells) == width:
            cells = dict(zip(table.header, map(str.strip, row.cells), strict=True))
            found = read_row(row.line, cells, dictionary, keys, table.path.parent)
        else:
            found = (Finding(row.line, "", Rule.CELLS, str(len(row.cells))),)
        if isinstance(found, Record):
            records.append(found)
        else:
            quarantine.append(Quarantined(row.line, row.cells, found))
    return sorted(records, key=lambda record: record.key), quarantine
