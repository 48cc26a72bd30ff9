"""Learnings, and the words by which they are found: FTS5 in SQLite, a text-search index in PostgreSQL."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "learnings",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("experiment", sa.Text(), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_learnings"),
    )
    op.create_index("ix_learnings_experiment", "learnings", ["experiment"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE learning_words USING fts5(words, tokenize = 'porter unicode61')")
    else:
        op.execute("CREATE INDEX learning_words ON learnings USING gin (to_tsvector('english', words))")
