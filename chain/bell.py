"""Wakes who polls a node as soon as the node says, over a WebSocket, that there is a block.

Whoever is woken asks as ever, and asks after its own time where nothing wakes it. So nothing is
read from what comes here: a socket that lies, stalls, floods or closes can make somebody look too
early, at most once in `QUANTUM_S`, and nothing more.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from chain.endpoints import LOOPBACK
from chain.errors import BadSocket
from chain.rpc import without_credentials

QUANTUM_S = 0.1
"""Nobody is woken twice within this time."""
_SUBSCRIBE = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
)
_MOST_BYTES = 1 << 16  # of one message: a block's header takes some two thousand
_MOST_AT_ONCE = 100  # messages in one quantum: no chain has so many blocks
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_OPEN_S = 5.0
_FAILURES = (OSError, EOFError, ValueError, WebSocketException)
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def sockets_of(addresses: str) -> list[str]:
    """The WebSocket addresses of nodes, with commas between them; http:// stands for ws:// there.

    Raises BadSocket.
    """
    found = []
    for place, address in enumerate(addresses.split(","), 1):
        try:
            parts = urlsplit(address.strip())
            sound = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
        except ValueError:  # whose text may hold a piece of a password
            sound = False
        if not sound:
            raise BadSocket(f"the address {place} of WebSockets is none: give ws://host:port")
        found.append(urlunsplit(parts._replace(scheme=_SCHEMES[parts.scheme])))
    return list(dict.fromkeys(found))


class Bell:
    """A context manager; listens at every address at once, and goes on where one comes back."""

    def __init__(
        self, addresses: Sequence[str], warn: Callable[[str], None] = lambda _: None
    ) -> None:
        """`warn` is told of each address that cannot be listened to, whenever it turns out so."""
        self._warn = warn
        self._rung, self._ended = threading.Event(), threading.Event()
        self._open: dict[str, ClientConnection] = {}
        self._threads = [
            threading.Thread(target=self._listen, args=(url,), daemon=True, name="bell")
            for url in addresses
        ]

    def wait(self, seconds: float) -> bool:
        """Returns after this time, or, once woken, sooner; whether it was."""
        time.sleep(min(QUANTUM_S, seconds))
        woken = self._rung.wait(max(0.0, seconds - QUANTUM_S))
        self._rung.clear()
        return woken

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for connection in list(self._open.values()):
            connection.close()
        for thread in self._threads:
            thread.join(_OPEN_S)

    def _listen(self, url: str) -> None:
        pause = _FIRST_PAUSE_S
        while not self._ended.is_set():
            began = time.monotonic()
            try:
                with _connected(url) as connection:
                    self._open[url] = connection
                    if self._ended.is_set():
                        return
                    connection.send(_SUBSCRIBE)
                    self._ring_with(connection)
            except (*_FAILURES, ImportError, _Flood) as exc:
                if not self._ended.is_set():
                    # An ImportError names what a proxy of the environment takes, and no address.
                    told = isinstance(exc, ImportError | _Flood)
                    why = str(exc) if told else type(exc).__name__
                    self._warn(
                        f"{without_credentials(url)} wakes nobody ({why}); the node is asked now "
                        "and then instead, and the socket tried again"
                    )
            self._open.pop(url, None)
            if time.monotonic() - began > _LONGEST_PAUSE_S:
                pause = _FIRST_PAUSE_S
            self._ended.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _ring_with(self, connection: ClientConnection) -> None:
        """Rings for whatever comes, which nobody reads, until the socket closes or floods."""
        began, count = time.monotonic(), 0
        while True:
            connection.recv(decode=False)
            self._rung.set()
            if (now := time.monotonic()) - began > QUANTUM_S:
                began, count = now, 0
            count += 1
            if count > _MOST_AT_ONCE:
                raise _Flood("a flood of messages")


class _Flood(Exception):
    """More came than any chain has to tell."""


def _connected(url: str) -> ClientConnection:
    """An open socket; what is compressed is refused, for it may grow without bound."""
    here = urlsplit(url).hostname in LOOPBACK
    made = connect(
        url,
        compression=None,
        proxy=None if here else True,
        open_timeout=_OPEN_S,
        close_timeout=1,
        max_size=_MOST_BYTES,
        legacy=True,
    )
    assert isinstance(made, ClientConnection)
    return made
