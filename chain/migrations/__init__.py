"""The outbox's schema: what it is, and how older ones become it (alembic)."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

HEAD = "0003"
_ONE_AT_A_TIME = 0x436F6E73  # any number of ours: PostgreSQL's lock for making the schema

metadata = sa.MetaData()
transactions = sa.Table(
    "transactions",
    metadata,
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
    # Hashes of the same transaction at lower fees, 64 hexadecimal digits each.
    sa.Column("earlier", sa.String, nullable=False, server_default=""),
)
_identity = sa.Table(
    "identity",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
)
_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), primary_key=True),
)


def prepare(connection: sa.Connection) -> None:
    """Makes the schema, or brings an older one up; alembic is loaded for the latter alone."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    elif _found(connection) == (True, HEAD):
        return
    else:
        # Python's module begins before changes of rows alone: who is killed while tables are made
        # would leave half of them. Who waited here finds what another made.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    there, version = _found(connection)
    if not there:
        metadata.create_all(connection)
        connection.execute(sa.insert(_identity).values(id=uuid4().hex))
        _version.create(connection)
        connection.execute(sa.insert(_version).values(version_num=HEAD))
    elif version != HEAD:
        _upgrade(connection, version)


def identity(connection: sa.Connection) -> str | None:
    """What was drawn when the schema was made, and tells it from every other; None without one."""
    if _identity.name not in sa.inspect(connection).get_table_names():
        return None
    return connection.execute(sa.select(_identity)).scalar_one_or_none()


def _found(connection: sa.Connection) -> tuple[bool, str | None]:
    """Whether the outbox's table is there, and the version that is written down."""
    present = set(sa.inspect(connection).get_table_names())
    version = None
    if _version.name in present:
        version = connection.execute(sa.select(_version)).scalar_one_or_none()
    return "transactions" in present, version


def _upgrade(connection: sa.Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    if found is None:
        command.stamp(config, "0001")  # made before versions were written down
    command.upgrade(config, HEAD)
