"""What every request passes: its id, the host's name, size and time of the body, how many at once.

Nothing that fails behind it reaches a caller or the log raw: a problem goes out, and the log gets
the kind and the place of the error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.cli.words import sentence
from api.server.logs import Log
from api.server.metrics import UNMATCHED, Metrics
from api.server.problems import MEDIA, ApiProblem, problem_of
from api.server.settings import Settings

WITHDRAWALS = "/v1/relay/revocations"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_WAITING = 8  # requests whose body is awaited, for each that may be in work
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # a path can hold the id of a consent
    "X-Content-Type-Options": "nosniff",
}


class Border:
    """ASGI middleware; the outermost."""

    def __init__(self, app: ASGIApp, settings: Settings, log: Log, metrics: Metrics) -> None:
        self._app, self._settings, self._log, self._metrics = app, settings, log, metrics
        self._here = 0  # requests, those whose body is awaited included
        self._in_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        self._here += 1
        try:
            await self._pass(exchange, receive)
        except Exception as exc:  # noqa: BLE001 - the last border: nothing may leave raw
            problem = problem_of(exc)
            if problem.status >= 500 and not isinstance(exc, ApiProblem):
                self._log.error("failed", why=sentence(exc), request_id=exchange.id)
            await exchange.answer(problem, lambda: self._drain(receive))
        finally:
            self._here -= 1
            self._tell(exchange)

    async def _pass(self, exchange: _Exchange, receive: Receive) -> None:
        self._check_host(exchange.header(b"host"))
        withdraws = exchange.scope["path"] == WITHDRAWALS
        # Who only waits for a body holds no place of those who work: slow senders cost little.
        self._require(self._here, withdraws, _WAITING)
        if exchange.method in _WITH_BODY:
            receive = _replay(await self._body(exchange, receive), receive)
        self._in_work += 1
        self._metrics.in_flight.set(self._in_work)
        try:
            self._require(self._in_work, withdraws, 1)
            await self._app(exchange.scope, receive, exchange.send)
        finally:
            self._in_work -= 1
            self._metrics.in_flight.set(self._in_work)

    def _require(self, busy: int, withdraws: bool, times: int) -> None:
        """Half the places are kept for withdrawals, which nothing else may crowd out."""
        if busy > self._settings.in_flight * times * (2 if withdraws else 1):
            raise ApiProblem("too-busy", "ask again in a moment")

    def _check_host(self, host: bytes) -> None:
        """A page that rebinds its name to this address still sends its own name as the Host."""
        found = _HOST.fullmatch(host.decode("latin-1"))
        name = found["name"].strip("[]").lower() if found else ""
        if name not in self._settings.allowed_hosts:
            raise ApiProblem(
                "bad-host", "ask by an address that this API serves; its operator can add names"
            )

    async def _body(self, exchange: _Exchange, receive: Receive) -> bytes:
        most, parts, size = self._settings.body_bytes, [], 0
        stated = exchange.header(b"content-length")
        if stated.isdigit() and int(stated[:20]) > most:
            raise _too_large(most)
        try:
            async with asyncio.timeout(self._settings.body_s):
                while (message := await receive())["type"] == "http.request":
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise _too_large(most)
                    if not message.get("more_body"):
                        break
        except TimeoutError as exc:
            raise ApiProblem(
                "slow-body", f"send the whole body within {self._settings.body_s:g} s"
            ) from exc
        return b"".join(parts)

    async def _drain(self, receive: Receive) -> None:
        """A connection that closes with bytes unread is reset, and the caller may lose its answer
        (RFC 9112, 9.6): it gets a moment to stop sending."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.drain_s):
                while (await receive()).get("more_body"):
                    pass

    def _tell(self, exchange: _Exchange) -> None:
        route = getattr(exchange.scope.get("route"), "path", UNMATCHED)
        seconds = time.perf_counter() - exchange.start
        status = exchange.status or 499  # the caller left
        self._metrics.answered(route, exchange.method, status, seconds)
        self._log.info(
            "request",
            method=exchange.method if exchange.method.isalpha() else "other",
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            request_id=exchange.id,
        )


class _Exchange:
    """One request and its answer. HEAD is asked as GET, and its body is not sent."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.start = time.perf_counter()
        self.method = str(scope["method"])[:16]
        self.scope = dict(scope) | ({"method": "GET"} if self.method == "HEAD" else {})
        self.status = 0
        self._send = send
        given = self.header(b"x-request-id").decode("latin-1")
        self.id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        self.scope["request_id"] = self.id

    def header(self, name: bytes) -> bytes:
        found = [value for key, value in self.scope["headers"] if key == name]
        return found[0] if len(found) == 1 else b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            headers.setdefault("Cache-Control", "no-store")
            for name, value in _SECURITY.items():
                headers[name] = value
        elif self.method == "HEAD":
            message["body"] = b""
        await self._send(message)

    async def answer(self, problem: ApiProblem, drain: Callable[[], Awaitable[None]]) -> None:
        if self.status:
            return  # what began cannot be taken back
        body = json.dumps(problem.body(self.id)).encode()
        headers = {"Content-Type": MEDIA, "Content-Length": str(len(body))} | problem.headers()
        closes = problem.kind in ("body-too-large", "slow-body")
        if closes:
            headers["Connection"] = "close"  # the rest of it is not waited for
        await self.send(
            {
                "type": "http.response.start",
                "status": problem.status,
                "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
            }
        )
        if closes:
            await self.send({"type": "http.response.body", "body": body, "more_body": True})
            await drain()
            body = b""
        await self.send({"type": "http.response.body", "body": body})


def _too_large(most: int) -> ApiProblem:
    return ApiProblem("body-too-large", f"at most {most} bytes: send less at once")


def _replay(body: bytes, receive: Receive) -> Receive:
    message: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return message.pop() if message else await receive()

    return again
