"""Posts to one node over connections that are kept: no library comes between bytes and their hash.

A general HTTP client takes four times as long to take a node's answer apart as SHA-256 takes to
check it. Here each piece is what the socket gave.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from io import BufferedReader
from typing import Any, cast

_KEPT = 16  # connections that wait for the next call
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, and of the body as much as was asked for."""

    status: int
    body: bytes


class _Response(HTTPResponse):
    """Takes more from the socket at once: a node sends a block in chunks of 4 KiB."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = cast(BufferedReader, sock.makefile("rb", _PIECE))


class _Connection(HTTPConnection):
    response_class = _Response


class _Plain(_Connection):
    """Asks for a body in one piece: to take 25,600 chunks of 4 KiB apart costs more than to hash
    them. Nothing but the connection's end tells the body's, so whoever reads it verifies it."""

    _http_vsn = 10
    _http_vsn_str = "HTTP/1.0"


class Body:
    """An answer as it comes, over a connection of its own. What is cut short looks whole."""

    def __init__(self, connection: HTTPConnection, path: str) -> None:
        """Send the call, wait for the head. Raises OSError, `http.client.HTTPException`."""
        try:
            connection.connect()
            self._socket = connection.sock
            host = f"{connection.host}:{connection.port}"
            connection.request("POST", path, headers={"Host": host})
            self._response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        self.status = self._response.status

    def fill(self, buffer: memoryview, timeout_s: float) -> int:
        """Read until the buffer is full or the body ends; how much there is. Raises OSError."""
        deadline, done = time.monotonic() + timeout_s, 0
        while done < len(buffer):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("too slow")
            self._socket.settimeout(left_s)
            if not (got := self._response.fp.readinto1(buffer[done:])):
                break
            done += got
        return done

    def close(self) -> None:
        """End the call. Idempotent."""
        self._response.close()


class Connections:
    """To one `host:port`; for several threads at once. No proxy of the environment is asked."""

    def __init__(self, host: str, port: int) -> None:
        """Opens no connection yet."""
        self._host = host
        self._port = port
        self._idle: deque[HTTPConnection] = deque()

    def close(self) -> None:
        """Close those that wait; a later call opens new ones."""
        while self._idle:
            self._idle.pop().close()

    def post(
        self,
        path: str,
        *,
        limit: int,
        timeout_s: float,
        content: Iterator[bytes | memoryview] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, of a longer body the first `limit` + 1 bytes.

        `headers` state the length of `content`. Raises OSError, which TimeoutError is one of, and
        `http.client.HTTPException`.
        """
        deadline = time.monotonic() + timeout_s
        connection = self._take(timeout_s)
        try:
            _ask(connection, path, content, headers or {})
            response = connection.getresponse()
            body, whole = _collected(response, limit, deadline)
            response.close()
        except BaseException:
            connection.close()  # what is left of this answer must not be taken for the next one's
            raise
        if whole and not response.will_close and len(self._idle) < _KEPT:
            self._idle.append(connection)
        else:
            connection.close()
        return Answer(response.status, body)

    def open(self, path: str, timeout_s: float) -> Body:
        """A call whose answer is read as it comes; `timeout_s` is for its head. See `Body`."""
        return Body(_Plain(self._host, self._port, timeout=timeout_s), path)

    def _take(self, timeout_s: float) -> HTTPConnection:
        """A connection that is still open, or a new one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if _is_quiet(connection.sock):
                connection.sock.settimeout(timeout_s)
                return connection
            connection.close()
        return _Connection(self._host, self._port, timeout=timeout_s)


def _is_quiet(sock: socket.socket) -> bool:
    """Whether nothing is to be read: a node that ended a connection left that to be read."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return not waiting.poll(0)


def _ask(
    connection: HTTPConnection,
    path: str,
    content: Iterator[bytes | memoryview] | None,
    headers: Mapping[str, str],
) -> None:
    try:
        connection.request("POST", path, body=content, headers=dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        if connection.sock is None:
            raise
        # A node that refuses before it has read all says why: the answer is read.


def _collected(response: HTTPResponse, limit: int, deadline: float) -> tuple[bytes, bool]:
    """The body, and whether that is all of it."""
    found = bytearray()
    while piece := response.read1(_PIECE):  # as it comes: a piece size would wait for a drip
        found += piece
        if len(found) > limit:
            return bytes(found[: limit + 1]), False
        if time.monotonic() > deadline:
            raise TimeoutError("too slow")
    if response.length:  # fewer bytes than its header stated
        raise IncompleteRead(bytes(found), response.length)
    return bytes(found), True
