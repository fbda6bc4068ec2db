"""Read a hospital's CSV file by a dictionary.

A row that breaks a rule goes to the quarantine, whole and with every reason; the others are
imported. Only a file that cannot be read at all (no such file, encoding, header) is an error.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from records.dictionary import Dictionary
from records.errors import ImportFailed
from records.quality import Finding, QualityReport, Rule, report
from records.record import LocalKey, Record

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")


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
    """What a file held: records ordered by local key, the quarantine, the quality report."""

    records: tuple[Record, ...]
    quarantine: tuple[Quarantined, ...]
    report: QualityReport


def import_csv(path: Path, dictionary: Dictionary) -> Imported:
    """Import a UTF-8, comma-separated file with a header. Raises `ImportFailed`."""
    header, rows = _read(path)
    _check_header(path, header, dictionary)
    known = set(dictionary.columns)
    key_column = header.index(dictionary.key)
    keys = Counter(cells[key_column].strip() for _, cells in rows if len(cells) == len(header))
    records, quarantine, found = [], [], []
    for line, cells in rows:
        findings = _judge(line, cells, header, dictionary, keys)
        if findings:
            quarantine.append(Quarantined(line, tuple(cells), tuple(findings)))
            found += findings
        else:
            records.append(_record(dict(zip(header, cells, strict=True)), dictionary))
    ignored = [column for column in header if column not in known]
    quality = report(dictionary, len(rows), len(records), ignored, found)
    records.sort(key=lambda record: record.key)
    return Imported(tuple(records), tuple(quarantine), quality)


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except OSError as exc:
        raise ImportFailed(f"{path}: cannot be read ({exc.strerror}); check the path") from exc
    except UnicodeDecodeError as exc:
        raise ImportFailed(f"{path}: byte {exc.start} is not UTF-8; export it as UTF-8") from exc
    except csv.Error as exc:
        where = f"{path}: after line {reader.line_num}"
        raise ImportFailed(f"{where}: not CSV (an open quote?); export it again") from exc
    if not lines:
        raise ImportFailed(f"{path}: empty; a header and one row a patient are expected")
    return [cell.strip() for cell in lines[0][1]], lines[1:]


def _check_header(path: Path, header: list[str], dictionary: Dictionary) -> None:
    # only names of the dictionary are shown: where the header is missing, a patient stands there
    missing = [column for column in dictionary.columns if column not in header]
    if missing:
        raise ImportFailed(
            f"{path}: the header lacks {', '.join(missing)}; {dictionary.name} needs these columns"
        )
    twice = [column for column in dictionary.columns if header.count(column) > 1]
    if twice or len(set(header)) < len(header):
        names = ", ".join(twice) or "an unknown column"
        raise ImportFailed(f"{path}: named twice in the header: {names}; rename one")


def _judge(
    line: int, cells: list[str], header: list[str], dictionary: Dictionary, keys: Counter[str]
) -> list[Finding]:
    if len(cells) != len(header):
        return [Finding(line, "", Rule.CELLS, str(len(cells)))]
    row = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
    return [
        Finding(line, field, rule, row[field]) for field, rule in _broken(row, dictionary, keys)
    ]


def _broken(
    row: dict[str, str], dictionary: Dictionary, keys: Counter[str]
) -> Iterator[tuple[str, Rule]]:
    key = row[dictionary.key]
    if not key:
        yield dictionary.key, Rule.KEY_PRESENT
    elif keys[key] > 1:  # which of them is right cannot be known here
        yield dictionary.key, Rule.KEY_UNIQUE
    for field in dictionary.fields:
        cell = row[field.name]
        if not cell:
            yield field.name, Rule.PRESENT
        elif not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
            yield field.name, Rule.NUMBER
        elif not field.minimum <= float(cell) <= field.maximum:
            yield field.name, Rule.RANGE
    label = row[dictionary.label]
    if not label:
        yield dictionary.label, Rule.PRESENT
    elif label not in (dictionary.positive, dictionary.negative):
        yield dictionary.label, Rule.LABEL


def _record(row: dict[str, str], dictionary: Dictionary) -> Record:
    values = tuple(float(row[field.name].strip()) for field in dictionary.fields)
    positive = row[dictionary.label].strip() == dictionary.positive
    return Record(LocalKey(row[dictionary.key].strip()), values, positive)
