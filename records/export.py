"""Write files as a hospital's own system would export them; only the owner can read them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def write_csv(path: Path, lines: Iterable[Sequence[str]]) -> Path:
    """A CSV file (mode 600) in a folder that is made where it lacks."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return write_private(path, text.getvalue().encode())


def write_private(path: Path, data: bytes) -> Path:
    """A file (mode 600) in a folder that is made where it lacks."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return path
