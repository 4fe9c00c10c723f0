"""What forges tell by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "incoming",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("delivery", sa.String(200), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("event", sa.String(100), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("received", moment, nullable=False),
        sa.Column("due", moment, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("fate", sa.String(16), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("task", sa.String(64)),
        sa.UniqueConstraint("host", "delivery", name="incoming_by_delivery"),
    )
    op.create_index("incoming_by_due", "incoming", ["fate", "due"])
