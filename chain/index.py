"""The index: a deployment's events in an SQLite file, as anybody may rebuild it from a node.

Nothing in it is believed by an audit, which reads the chain itself; it answers what would cost a
node many calls. Above the tables of the events stand four views: studies, rounds, consents, claims.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock, Timeout

from chain import tables
from chain.deploy import Deployment
from chain.errors import BlockMissing, IndexBroken, IndexStale
from chain.types import BlockNumber, ConsentId

_ASKED_AT_ONCE = 500  # parameters of one statement

_VIEWS = {
    "studies": """
        SELECT o.study, o.center, o.spec, o.block AS opened,
            (SELECT count(*) FROM studies_enrolled e WHERE e.study = o.study) AS enrolled,
            (SELECT count(*) FROM rounds_round_opened r WHERE r.study = o.study) AS rounds
        FROM studies_study_opened o""",
    "rounds": """
        SELECT o.study, o.round, o.parent, o.block AS opened,
            (SELECT count(*) FROM rounds_frozen x
                WHERE (x.study, x.round) = (o.study, o.round)) AS frozen,
            (SELECT count(*) FROM rounds_submitted x
                WHERE (x.study, x.round) = (o.study, o.round)) AS submitted,
            (SELECT count(*) FROM rounds_voided x
                WHERE (x.study, x.round) = (o.study, o.round)) AS voided,
            f.block AS finalized, f.state
        FROM rounds_round_opened o LEFT JOIN rounds_finalized f
            ON (f.study, f.round) = (o.study, o.round)""",
    # Burned ids were never granted: they are in consents_revoked alone.
    "consents": """
        SELECT g.id, g.agreement, g.hospital, g.block AS granted, r.block AS revoked, r.reason
        FROM consents_granted g LEFT JOIN consents_revoked r ON r.id = g.id""",
    "claims": """
        SELECT study, block, log_index, 'patient' AS kind, amount FROM escrow_patient_paid
        UNION ALL SELECT study, block, log_index, 'bonus', amount FROM escrow_bonus_paid
        UNION ALL SELECT study, block, log_index, 'hospital', amount FROM escrow_hospital_paid
        UNION ALL SELECT study, block, log_index, 'refund', amount FROM escrow_refunded""",
}

_own = sa.MetaData()
_about = sa.Table(
    "about",
    _own,
    sa.Column("genesis", sa.LargeBinary, nullable=False),
    sa.Column("deployment", sa.String, nullable=False),
    sa.Column("events", sa.String, nullable=False),
)
_blocks = sa.Table(
    "blocks",
    _own,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A block that the index has seen, by its hash."""

    number: BlockNumber
    hash: bytes


