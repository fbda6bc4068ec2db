"""A hospital's CSV file as rows of text, each with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from records.errors import ImportFailed


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """The cells of a row as they stand in the file, and the line where it ends."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """Where a file is, its header without spaces around names, and its rows."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """A UTF-8, comma-separated file with a header. Raises `ImportFailed`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [Row(reader.line_num, tuple(cells)) for cells in reader if cells]
    except OSError as exc:
        raise ImportFailed(f"{path}: cannot be read ({exc.strerror}); check the path") from exc
    except UnicodeDecodeError as exc:
        raise ImportFailed(f"{path}: byte {exc.start} is not UTF-8; export it as UTF-8") from exc
    except csv.Error as exc:
        where = f"{path}: after line {reader.line_num}"
        raise ImportFailed(f"{where}: not CSV (an open quote?); export it again") from exc
    if not rows:
        raise ImportFailed(f"{path}: empty; a header and one row a patient are expected")
    return Table(path, tuple(cell.strip() for cell in rows[0].cells), tuple(rows[1:]))


def require_columns(table: Table, needed: Iterable[str], whose: str) -> None:
    """Raise `ImportFailed` unless each needed column is there, and none twice.

    Only needed names are shown: where the header is missing, a patient stands in its place.
    """
    names = tuple(needed)
    missing = [column for column in names if column not in table.header]
    if missing:
        raise ImportFailed(
            f"{table.path}: the header lacks {', '.join(missing)}; {whose} needs these columns"
        )
    twice = [column for column in names if table.header.count(column) > 1]
    if twice or len(set(table.header)) < len(table.header):
        shown = ", ".join(twice) or "an unknown column"
        raise ImportFailed(f"{table.path}: named twice in the header: {shown}; rename one")
