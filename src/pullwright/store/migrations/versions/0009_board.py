"""What tasks and attempts are listed, counted and added up by, in columns of their own."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and fill them from what is there; what old tasks need shows once they move."""
    op.add_column("tasks", sa.Column("needs", sa.String(16)))
    op.add_column("tasks", sa.Column("repository", sa.Text(), nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("mode", sa.String(8), nullable=False, server_default="code"))
    op.add_column("attempts", sa.Column("verdict", sa.String(16)))
    op.add_column("attempts", sa.Column("cost", sa.Float()))
    op.add_column("attempts", sa.Column("input_tokens", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("attempts", sa.Column("output_tokens", sa.BigInteger(), nullable=False, server_default="0"))
    _fill_tasks()
    _fill_attempts()
    op.create_index("tasks_by_repository", "tasks", ["repository", "created"])
    op.create_index("tasks_by_need", "tasks", ["needs", "created"])


def _fill_tasks() -> None:
    change = sa.text("UPDATE tasks SET repository = :repository, mode = :mode WHERE id = :id")
    for one, words in _rows("SELECT id, request FROM tasks WHERE id > :last ORDER BY id LIMIT 500"):
        request = json.loads(words)
        values = {"id": one, "repository": request["repository"]["key"], "mode": request.get("mode", "code")}
        op.get_bind().execute(change, values)


def _fill_attempts() -> None:
    change = sa.text(
        "UPDATE attempts SET verdict = :verdict, cost = :cost, input_tokens = :input_tokens, "
        "output_tokens = :output_tokens WHERE id = :id"
    )
    for one, receipt, words in _rows("SELECT id, receipt, usage FROM attempts WHERE id > :last ORDER BY id LIMIT 500"):
        usage = json.loads(words)
        values = {name: usage.get(name, 0) for name in ("input_tokens", "output_tokens")}
        verdict = json.loads(receipt)["verdict"] if receipt else None
        op.get_bind().execute(change, {"id": one, "verdict": verdict, "cost": usage.get("cost"), **values})


def _rows(query: str) -> Iterator[tuple[Any, ...]]:
    """All rows of a table, some at a time; the first column is what they go by."""
    last = ""
    while rows := op.get_bind().execute(sa.text(query), {"last": last}).all():
        yield from (tuple(row) for row in rows)
        last = rows[-1][0]
