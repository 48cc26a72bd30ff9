"""What an experiment is beside its plan, and what happened to it beside its looks; an older one has its plan alone."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("experiments", sa.Column("design", sa.Text()))
    op.add_column("experiments", sa.Column("course", sa.Text()))
