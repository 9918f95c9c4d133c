"""Alembic's side of `recorder.schema`: it only writes SQL, which the recorder runs on its own connection."""

from __future__ import annotations

from alembic import context

context.configure(dialect_name="postgresql", transactional_ddl=True, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
