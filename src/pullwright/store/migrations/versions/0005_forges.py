"""Forges, comments of the local one, and what a delivery carries besides."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.add_column("deliveries", sa.Column("receipt", sa.Text()))
    op.add_column("deliveries", sa.Column("number", sa.Integer()))
    op.add_column("deliveries", sa.Column("theirs", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.add_column("local_pull_requests", sa.Column("state", sa.String(16), nullable=False, server_default="open"))
    op.create_table(
        "local_comments",
        sa.Column("repository", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("marker", sa.String(128), primary_key=True),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_table(
        "forges",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("entry", sa.Text(), nullable=False),
    )
