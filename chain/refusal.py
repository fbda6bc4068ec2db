"""What a node's error means: a contract's revert, or a complaint of the node itself."""

from __future__ import annotations

from typing import Any

from chain.errors import NodeError


class RpcRefusal(NodeError):
    """The node answered with an error; `revert` is what a contract reverted with, if one did."""

    def __init__(self, message: str, error: Any) -> None:
        super().__init__(message)
        self.revert = _revert_data(error)


def _revert_data(error: Any) -> bytes | None:
    data = error.get("data") if isinstance(error, dict) else None
    if isinstance(data, dict):
        data = data.get("data") or data.get("result")
    if isinstance(data, str) and data.startswith("0x"):
        return bytes.fromhex(data[2:])
    return b"" if "revert" in message_of(error).lower() else None


def message_of(error: Any) -> str:
    """What the node says, without the data."""
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
