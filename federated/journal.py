"""Durable steps of an actor: what was done is written down before its effect leaves the process.

An actor may be killed at any instruction. Each step therefore computes its result, records it here,
and only then lets it out (a transaction, a block). Started again, the actor finds the record and
goes on from it: a hospital submits the very artefact that it sealed, and seals no second one for
the same round.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from federated.errors import JournalDamaged
from storage.files import sync_folder, write_durably


class Journal:
    """JSON values under names, one file each, replaced whole and on disk before `put` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def folder(self) -> Path:
        """Where the records lie: a folder of this party alone, on a disk."""
        return self._folder

    def get(self, step: str) -> Any | None:
        """The value recorded for a step, or None where the step was never completed."""
        path = self._path(step)
        try:
            return json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as exc:
            raise JournalDamaged(f"{path}: not what was written; restore it from a backup") from exc

    def put(self, step: str, value: Any) -> None:
        """Record a step; after a crash the old value or the new one is there, never a part."""
        temporary = self._folder / f".{step}.{secrets.token_hex(8)}"
        write_durably(temporary, json.dumps(value, sort_keys=True).encode(), 0o600)
        temporary.replace(self._path(step))
        sync_folder(self._folder)

    def steps(self) -> list[str]:
        """Names of the recorded steps, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def forget(self, step: str) -> None:
        """Take a record back, so that the step is done anew."""
        self._path(step).unlink(missing_ok=True)

    def _path(self, step: str) -> Path:
        return self._folder / f"{step}.json"
