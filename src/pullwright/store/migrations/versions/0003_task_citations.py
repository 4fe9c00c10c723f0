"""A task tells which places its answer names, and whether they exist."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; answers from before name none."""
    op.add_column("tasks", sa.Column("citations", sa.Text(), nullable=False, server_default="[]"))
