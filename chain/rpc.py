"""One JSON-RPC request over HTTP with the standard library: for the node's own management."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from chain.errors import NodeDown, NodeError

# A loopback node is never asked through a proxy of the environment.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def request(url: str, method: str, *params: Any, timeout_s: float = 30) -> Any:
    """The result of one call; raises NodeDown, or NodeError with the node's own message."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    message = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with _opener.open(message, timeout=timeout_s) as response:
            answer = json.load(response)
    except (OSError, ValueError) as exc:
        raise NodeDown(
            f"no node answers at {without_credentials(url)}: start it, or correct the address"
        ) from exc
    if "error" in answer:
        raise NodeError(f"{method} at {without_credentials(url)}: {answer['error']['message']}")
    return answer["result"]


def without_credentials(url: str) -> str:
    """Scheme, host and port: what may stand in a message. Paths and queries often hold keys."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
