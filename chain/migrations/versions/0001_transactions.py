"""One row a step: its transaction, signed, and what became of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "transactions",
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
