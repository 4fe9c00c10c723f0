"""Users, teams, sessions, and the repositories that decide what they see."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and remember where each task's repository is."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "repositories",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("location", sa.Text(), nullable=False),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("issuer", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("created", moment, nullable=False),
        sa.Column("removed", moment),
        sa.UniqueConstraint("issuer", "subject", name="users_by_subject"),
    )
    op.create_table("teams", sa.Column("name", sa.String(100), primary_key=True))
    op.create_table(
        "team_members",
        sa.Column("team", sa.String(100), sa.ForeignKey("teams.name"), primary_key=True),
        sa.Column("user", sa.String(16), sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("claimed", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    op.create_table(
        "team_repositories",
        sa.Column("team", sa.String(100), sa.ForeignKey("teams.name"), primary_key=True),
        sa.Column("rule", sa.Text(), primary_key=True),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("user", sa.String(16), sa.ForeignKey("users.id")),
        sa.Column("token", sa.String(16), sa.ForeignKey("tokens.id")),
        sa.Column("created", moment, nullable=False),
        sa.Column("expires", moment, nullable=False),
    )
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(sa.Column("user", sa.String(16)))
        tokens.create_foreign_key("tokens_of_users", "users", ["user"], ["id"])
    _fill()


def _fill() -> None:
    """The request of any task of a repository says where it is."""
    connection = op.get_bind()
    those = sa.text("SELECT request FROM tasks WHERE id IN (SELECT max(id) FROM tasks GROUP BY repository)")
    for (request,) in connection.execute(those).all():
        repository = json.loads(request)["repository"]
        connection.execute(
            sa.text("INSERT INTO repositories (key, location) VALUES (:key, :location)"),
            {"key": repository["key"], "location": repository["location"]},
        )
