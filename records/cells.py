"""What stands in a cell of a file."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?|[+-]?[0-9]+\.([eE][+-]?[0-9]+)?")


def number(cell: str) -> float | None:
    """The finite decimal number in a cell; None where there is none."""
    if not _NUMBER.fullmatch(cell) or not math.isfinite(value := float(cell)):
        return None
    return value
