"""Alembic's entry: it runs within the transaction that `upshot.store.migration` has begun."""

from alembic import context

from upshot.store.tables import METADATA, is_declared

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    include_name=is_declared,
    transactional_ddl=True,  # SQLite's are, too, once BEGIN is said aloud (see `upshot.store.engine`)
    render_as_batch=True,
)
context.run_migrations()
