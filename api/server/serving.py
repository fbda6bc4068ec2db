"""Runs the API as a process: its socket, its signals, and the relayer beside it."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from api.errors import ApiError
from api.home import Home
from api.server.app import create_app
from api.server.logs import Log, ServerWords, make_log
from api.server.settings import LOOPBACK, Settings
from chain.errors import ChainError
from federated.errors import FederatedError
from federated.party import Party
from federated.relayer import relay
from storage.errors import StorageError

_GRACE_S = 10
_RELAY_EVERY_S = 1.0
_HEADER_BYTES = 16 * 1024


def serve(
    settings: Settings,
    home: Home,
    *,
    expose: bool = False,
    sending: Callable[[], Party] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve until SIGTERM or SIGINT. `sending` opens the relayer's party, whose mail is then sent.

    Raises `ApiError` for a port that is taken and for an address beyond loopback that was not
    asked for by `expose`, and what `create_app` raises.
    """
    if settings.host not in LOOPBACK and not expose:
        raise ApiError(
            f"{settings.host} is reached from other machines, and this API has neither TLS nor "
            "accounts: put a proxy with TLS in front of it and add --expose, or use 127.0.0.1"
        )
    log = make_log()
    sender = _Sender(sending, log) if sending else None
    with _bound(settings) as listening, _words(log), _signals():
        app = create_app(settings, home, log=log, relaying=sender.lives if sender else _no_sender)
        server = uvicorn.Server(config_of(app, settings))
        host, port = listening.getsockname()[:2]
        say(f"http://{f'[{host}]' if ':' in host else host}:{port}/openapi.json")
        if sender:
            sender.start()
        try:
            server.run(sockets=[listening])
        finally:
            if sender:
                sender.stop()


def _no_sender() -> None:
    return None


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the application is served: HTTP/1.1 alone, small headers, few connections."""
    return uvicorn.Config(
        app,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,  # its lines hold raw paths
        proxy_headers=False,  # anyone could name another sender
        server_header=False,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        timeout_graceful_shutdown=_GRACE_S,
    )


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ApiError(f"{settings.host} is no address of this machine: correct --host") from exc
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(128)
        except OSError as exc:
            raise _unbound(exc, settings) from exc
        yield listening


def _unbound(exc: OSError, settings: Settings) -> ApiError:
    where = f"port {settings.port} of {settings.host}"
    if exc.errno == errno.EADDRINUSE:
        return ApiError(f"{where} is taken: end what listens there, or give another with --port")
    if exc.errno == errno.EACCES:
        return ApiError(f"{where} is not allowed to this account: give one above 1023 with --port")
    return ApiError(f"{where} cannot be listened at: correct --host and --port")


@contextmanager
def _signals() -> Iterator[None]:
    """uvicorn raises again the signal that ended it: that was obeyed, so nothing is left to do."""
    kinds = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(kind, lambda *_: None) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)


@contextmanager
def _words(log: Log) -> Iterator[None]:
    found, words = logging.getLogger("uvicorn"), ServerWords(log)
    before = found.propagate
    found.addHandler(words)
    found.propagate = False
    try:
        yield
    finally:
        found.removeHandler(words)
        found.propagate = before


class _Sender:
    """The relayer in a thread of its own, which opens its own access to node and outbox."""

    def __init__(self, opening: Callable[[], Party], log: Log) -> None:
        self._opening, self._log = opening, log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relayer", daemon=True)
        self._party: Party | None = None

    def start(self) -> None:
        self._thread.start()

    def lives(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Let it finish what it sends; what it has signed lies in the outbox in any case."""
        self._over.set()
        self._thread.join(_GRACE_S)

    def _run(self) -> None:
        while not self._over.wait(_RELAY_EVERY_S):
            try:
                self._party = self._party or self._opening()
                report = relay(self._party)
            except (ChainError, StorageError, FederatedError) as exc:
                self._log.warning("relay", why=type(exc).__name__)  # away for a while
                continue
            if report.sent or report.refused:
                # A refusal's text holds the id of a consent.
                self._log.info("relay", sent=report.sent, refused=len(report.refused))
        if self._party:
            self._party.chain.client.outbox.close()
