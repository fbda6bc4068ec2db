"""A rule of a study spec: what has to hold, and the key that is named where it does not."""

from __future__ import annotations

from federated.errors import SpecError

UINT32 = (1 << 32) - 1
"""The largest number that the contracts hold in 32 bits."""


def require(holds: bool, key: str, message: str) -> None:
    """Raise `SpecError` that names the key, unless the rule holds."""
    if not holds:
        raise SpecError(key, message)
