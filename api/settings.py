"""What a home is told by the environment: secrets never stand in arguments, nor in its files."""

from __future__ import annotations

import os
from pathlib import Path

from api.errors import SettingError
from chain.signer import Web3Signer
from chain.types import Address

OUTBOX = "CONSILIUM_OUTBOX_URL"
"""A PostgreSQL database, in place of the home's own file of transactions."""
SIGNER = "CONSILIUM_SIGNER_URL"
"""A Web3Signer, which keeps the key of the home's account."""
WS = "CONSILIUM_WS"
"""WebSockets of nodes, with commas between; `auto`: at the addresses where the nodes are asked."""


def setting(name: str) -> str | None:
    """The value of a variable, or what the file holds that NAME_FILE names; None without either.

    An empty value is none. Raises `SettingError`, which never tells the value.
    """
    if value := os.environ.get(name, "").strip():
        return value
    if not (path := os.environ.get(f"{name}_FILE", "")):
        return None
    try:
        value = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        why = getattr(exc, "strerror", None) or "no text"
        raise SettingError(f"{name}_FILE: {path} cannot be read ({why}): correct it") from exc
    if not value:
        raise SettingError(f"{name}_FILE: {path} is empty: write the address into it")
    return value


def signer_of(account: Address) -> Web3Signer:
    """The Web3Signer of the environment. Raises `SettingError`, `SignerDown`, `BadKey`."""
    if (url := setting(SIGNER)) is None:
        raise SettingError(
            f"a Web3Signer keeps the key of {account}: set {SIGNER} or {SIGNER}_FILE to its address"
        )
    return Web3Signer(url, account)
