"""The hospital's local store of records: one SQLite file that only its owner can read."""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, astuple
from pathlib import Path
from types import TracebackType
from typing import Any

from records.cleaning import Change, Fix
from records.errors import StoreError
from records.importer import Imported, Quarantined
from records.quality import Category, Check, Finding, QualityReport, Rule
from records.record import LocalKey, Record

_TABLES = """
CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS quarantine (line INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS change (place INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT;
"""


class RecordStore:
    """Records by local key, the quarantine, and the quality report of the last import."""

    def __init__(self, path: Path, timeout_s: float = 5.0) -> None:
        """Open or create the file with mode 600; wait so long for a lock. Raises `StoreError`."""
        self._path = path
        try:
            # created before SQLite does, which would follow the umask; its journal copies the mode
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            path.chmod(0o600)
        except OSError as exc:
            raise StoreError(f"{path}: cannot be opened ({exc.strerror})") from exc
        with self._guarded():
            self._db = sqlite3.connect(path, timeout=timeout_s)
            self._db.executescript(_TABLES)

    def replace(self, imported: Imported, dictionary: str) -> None:
        """Put one import in the place of all that was there: wholly or not at all."""
        rows = [(x.key, _row(x)) for x in imported.records]
        changes = [(place, json.dumps(astuple(x))) for place, x in enumerate(imported.changes)]
        broken = [
            (x.line, json.dumps([x.cells, *map(_finding, x.findings)])) for x in imported.quarantine
        ]
        with self._guarded(), self._db:
            for table in ("record", "quarantine", "change", "about"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names from this line
            self._db.executemany("INSERT INTO record VALUES (?, ?)", rows)
            self._db.executemany("INSERT INTO quarantine VALUES (?, ?)", broken)
            self._db.executemany("INSERT INTO change VALUES (?, ?)", changes)
            about = [("dictionary", dictionary), ("report", json.dumps(asdict(imported.report)))]
            self._db.executemany("INSERT INTO about VALUES (?, ?)", about)

    def records(self, dictionary: str) -> list[Record]:
        """All records by local key. Raises `StoreError` when another dictionary was imported."""
        self._require(dictionary)
        with self._guarded():
            rows = self._db.execute("SELECT key, data FROM record").fetchall()
            found = [(LocalKey(key), json.loads(data)) for key, data in rows]
            records = [_record(key, data) for key, data in found]
        return sorted(records, key=lambda record: record.key)

    def quarantine(self) -> list[Quarantined]:
        """Rows that were not imported, by line."""
        with self._guarded():
            rows = self._db.execute("SELECT line, data FROM quarantine ORDER BY line").fetchall()
            found = [(line, json.loads(data)) for line, data in rows]
        return [
            Quarantined(
                line, tuple(data[0]), tuple(Finding(line, f, Rule(r), v) for f, r, v in data[1:])
            )
            for line, data in found
        ]

    def changes(self) -> list[Change]:
        """What cleaning altered in the last import, in the order of the file's lines."""
        with self._guarded():
            rows = self._db.execute("SELECT data FROM change ORDER BY place").fetchall()
            found = [json.loads(data) for (data,) in rows]
            return [
                Change(line, field, old, new, Fix(rule)) for line, field, old, new, rule in found
            ]

    def report(self) -> QualityReport:
        """The quality report of the last import. Raises `StoreError` before the first."""
        tree = json.loads(self._about("report"))
        checks = tuple(
            Check(Category(c["category"]), Rule(c["rule"]), c["field"], c["failed"], c["total"])
            for c in tree["checks"]
        )
        counts = (tree["rows"], tree["accepted"], tree["quarantined"])
        return QualityReport(*counts, tuple(tree["ignored"]), checks)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> RecordStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require(self, dictionary: str) -> None:
        if (stored := self._about("dictionary")) != dictionary:
            raise StoreError(
                f"{self._path}: holds records of {stored}, not of {dictionary}; import again"
            )

    def _about(self, name: str) -> str:
        with self._guarded():
            row = self._db.execute("SELECT data FROM about WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise StoreError(f"{self._path}: nothing was imported yet; import a file first")
        return str(row[0])

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as exc:
            why = f" ({exc})" if isinstance(exc, sqlite3.Error) else ""
            raise StoreError(
                f"{self._path}: not a store of records, damaged, in use, or on a full disk{why}; "
                "free space, or import the file again"
            ) from exc


def _row(record: Record) -> str:
    values = [b64encode(x).decode() if isinstance(x, bytes) else x for x in record.values]
    return json.dumps([record.label, record.held_out, *values])


def _record(key: LocalKey, data: list[Any]) -> Record:
    label, held_out, *values = data
    read = (b64decode(x) if isinstance(x, str) else x for x in values)
    return Record(key, tuple(read), tuple(label) if isinstance(label, list) else label, held_out)


def _finding(finding: Finding) -> list[str]:
    return [finding.field, finding.rule.value, finding.value]
