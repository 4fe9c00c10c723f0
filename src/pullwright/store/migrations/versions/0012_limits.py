"""The limits that an attempt's machines ran into."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing was known of earlier attempts."""
    op.add_column("attempts", sa.Column("limits_hit", sa.Text(), nullable=False, server_default="[]"))
