"""Attempts tell the commit that they stand on and when it was fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two columns."""
    op.add_column("attempts", sa.Column("base", sa.String(64)))
    op.add_column("attempts", sa.Column("fetched", sa.DateTime(timezone=True)))
