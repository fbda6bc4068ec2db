"""Where an outbox lies: an SQLite file, or a PostgreSQL database; each with a lock for each key."""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from filelock import FileLock, Timeout

from chain.errors import OutboxBroken, OutboxBusy
from chain.keccak import keccak

Locked = Callable[[float], contextlib.AbstractContextManager[None]]
_POLL_S = 0.01


class Database(Protocol):
    """What an outbox needs of it."""

    def begin(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """A transaction that is on disk when it ends; raises OutboxBroken."""

    def lock_of(self, name: str, sender: str) -> Locked:
        """A lock that ends with the process that holds it; raises OutboxBusy after its time."""

    def close(self) -> None:
        """Closes every connection."""


def open_database(place: Path | str) -> Database:
    """Opens a file, or the database that a URL names. Raises OutboxBroken."""
    if isinstance(place, Path):
        return _Sqlite(place)
    return _Postgres(_parsed(place).set(drivername="postgresql+psycopg"))


def name_of(place: str) -> str:
    """A database's URL without what is secret of it. Raises OutboxBroken."""
    return _shown(_parsed(place).set(drivername="postgresql"))


def _shown(url: sa.URL) -> str:
    host = url.host or url.query.get("host") or ""  # the rest of a query may hold a password
    port = f":{url.port}" if url.port else ""
    return f"{url.drivername}://{host}{port}/{url.database or ''}"


def _parsed(place: str) -> sa.URL:
    try:
        url = sa.make_url(place)
    except (sa.exc.ArgumentError, ValueError):  # whose text may hold a piece of the password
        raise OutboxBroken("the outbox's address is no URL: postgresql://host/database") from None
    if url.get_backend_name() != "postgresql":
        raise OutboxBroken("an outbox is a file, or a database at postgresql://host/database")
    return url


class _Base:
    """Transactions of an engine; `name` is the place without what is secret of it."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self._engine, self._name = engine, name

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as exc:
            raise self._broken(exc) from exc

    def close(self) -> None:
        self._engine.dispose()

    def _broken(self, exc: sa.exc.SQLAlchemyError) -> OutboxBroken:
        return OutboxBroken(
            f"{self._name} cannot be read or written ({getattr(exc, 'orig', exc)}): free space, "
            "start the database, or restore it; do not delete it while a study runs"
        )

    def _busy(self, sender: str, timeout_s: float) -> OutboxBusy:
        return OutboxBusy(
            f"another process has been sending with {sender} for {timeout_s:.0f} s and holds "
            f"{self._name}: wait for it, or end it"
        )


class _Sqlite(_Base):
    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise OutboxBroken(f"{path.parent}: {exc.strerror}: name a folder of yours") from exc
        engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        sa.event.listen(engine, "connect", _durable)
        super().__init__(engine, str(path))
        self._path = path

    def lock_of(self, name: str, sender: str) -> Locked:
        lock = FileLock(f"{self._path}.{sender}.lock")

        @contextlib.contextmanager
        def locked(timeout_s: float) -> Iterator[None]:
            try:
                lock.acquire(timeout=timeout_s, poll_interval=_POLL_S)
            except Timeout as exc:
                raise self._busy(sender, timeout_s) from exc
            try:
                yield
            finally:
                lock.release()

        return locked


class _Postgres(_Base):
    def __init__(self, url: sa.URL) -> None:
        engine = sa.create_engine(url, pool_pre_ping=True)
        super().__init__(engine, _shown(url))
        weakref.finalize(self, engine.dispose)  # a server's connections are few

    def lock_of(self, name: str, sender: str) -> Locked:
        """A session's advisory lock: the server ends it with the connection of who is killed."""
        key = int.from_bytes(keccak(name.encode())[:8], "big", signed=True)

        @contextlib.contextmanager
        def locked(timeout_s: float) -> Iterator[None]:
            try:
                connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            except sa.exc.SQLAlchemyError as exc:
                raise self._broken(exc) from exc
            with connection:
                self._acquire(connection, key, sender, timeout_s)
                try:
                    yield
                finally:
                    # Not returned to the pool: closing it is what surely ends the lock.
                    connection.invalidate()

        return locked

    def _acquire(self, connection: sa.Connection, key: int, sender: str, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        asked = sa.select(sa.func.pg_try_advisory_lock(key))
        try:
            while not connection.execute(asked).scalar_one():
                if time.monotonic() > end:
                    raise self._busy(sender, timeout_s)
                time.sleep(_POLL_S)
        except sa.exc.SQLAlchemyError as exc:
            raise self._broken(exc) from exc


def _durable(connection: Any, _record: Any) -> None:
    # What was committed must survive the power, not the process alone.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
