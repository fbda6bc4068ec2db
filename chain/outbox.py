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

from chain.database import open_database
from chain.migrations import identity, prepare
from chain.migrations import transactions as _rows
from chain.types import Address, Call, Wei


class State(StrEnum):
    """What became of a step's transaction."""

    SIGNED = "signed"  # on disk; perhaps sent, perhaps mined
    DONE = "done"  # seen in a block
    REVERTED = "reverted"  # in a block, refused by the contract
    DROPPED = "dropped"  # not sent again: it would be refused now, or its nonce went elsewhere
    STALE = "stale"  # signed after one that was dropped: to be asked for again


LIVE = (State.SIGNED, State.DONE)


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
    earlier: tuple[bytes, ...] = ()

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Of this transaction at every fee it was signed with, the newest first."""
        return self.hash, *self.earlier


class Outbox:
    """The steps of one key on one chain, which its genesis block identifies."""

    def __init__(self, place: Path | str, genesis: bytes, sender: Address) -> None:
        """`place` is an SQLite file, or the URL of a PostgreSQL database as SQLAlchemy takes it."""
        self._key = {"genesis": genesis, "sender": sender}
        self._database = open_database(place)
        self._locked = self._database.lock_of(f"{genesis.hex()}.{sender}", sender)
        with self.lock(), self._begin() as connection:
            prepare(connection)

    @contextlib.contextmanager
    def lock(self, timeout_s: float = 60) -> Iterator[None]:
        """Held while nonces are given: two processes of one key never interleave."""
        with self._locked(timeout_s):
            yield

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

    def identity(self) -> str:
        """What tells this database from every other, whatever the address it is reached at."""
        with self._begin() as connection:
            return identity(connection) or ""

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def _begin(self) -> contextlib.AbstractContextManager[sa.Connection]:
        return self._database.begin()

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
            "earlier": "".join(item.hex() for item in entry.earlier),
        }


def look_at(place: Path | str) -> str | None:
    """The identity of the outbox at a place; None where none was made yet. Writes nothing.

    Raises OutboxBroken where it cannot be read.
    """
    if isinstance(place, Path) and not place.exists():
        return None
    database = open_database(place)
    try:
        with database.begin() as connection:
            return identity(connection)
    finally:
        database.close()


def _entry(row: sa.Row[Any]) -> Entry:
    to = None if row.to is None else Address(row.to)
    call = Call(row.what, to, row.data, Wei(int(row.value)))
    return Entry(
        step=row.step,
        nonce=row.nonce,
        call=call,
        raw=row.raw,
        hash=row.hash,
        state=State(row.state),
        reason=row.reason,
        block_hash=row.block_hash,
        earlier=tuple(
            bytes.fromhex(row.earlier[start : start + 64])
            for start in range(0, len(row.earlier), 64)
        ),
    )
