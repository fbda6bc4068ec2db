"""A transaction that got stuck is signed again with a higher fee: either may be mined."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the hashes of those that were replaced."""
    op.add_column(
        "transactions", sa.Column("earlier", sa.String, nullable=False, server_default="")
    )
