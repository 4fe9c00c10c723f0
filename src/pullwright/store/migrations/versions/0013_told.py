"""What tells about environments is found among all events without reading them all."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index the few kinds that are asked for over all logs."""
    kinds = sa.text("kind IN ('egress-decided', 'environment-prepared', 'environment-failed')")
    op.create_index("events_told", "events", ["kind", "position"], sqlite_where=kinds, postgresql_where=kinds)
