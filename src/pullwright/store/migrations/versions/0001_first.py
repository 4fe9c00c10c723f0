"""Tasks, attempts, events, environments, deliveries, local pull requests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("waiting_for", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("chosen", sa.String(80)),
        sa.Column("answer", sa.Text()),
        sa.Column("pull_request", sa.Text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
    )
    op.create_index("tasks_by_age", "tasks", ["created", "id"])
    op.create_index("tasks_by_state", "tasks", ["state", "created"])
    op.create_table(
        "attempts",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("task", sa.String(64), sa.ForeignKey("tasks.id"), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("engine", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("waiting_for", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("branch", sa.Text()),
        sa.Column("head", sa.String(64)),
        sa.Column("tree", sa.String(64)),
        sa.Column("files_changed", sa.Integer(), nullable=False),
        sa.Column("insertions", sa.BigInteger(), nullable=False),
        sa.Column("deletions", sa.BigInteger(), nullable=False),
        sa.Column("turns", sa.Integer(), nullable=False),
        sa.Column("usage", sa.Text(), nullable=False),
        sa.Column("receipt", sa.Text()),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("task", "ordinal", name="attempts_by_task"),
    )
    op.create_table(
        "events",
        sa.Column("log", sa.String(80), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
    )
    op.create_table(
        "environments",
        sa.Column("repository", sa.Text(), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("log", sa.String(64)),
        sa.Column("prepared", sa.DateTime(timezone=True), nullable=False),
    )
    _create_deliveries()


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("task", sa.String(64), sa.ForeignKey("tasks.id"), primary_key=True),
        sa.Column("attempt", sa.String(80), nullable=False),
        sa.Column("forge", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("commit", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("pull_request", sa.Text()),
    )
    op.create_table(
        "local_pull_requests",
        sa.Column("repository", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("forge", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.UniqueConstraint("repository", "branch", name="local_pull_requests_by_branch"),
    )
