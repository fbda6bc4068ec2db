"""What alembic runs: the migrations, on the connection that it was given."""

from __future__ import annotations

from alembic import context

from chain.migrations import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
