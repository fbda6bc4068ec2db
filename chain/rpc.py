"""JSON-RPC over HTTP with the standard library: to a node of this machine, which is asked often."""

from __future__ import annotations

import http.client
import json
import threading
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
    except (OSError, ValueError, http.client.HTTPException) as exc:
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


class _Connection(http.client.HTTPConnection):
    """Closed with whoever kept it."""

    def __del__(self) -> None:
        self.close()


class Loopback:
    """Connections to a node of this machine, kept open, one a thread.

    It needs neither a proxy nor TLS, and `requests` would take a millisecond of each exchange.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_s = timeout_s
        self._open = threading.local()

    def post(self, body: Any) -> Any:
        """The answer's JSON; raises OSError, HTTPException or ValueError.

        Asked again where a connection that was kept open turns out to be closed: a transaction
        that is sent twice is one transaction.
        """
        content = json.dumps(body)
        if (kept := getattr(self._open, "connection", None)) is not None:
            try:
                return self._exchange(kept, content)
            except (OSError, http.client.HTTPException) as exc:
                self._open.connection = None
                kept.close()
                if isinstance(exc, TimeoutError):
                    raise
        fresh = _Connection(self._host, self._port, timeout=self._timeout_s)
        answer = self._exchange(fresh, content)
        self._open.connection = fresh
        return answer

    def _exchange(self, connection: http.client.HTTPConnection, content: str) -> Any:
        connection.request("POST", self._target, content, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
