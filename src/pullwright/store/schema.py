"""The tables and how values become columns.

A task or an attempt has one row that its log could rebuild (`domain/projection.py`); it is there to be listed and
looked up. Words that come from outside are kept as JSON: Postgres refuses a NUL in text, JSON spells it out.
"""

from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

HEAD = "0015"
"""The last migration; a record that stands there needs nothing done."""


class Json(TypeDecorator[Any]):
    """A value as JSON text; None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002, ANN401
        """Encode."""
        return None if value is None else to_json(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any | None:  # noqa: ARG002, ANN401
        """Decode."""
        return None if value is None else from_json(value)


class Moment(TypeDecorator[datetime]):
    """An aware time, UTC in the database whether or not it knows time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Bring it to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give it its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData()

TASKS = Table(
    "tasks",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("created", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("waiting_for", Json),
    Column("reason", Json),
    Column("request", Json, nullable=False),
    Column("chosen", String(80)),
    Column("answer", Json),
    Column("citations", Json, nullable=False, server_default="[]"),
    Column("pull_request", Json),
    Column("cancel_requested", Boolean, nullable=False),
    Column("needs", String(16)),
    Column("repository", Text, nullable=False, server_default=""),  # the key, from `request`, to be asked by
    Column("mode", String(8), nullable=False, server_default="code"),
    Index("tasks_by_age", "created", "id"),
    Index("tasks_by_repository", "repository", "created"),
    Index("tasks_by_need", "needs", "created"),
    Index("tasks_by_state", "state", "created"),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("id", String(80), primary_key=True),
    Column("task", String(64), ForeignKey("tasks.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("engine", Text, nullable=False),
    Column("model", Text),
    Column("state", String(16), nullable=False),
    Column("waiting_for", Json),
    Column("reason", Json),
    Column("summary", Json),
    Column("branch", Text),
    Column("head", String(64)),
    Column("tree", String(64)),
    Column("files_changed", Integer, nullable=False),
    Column("insertions", BigInteger, nullable=False),
    Column("deletions", BigInteger, nullable=False),
    Column("turns", Integer, nullable=False),
    Column("base", String(64)),
    Column("fetched", Moment),
    Column("usage", Json, nullable=False),
    Column("receipt", Json),
    Column("limits_hit", Json, nullable=False, server_default="[]"),
    Column("seconds", Float, nullable=False),
    Column("started", Moment),
    Column("verdict", String(16)),  # these four from `receipt` and `usage`, to be counted and added up
    Column("cost", Float),
    Column("input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("output_tokens", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("task", "ordinal", name="attempts_by_task"),
)

_TOLD = text("kind IN ('egress-decided', 'environment-prepared', 'environment-failed')")

EVENTS = Table(
    "events",
    METADATA,
    Column("log", String(80), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("position", BigInteger, nullable=False),  # over all logs, in the order written
    Index("events_by_position", "position", unique=True),
    Index("events_told", "kind", "position", sqlite_where=_TOLD, postgresql_where=_TOLD),
)

ENVIRONMENTS = Table(
    "environments",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("layer", Text, nullable=False),
    Column("log", String(64)),
    Column("prepared", Moment, nullable=False),
)

ENVIRONMENT_POLICIES = Table(
    "environment_policies",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("policy", Json, nullable=False),
    Column("changed", Moment, nullable=False),
)

SECRETS = Table(
    "secrets",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("name", String(400), primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("changed", Moment, nullable=False),
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("task", String(64), ForeignKey("tasks.id"), primary_key=True),
    Column("attempt", String(80), nullable=False),
    Column("forge", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("commit", String(64), nullable=False),
    Column("title", Json, nullable=False),
    Column("body", Json, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("pull_request", Json),
    Column("receipt", Json),
    Column("number", Integer),
    Column("theirs", Boolean, nullable=False, server_default=text("false")),
)

REPOSITORIES = Table(
    "repositories",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("location", Text, nullable=False),
)

USERS = Table(
    "users",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(8), nullable=False),
    Column("email", String(320)),
    Column("issuer", Text),
    Column("subject", Text),
    Column("created", Moment, nullable=False),
    Column("removed", Moment),
    Column("claimed", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("issuer", "subject", name="users_by_subject"),
)

TEAMS = Table("teams", METADATA, Column("name", String(100), primary_key=True))

TEAM_MEMBERS = Table(
    "team_members",
    METADATA,
    Column("team", String(100), ForeignKey("teams.name"), primary_key=True),
    Column("user", String(16), ForeignKey("users.id"), primary_key=True),
    Column("claimed", Boolean, nullable=False, server_default=text("false")),  # by the issuer, who may take it back
)

TEAM_REPOSITORIES = Table(
    "team_repositories",
    METADATA,
    Column("team", String(100), ForeignKey("teams.name"), primary_key=True),
    Column("rule", Text, primary_key=True),
)

SIGN_INS = Table(
    "sign_ins",
    METADATA,
    Column("state", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("redirect", Text, nullable=False),
    Column("back", Text, nullable=False),
    Column("expires", Moment, nullable=False),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the cookie, which is not kept
    Column("user", String(16), ForeignKey("users.id")),
    Column("token", String(16), ForeignKey("tokens.id")),
    Column("created", Moment, nullable=False),
    Column("expires", Moment, nullable=False),
    Column("hint", Text),
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", Json, nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the token; the token itself is not kept
    Column("scope", String(8), nullable=False),
    Column("user", String(16), ForeignKey("users.id")),
    Column("created", Moment, nullable=False),
    Column("used", Moment),
    Column("revoked", Moment),
)

SUBMISSIONS = Table(
    "submissions",
    METADATA,
    Column("key", String(255), primary_key=True),  # what a client sent as Idempotency-Key
    Column("digest", String(64), nullable=False),  # of the order that came with it
    Column("task", String(64), ForeignKey("tasks.id")),
)

LOCAL_PULL_REQUESTS = Table(
    "local_pull_requests",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("branch", Text, nullable=False),
    Column("forge", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("head", String(64), nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("title", Json, nullable=False),
    Column("body", Json, nullable=False),
    Column("state", String(16), nullable=False, server_default="open"),
    UniqueConstraint("repository", "branch", name="local_pull_requests_by_branch"),
)

LOCAL_COMMENTS = Table(
    "local_comments",
    METADATA,
    Column("repository", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("marker", String(128), primary_key=True),
    Column("body", Json, nullable=False),
)

FORGES = Table(
    "forges",
    METADATA,
    Column("host", String(255), primary_key=True),
    Column("entry", Json, nullable=False),
)

WEBHOOK_CALLS = Table(
    "webhook_calls",
    METADATA,
    Column("task", String(64), ForeignKey("tasks.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("reason", Json),
    Column("waiting_for", Json),
    Column("at", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Index("webhook_calls_by_due", "due"),
)

INCOMING = Table(
    "incoming",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("delivery", String(200), nullable=False),
    Column("host", String(255), nullable=False),
    Column("event", String(100), nullable=False),
    Column("asked", Json, nullable=False),
    Column("received", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("fate", String(16), nullable=False),
    Column("note", Json, nullable=False),
    Column("task", String(64)),
    Index("incoming_by_due", "fate", "due"),
    UniqueConstraint("host", "delivery", name="incoming_by_delivery"),
)
