"""Where the benchmark's tables lie: `$CONSILIUM_DATA`, which nothing else can stand in for."""

from __future__ import annotations

import csv
import os
from pathlib import Path


def read_table(path: str) -> list[dict[str, str]]:
    """Rows of a CSV file below `$CONSILIUM_DATA`; ends the program where it is not there."""
    folder = os.environ.get("CONSILIUM_DATA")
    if not folder or not (file := Path(folder) / path).is_file():
        raise SystemExit(f"{path} is not below $CONSILIUM_DATA; set it to the folder of data sets")
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))
