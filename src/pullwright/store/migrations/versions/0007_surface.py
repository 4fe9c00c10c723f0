"""A place of every event over all logs; tokens of the API; which order a client's key has handed in."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Number the events that are there by their time, then add the tables."""
    op.add_column("events", sa.Column("position", sa.BigInteger()))
    op.execute(
        "UPDATE events SET position = (SELECT ranked.place FROM (SELECT log, number, "
        "ROW_NUMBER() OVER (ORDER BY at, log, number) AS place FROM events) AS ranked "
        "WHERE ranked.log = events.log AND ranked.number = events.number)"
    )
    with op.batch_alter_table("events") as events:
        events.alter_column("position", existing_type=sa.BigInteger(), nullable=False)
    op.create_index("events_by_position", "events", ["position"], unique=True)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scope", sa.String(8), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True)),
        sa.Column("revoked", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "submissions",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("task", sa.String(64), sa.ForeignKey("tasks.id")),
    )
