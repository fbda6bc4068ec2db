"""The hospital's own table of who consented: which patient stands behind which consent id.

This link exists nowhere else. Forgetting a row leaves an id on the chain that leads to nobody.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from records.errors import StoreError
from records.record import LocalKey

_TABLE = """
CREATE TABLE IF NOT EXISTS consent (
    id BLOB PRIMARY KEY,
    patient TEXT NOT NULL,
    study INTEGER NOT NULL,
    agreement INTEGER NOT NULL,
    nonce INTEGER NOT NULL,
    key TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class PatientConsent:
    """A consent (id of 32 bytes) that the hospital admitted for one of its patients.

    `key` is the address of the one-time key, in text; with agreement and nonce it is the preimage
    of the id, which a withdrawal on paper needs.
    """

    patient: LocalKey
    id: bytes
    study: int
    agreement: int
    nonce: int
    key: str


class ConsentTable:
    """One SQLite file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        """Open or create the file with mode 600. Raises `StoreError`."""
        self._path = path
        with self._guarded():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            path.chmod(0o600)
            self._db = sqlite3.connect(path)
            self._db.executescript(_TABLE)

    def add(self, consents: Iterable[PatientConsent]) -> None:
        """Record consents, all or none; one that is there already stays as it is.

        Raises `StoreError` when a patient would consent to one study under two keys.
        """
        with self._guarded(), self._db:
            for row in consents:  # each is held against those before it, of this call too
                self._check_one_key(row)
                self._db.execute(
                    "INSERT OR IGNORE INTO consent VALUES (?, ?, ?, ?, ?, ?)",
                    (row.id, row.patient, row.study, row.agreement, row.nonce, row.key),
                )

    def of_study(self, study: int) -> list[PatientConsent]:
        """All consents to a study, in the order of patients and nonces."""
        return self._found("study = ? ORDER BY patient, agreement, nonce", study)

    def of_patient(self, patient: str) -> list[PatientConsent]:
        """All consents of one patient."""
        return self._found("patient = ? ORDER BY study, agreement, nonce", patient)

    def forget(self, patient: str) -> int:
        """Forget who stands behind a patient's ids; returns how many."""
        with self._guarded(), self._db:
            return self._db.execute("DELETE FROM consent WHERE patient = ?", (patient,)).rowcount

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _found(self, where: str, value: object) -> list[PatientConsent]:
        fields = "patient, id, study, agreement, nonce, key"
        query = f"SELECT {fields} FROM consent WHERE {where}"  # noqa: S608 - names from this file
        with self._guarded():
            rows = self._db.execute(query, (value,)).fetchall()
        return [PatientConsent(LocalKey(row[0]), *row[1:]) for row in rows]

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            raise StoreError(
                f"{self._path}: the table of consents cannot be opened, read or written ({exc}): "
                "free space, correct its permissions, or restore it"
            ) from exc

    def _check_one_key(self, row: PatientConsent) -> None:
        found = self._db.execute(
            "SELECT count(*) FROM consent WHERE patient = ? AND study = ?"
            " AND (key <> ? OR agreement <> ?)",
            (row.patient, row.study, row.key, row.agreement),
        )
        if found.fetchone()[0]:
            raise StoreError(
                f"{self._path}: this patient was admitted to study {row.study} under another key; "
                "a hospital admits one person once per study"
            )