class Index:
    """One deployment's index; made where the file does not exist."""

    def __init__(self, path: Path, deployment: Deployment) -> None:
        self.path = path
        self.metadata, self.events = tables.tables()
        self._engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
        sa.event.listen(self._engine, "connect", _quick)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise IndexBroken(f"{path.parent}: {exc.strerror}: name a folder of yours") from exc
        self._lock = FileLock(f"{path}.lock")
        with self.lock(), self.begin() as connection:
            self._make(connection, deployment)

    @contextlib.contextmanager
    def lock(self, timeout_s: float = 300) -> Iterator[None]:
        """Held while a range is read and written; raises IndexBroken."""
        try:
            self._lock.acquire(timeout=timeout_s)
        except Timeout as exc:
            raise IndexBroken(
                f"another process has been writing {self.path} for {timeout_s:.0f} s: end it"
            ) from exc
        try:
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction; raises IndexBroken."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.SQLAlchemyError as exc:
            raise IndexBroken(
                f"{self.path} cannot be read or written ({getattr(exc, 'orig', exc)}): free space, "
                "or delete it and index again"
            ) from exc

    def close(self) -> None:
        """Closes the database."""
        self._engine.dispose()

    def tip(self) -> Mark | None:
        """The last block that is indexed; None for an empty index."""
        found = self.marks(sa.select(_blocks).order_by(_blocks.c.number.desc()).limit(1))
        return found[0] if found else None

    def marks(self, query: sa.Select[Any] | None = None) -> list[Mark]:
        """Blocks whose hashes are known, by number."""
        query = sa.select(_blocks).order_by(_blocks.c.number) if query is None else query
        with self.begin() as connection:
            return [Mark(row.number, row.hash) for row in connection.execute(query)]

    def rewind(self, last: BlockNumber) -> None:
        """Forgets everything above a block."""
        with self.begin() as connection:
            for table in self.metadata.sorted_tables:
                connection.execute(sa.delete(table).where(table.c.block > last))
            connection.execute(sa.delete(_blocks).where(_blocks.c.number > last))

    def add(self, rows: Mapping[sa.Table, Sequence[tables.Row]], marks: Sequence[Mark]) -> None:
        """Writes the rows of a range and the blocks that they stand in: all, or nothing."""
        with self.begin() as connection:
            for table, found in rows.items():
                # The driver's own: SQLAlchemy's would take twice as long over so many.
                holes = ", ".join("?" * len(table.columns))
                connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({holes})", [*found])  # noqa: S608
            connection.exec_driver_sql(
                "INSERT OR REPLACE INTO blocks VALUES (?, ?)", [(m.number, m.hash) for m in marks]
            )

    def active_at(self, ids: Sequence[ConsentId], block: BlockNumber) -> list[bool]:
        """For each id: active at the end of the block? Raises BlockMissing beyond the index."""
        tip = self.tip()
        if tip is None or tip.number < block:
            raise BlockMissing(f"{self.path} ends before block {block}: index further first")
        granted = self._by_then("consents_granted", ids, block)
        revoked = self._by_then("consents_revoked", ids, block)
        return [item in granted and item not in revoked for item in ids]

    def counts(self) -> dict[str, int]:
        """Rows of each view and of each table of events."""
        names = [*_VIEWS, *(table.name for table in self.metadata.sorted_tables)]
        with self.begin() as connection:
            return {
                name: connection.execute(
                    sa.select(sa.func.count()).select_from(sa.table(name))
                ).scalar_one()
                for name in names
            }

    def rows(self, view: str) -> list[dict[str, Any]]:
        """A view's rows: studies, rounds, consents or claims."""
        with self.begin() as connection:
            found = connection.execute(sa.select(sa.text("*")).select_from(sa.table(view)))
            return [dict(row) for row in found.mappings()]

    def _by_then(self, name: str, ids: Sequence[ConsentId], block: BlockNumber) -> set[bytes]:
        """Those of the ids that the event had named by the end of the block."""
        table = self.metadata.tables[name]
        found: set[bytes] = set()
        with self.begin() as connection:
            for start in range(0, len(ids), _ASKED_AT_ONCE):
                part = table.c.id.in_(ids[start : start + _ASKED_AT_ONCE])
                query = sa.select(table.c.id).where(part, table.c.block <= block)
                found.update(row.id for row in connection.execute(query))
        return found

    def _make(self, connection: sa.Connection, deployment: Deployment) -> None:
        made = {
            "genesis": deployment.genesis,
            "deployment": deployment.to_json(),
            "events": tables.fingerprint(),
        }
        _own.create_all(connection)
        found = connection.execute(sa.select(_about)).mappings().one_or_none()
        if found is None:
            self.metadata.create_all(connection)
            for name, query in _VIEWS.items():
                connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}")
            connection.execute(sa.insert(_about).values(made))
        elif dict(found) != made:
            raise IndexStale(
                f"{self.path} is the index of another deployment, or of other contracts' events: "
                "name another file, or delete it and index again"
            )


def _quick(connection: Any, _record: Any) -> None:
    # What the power takes is indexed again: the file stays whole, and that is enough.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
