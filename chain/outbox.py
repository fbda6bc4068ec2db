"""The persisted outbox: every signed transaction is on disk before it is sent.

One row a step. A step is a name that the caller gives to what it wants done once, such as
"submit-1-2"; asking for it again finds the row instead of making a second transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout

from chain.errors import OutboxBroken, OutboxBusy
from chain.types import Address, Call, Wei


class State(StrEnum):
    """What became of a step's transaction."""

    SIGNED = "signed"  # on disk; perhaps sent, perhaps mined
    DONE = "done"  # seen in a block
    REVERTED = "reverted"  # in a block, refused by the contract
    DROPPED = "dropped"  # not sent again: it would be refused now, or its nonce went elsewhere
    STALE = "stale"  # signed after one that was dropped: to be asked for again


LIVE = (State.SIGNED, State.DONE)

_metadata = sa.MetaData()
_rows = sa.Table(
    "transactions",
    _metadata,
    sa.Column("genesis", sa.LargeBinary, primary_key=True),
    sa.Column("sender", sa.String, primary_key=True),
    sa.Column("step", sa.String, primary_key=True),
    sa.Column("nonce", sa.Integer, nullable=False),
    sa.Column("what", sa.String, nullable=False),
    sa.Column("to", sa.String),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sa.Column("value", sa.String, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason", sa.String),
    sa.Column("block_hash", sa.LargeBinary),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A step and its signed transaction; `block_hash` once it was seen in a block."""

    step: str
    nonce: int
    call: Call
    raw: bytes
    hash: bytes
    state: State = State.SIGNED
    reason: str | None = None
    block_hash: bytes | None = None


class Outbox:
    """The steps of one key on one chain, which its genesis block identifies."""

    def __init__(self, path: Path, genesis: bytes, sender: Address) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as exc:
            raise OutboxBroken(f"{path.parent}: {exc.strerror}: name a folder of yours") from exc
        self._lock = FileLock(f"{path}.{sender}.lock")
        self._key = {"genesis": genesis, "sender": sender}
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        sa.event.listen(self._engine, "connect", _durable)
        with self.lock(), self._begin() as connection:
            _metadata.create_all(connection)

    @contextlib.contextmanager
    def lock(self, timeout_s: float = 60) -> Iterator[None]:
        """Held while nonces are given: two processes of one key never interleave."""
        try:
            self._lock.acquire(timeout=timeout_s, poll_interval=0.01)
        except Timeout as exc:
            raise OutboxBusy(
                f"another process has been sending with {self._key['sender']} for {timeout_s:.0f} "
                f"s and holds {self._path}: wait for it, or end it"
            ) from exc
        try:
            yield
        finally:
            self._lock.release()

    def find(self, step: str) -> Entry | None:
        """The step's transaction, if it was ever signed."""
        found = self._select(_rows.c.step == step)
        return found[0] if found else None

    def taken(self, steps: Sequence[str]) -> set[str]:
        """Those of the steps that were ever signed."""
        query = sa.select(_rows.c.step).where(*self._mine(), _rows.c.step.in_(steps))
        with self._begin() as connection:
            return {row.step for row in connection.execute(query)}

    def live(self) -> list[Entry]:
        """Transactions that took effect or may still, by nonce."""
        return self._select(_rows.c.state.in_(LIVE))

    def all(self) -> list[Entry]:
        """Every step, by nonce."""
        return self._select(sa.true())

    def put(self, entries: Sequence[Entry]) -> None:
        """Writes steps, replacing earlier attempts; they are on disk when this returns."""
        rows = [self._row(entry) for entry in entries]
        steps = [entry.step for entry in entries]
        with self._begin() as connection:
            connection.execute(sa.delete(_rows).where(*self._mine(), _rows.c.step.in_(steps)))
            connection.execute(sa.insert(_rows), rows)

    def mark(
        self,
        entry: Entry,
        state: State,
        *,
        block_hash: bytes | None = None,
        reason: str | None = None,
    ) -> None:
        """Records what became of this very transaction; one signed anew meanwhile is untouched."""
        with self._begin() as connection:
            self._mark(connection, entry, state, block_hash=block_hash, reason=reason)

    def mark_done(self, found: Sequence[tuple[Entry, bytes]]) -> None:
        """Records, at once, that each of these transactions took effect in the block named."""
        with self._begin() as connection:
            for entry, block_hash in found:
                self._mark(connection, entry, State.DONE, block_hash=block_hash, reason=None)

    def close(self) -> None:
        """Closes the database."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as exc:
            raise OutboxBroken(
                f"{self._path} cannot be read or written ({getattr(exc, 'orig', exc)}): free "
                "space, or restore it; do not delete it while a study runs"
            ) from exc

    def _mark(
        self,
        connection: sa.Connection,
        entry: Entry,
        state: State,
        *,
        block_hash: bytes | None,
        reason: str | None,
    ) -> None:
        connection.execute(
            sa.update(_rows)
            .where(*self._mine(), _rows.c.step == entry.step, _rows.c.hash == entry.hash)
            .values(state=state, block_hash=block_hash, reason=reason)
        )

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return tuple(_rows.c[name] == value for name, value in self._key.items())

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Entry]:
        query = sa.select(_rows).where(*self._mine(), condition).order_by(_rows.c.nonce)
        with self._begin() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def _row(self, entry: Entry) -> dict[str, Any]:
        call = entry.call
        return {
            **self._key,
            "step": entry.step,
            "nonce": entry.nonce,
            "what": call.what,
            "to": call.to,
            "data": call.data,
            "value": str(call.value),
            "raw": entry.raw,
            "hash": entry.hash,
            "state": entry.state,
            "reason": entry.reason,
            "block_hash": entry.block_hash,
        }


def _entry(row: sa.Row[Any]) -> Entry:
    to = None if row.to is None else Address(row.to)
    call = Call(row.what, to, row.data, Wei(int(row.value)))
    return Entry(
        row.step, row.nonce, call, row.raw, row.hash, State(row.state), row.reason, row.block_hash
    )


def _durable(connection: Any, _record: Any) -> None:
    # What was committed must survive the power, not the process alone.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
