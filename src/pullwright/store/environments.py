"""What happened to a repository's environment, over all its tasks: preparations, and hosts that were refused."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Select, func, select

from pullwright.domain.transcript import EgressDecided, EnvironmentFailed, EnvironmentPrepared, Output, Recorded
from pullwright.domain.value import Value
from pullwright.store.queries import recorded_of
from pullwright.store.schema import ATTEMPTS, EVENTS, TASKS

_NEWEST = 2000  # events that are looked through for hosts that were refused


class Preparation(Value):
    """A task that made its environment ready, or could not."""

    task: str
    number: int = Field(description="The event's number; `/tasks/TASK/outputs/NUMBER` is the log, where there is one.")
    at: datetime
    ok: bool
    reused: bool = Field(description="Whether the layers were there already.")
    seconds: float | None
    text: str = Field(description="What happened, then the remedy; empty where nothing went wrong.")
    line: str | None = Field(description="The script's line that failed.")
    log: Output | None


class Refusal(Value):
    """A host that something asked for and was not let through to."""

    host: str
    port: int
    reason: str
    count: int
    last: datetime
    task: str = Field(description="The last task that asked.")
    command: str | None = Field(description="What asked last, in its own words.")
    remedy: str | None = Field(description="The command that would allow it.")


def preparations(connection: Connection, repository: str, limit: int) -> list[Preparation]:
    """How the environment was made ready, the newest first."""
    query = _told(("environment-prepared", "environment-failed"), repository)
    rows = connection.execute(query.order_by(EVENTS.c.position.desc()).limit(limit))
    return [_preparation(recorded_of(row), row.task) for row in rows]


def refusals(connection: Connection, repository: str, limit: int) -> list[Refusal]:
    """The hosts that were refused and not let through since, the newest first."""
    query = _told(("egress-decided",), repository).order_by(EVENTS.c.position.desc()).limit(_NEWEST)
    found: dict[tuple[str, int], Refusal] = {}
    allowed: set[tuple[str, int]] = set()
    for row in connection.execute(query):
        event = recorded_of(row).event
        assert isinstance(event, EgressDecided)
        key = (event.host, event.port)
        if event.allowed:
            allowed.add(key)
        elif key in found:
            found[key] = found[key].model_copy(update={"count": found[key].count + event.count})
        elif key not in allowed:
            found[key] = Refusal(
                host=event.host,
                port=event.port,
                reason=event.reason,
                count=event.count,
                last=row.at,
                task=row.task,
                command=event.command,
                remedy=event.remedy,
            )
    return list(found.values())[:limit]


def _told(kinds: tuple[str, ...], key: str) -> Select[Any]:
    """Events of these kinds, which `events_told` has in it, of a repository's tasks."""
    task = func.coalesce(ATTEMPTS.c.task, EVENTS.c.log).label("task")
    joined = EVENTS.outerjoin(ATTEMPTS, ATTEMPTS.c.id == EVENTS.c.log)
    joined = joined.join(TASKS, TASKS.c.id == func.coalesce(ATTEMPTS.c.task, EVENTS.c.log))
    return select(EVENTS, task).select_from(joined).where(EVENTS.c.kind.in_(kinds), TASKS.c.repository == key)


def _preparation(recorded: Recorded, task: str) -> Preparation:
    event = recorded.event
    failed = event if isinstance(event, EnvironmentFailed) else None
    done = event if isinstance(event, EnvironmentPrepared) else None
    return Preparation(
        task=task,
        number=recorded.number,
        at=recorded.at,
        ok=done is not None,
        reused=done is not None and done.reused,
        seconds=done.seconds if done else None,
        text=failed.text if failed else "",
        line=failed.line if failed else None,
        log=done.log if done else failed.log if failed else None,
    )
