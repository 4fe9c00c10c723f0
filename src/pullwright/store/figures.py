"""What past attempts took: samples to estimate from, sums by day."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Select, case, func, select

from pullwright.domain.task import Mode, State
from pullwright.domain.value import Value
from pullwright.store.schema import ATTEMPTS, TASKS


class Sample(Value):
    """What one attempt took that came to its end by itself."""

    seconds: float
    cost: float | None


class UsageRow(Value):
    """What was handed in on one day for one repository, engine and model, and what it took."""

    day: str = Field(description="YYYY-MM-DD, UTC: the day that the task was handed in.")
    repository: str = Field(description="The repository's key.")
    engine: str
    model: str | None
    tasks: int
    attempts: int
    ready: int = Field(description="Attempts that came to a ready change or an answer.")
    drafts: int = Field(description="Attempts whose change was not shown to be ready.")
    failed: int = Field(description="Attempts that failed without a change.")
    cancelled: int
    cost: float | None = Field(description="US dollars; null where no price is known.")
    input_tokens: int
    output_tokens: int
    seconds: float = Field(description="Wall time that the attempts worked, added up.")


class UsageFilter(Value):
    """Which usage is asked for."""

    since: datetime
    until: datetime
    repositories: tuple[str, ...] = ()
    among: frozenset[str] | None = None


_ENDED = (State.DONE.value, State.FAILED.value)


def samples(
    connection: Connection,
    *,
    mode: Mode,
    repository: str | None,
    engine: str | None,
    model: str | None,
    limit: int,
    among: frozenset[str] | None = None,
) -> list[Sample]:
    """What the newest attempts of that kind took; None stands for any."""
    query: Select[Any] = select(ATTEMPTS.c.seconds, ATTEMPTS.c.cost)
    query = query.select_from(TASKS.join(ATTEMPTS, ATTEMPTS.c.task == TASKS.c.id))
    query = query.where(TASKS.c.mode == mode.value, ATTEMPTS.c.state.in_(_ENDED), ATTEMPTS.c.seconds > 0)
    if repository is not None:
        query = query.where(TASKS.c.repository == repository)
    if among is not None:
        query = query.where(TASKS.c.repository.in_(among))
    if engine is not None:
        query = query.where(ATTEMPTS.c.engine == engine)
        query = query.where(ATTEMPTS.c.model.is_(None) if model is None else ATTEMPTS.c.model == model)
    newest = query.order_by(TASKS.c.created.desc()).limit(limit)
    return [Sample(seconds=row.seconds, cost=row.cost) for row in connection.execute(newest)]


def usage(connection: Connection, wanted: UsageFilter) -> list[UsageRow]:
    """Sums by day, repository, engine and model, the newest day first."""
    day = _day(connection)
    changed, done = ATTEMPTS.c.head.is_not(None), ATTEMPTS.c.state == State.DONE.value
    failed = ATTEMPTS.c.state == State.FAILED.value

    def sum_of(condition: Any) -> Any:  # noqa: ANN401
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    keys = (day.label("day"), TASKS.c.repository, ATTEMPTS.c.engine, ATTEMPTS.c.model)
    query = select(
        *keys,
        func.count(func.distinct(TASKS.c.id)).label("tasks"),
        func.count().label("attempts"),
        sum_of(done).label("ready"),
        sum_of(failed & changed).label("drafts"),
        sum_of(failed & ~changed).label("failed"),
        sum_of(ATTEMPTS.c.state == State.CANCELLED.value).label("cancelled"),
        func.sum(ATTEMPTS.c.cost).label("cost"),
        func.coalesce(func.sum(ATTEMPTS.c.input_tokens), 0).label("input_tokens"),
        func.coalesce(func.sum(ATTEMPTS.c.output_tokens), 0).label("output_tokens"),
        func.coalesce(func.sum(ATTEMPTS.c.seconds), 0.0).label("seconds"),
    )
    query = query.select_from(TASKS.join(ATTEMPTS, ATTEMPTS.c.task == TASKS.c.id))
    query = query.where(TASKS.c.created >= wanted.since, TASKS.c.created < wanted.until)
    if wanted.repositories:
        query = query.where(TASKS.c.repository.in_(wanted.repositories))
    if wanted.among is not None:
        query = query.where(TASKS.c.repository.in_(wanted.among))
    rows = connection.execute(query.group_by(*keys).order_by(day.desc(), TASKS.c.repository, ATTEMPTS.c.engine))
    return [UsageRow.model_validate(dict(row._mapping)) for row in rows]


def _day(connection: Connection) -> Any:  # noqa: ANN401
    """The UTC day of a task's creation as text."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", TASKS.c.created), "YYYY-MM-DD")
    return func.strftime("%Y-%m-%d", TASKS.c.created)
