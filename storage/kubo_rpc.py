"""Kubo's RPC: where bytes travel. Every call has one deadline for all of it.

https://docs.ipfs.tech/reference/kubo/rpc/
"""

import json
import secrets
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException
from itertools import chain
from typing import Any
from urllib.parse import urlencode, urlsplit

from storage.errors import MissingBlock, StorageError, TooSlow, Unreachable
from storage.kubo_http import Body, Connections

# The node is told to give up first, so that it can say why.
_GRACE_S = 5.0
_ABSENT = (
    "block was not found",
    "could not resolve name",
    "file does not exist",
    "ipld: could not find",
    "no link named",
)
_FULL = ("no space left", "disk quota exceeded", "file too large")


class KuboRpc:
    """One node's RPC. Errors are of `storage.errors` and name the node."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """`timeout_s` is the longest that one call may take where it names no other."""
        self.url = url.rstrip("/")
        self.timeout_s = timeout_s
        place = urlsplit(self.url)
        self._http = Connections(place.hostname or "", place.port or 0)
        weakref.finalize(self, self._http.close)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._http.close()

    def call(
        self, path: str, parameters: Mapping[str, str], *, timeout_s: float | None = None
    ) -> Any:
        """The JSON answer of a command, None where the answer is empty."""
        answer = self._send(path, parameters, timeout_s=timeout_s, limit=1 << 28)
        return self._decoded(answer)

    def read(
        self,
        path: str,
        parameters: Mapping[str, str | Sequence[str]],
        *,
        limit: int,
        timeout_s: float | None = None,
    ) -> bytes:
        """The bytes that a command answers; of more than `limit`, the first `limit` + 1."""
        return self._send(path, parameters, timeout_s=timeout_s, limit=limit)

    @contextmanager
    def stream(
        self, path: str, parameters: Mapping[str, str], *, answer_s: float, timeout_s: float
    ) -> Iterator[Body]:
        """The bytes that a command answers, as they come: `answer_s` for the first of them.

        What the node says is wrong after those is not seen, nor is an answer cut short: verify it.
        """
        asked = urlencode({**parameters, "timeout": f"{timeout_s:.3f}s"})
        with self._reported(answer_s):
            body = self._http.open(f"/api/v0/{path}?{asked}", answer_s)
        try:
            if body.status != HTTPStatus.OK:
                raise self._refused(body.status, self._said(body, answer_s))
            yield body
        finally:
            body.close()

    def _said(self, body: Body, answer_s: float) -> bytes:
        said = memoryview(bytearray(1 << 16))
        with self._reported(answer_s):
            return bytes(said[: body.fill(said, answer_s)])

    def upload(
        self,
        path: str,
        parameters: Mapping[str, str],
        content: Iterable[bytes | memoryview],
        size: int | None,
        *,
        timeout_s: float | None = None,
    ) -> Any:
        """Send pieces, `size` bytes where that is known, as a command's one file; its JSON answer.

        What is raised by who makes the pieces comes out as it is, unless it is an OSError.
        """
        head, tail, boundary = _frame()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if size is not None:  # else it travels in chunks, which cost the node another copy
            headers["Content-Length"] = str(len(head) + size + len(tail))
        body = chain[bytes | memoryview](
            [head], content, [tail]
        )  # closing it leaves `content` open, to be hashed
        answer = self._send(
            path, parameters, timeout_s=timeout_s, limit=1 << 20, content=body, headers=headers
        )
        return self._decoded(answer)

    def _send(
        self,
        path: str,
        parameters: Mapping[str, str | Sequence[str]],
        *,
        limit: int,
        timeout_s: float | None = None,
        content: Iterator[bytes | memoryview] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        wait_s = timeout_s or self.timeout_s
        asked = urlencode({**parameters, "timeout": f"{wait_s:.3f}s"}, doseq=True)
        with self._reported(wait_s):
            answer = self._http.post(
                f"/api/v0/{path}?{asked}",
                limit=limit,
                timeout_s=wait_s + _GRACE_S,
                content=content,
                headers=headers,
            )
        if answer.status != HTTPStatus.OK:
            raise self._refused(answer.status, answer.body)
        return answer.body

    def _decoded(self, answer: bytes) -> Any:
        """The last of the answer's lines of JSON."""
        lines = answer.strip().splitlines()
        try:
            return json.loads(lines[-1]) if lines else None
        except (ValueError, RecursionError) as exc:
            raise self._foreign() from exc

    def _refused(self, status: int, answer: bytes) -> StorageError:
        try:
            message = str(json.loads(answer)["Message"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return self._foreign(status)
        return failure(self.url, message)

    def _foreign(self, status: int = 200) -> Unreachable:
        return Unreachable(
            f"what answers at {self.url} (status {status}) is no RPC of Kubo: correct the address, "
            "which is Addresses.API of the node, not its gateway"
        )

    @contextmanager
    def _reported(self, wait_s: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as exc:
            raise Unreachable(
                f"the IPFS node at {self.url} did not answer within {wait_s:.0f} s: look whether "
                "it is overloaded or halted, then try again"
            ) from exc
        except (OSError, HTTPException) as exc:
            raise Unreachable(
                f"the IPFS node at {self.url} cannot be reached ({type(exc).__name__}): start it, "
                "or correct the address"
            ) from exc


def failure(url: str, message: str) -> StorageError:
    """The error for what a node said."""
    said = message.lower()
    if any(words in said for words in _FULL):
        return Unreachable(
            f"the disk of the IPFS node at {url} is full: free some space, then try again"
        )
    if any(words in said for words in _ABSENT):
        return MissingBlock(f"the IPFS node at {url} does not have it: {message}")
    if "context deadline exceeded" in said:
        return TooSlow(
            f"the IPFS node at {url} was not done in time: look whether it is overloaded or its "
            "disk is slow, then try again"
        )
    return Unreachable(
        f"the IPFS node at {url} refused: {message}; look at its log, correct it, try again"
    )


def _frame() -> tuple[bytes, bytes, str]:
    boundary = secrets.token_hex(24)  # not to be guessed, so in no content
    head = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=file; filename=file\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode(), boundary
