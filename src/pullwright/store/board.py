"""Tasks at a glance: rows without what is long, counts, the repositories that they are of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row, Select, Text, and_, exists, func, or_, select, type_coerce

from pullwright.domain.receipt import Verdict
from pullwright.domain.task import Mode, Need, PullRequest, RepositoryRef, State, TaskRequest
from pullwright.domain.value import Value
from pullwright.repos.address import known
from pullwright.store.schema import ATTEMPTS, REPOSITORIES, TASKS
from pullwright.store.surface import to_json_text

_TITLE = 200


class Place(Value):
    """Where a page of the board ends: the last row that was shown."""

    needed: bool
    created: datetime
    id: str


class BoardFilter(Value):
    """Which tasks a board is to show; what is left out narrows nothing."""

    states: tuple[State, ...] = ()
    needs: tuple[Need, ...] = ()
    words: str = Field("", description="Something that prompt or repository has in it.")
    repositories: tuple[str, ...] = Field((), description="Keys.")
    engines: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    among: frozenset[str] | None = Field(None, description="The only repositories that may be seen; None: all.")


class AttemptRow(Value):
    """An attempt at a glance."""

    id: str
    ordinal: int
    engine: str
    model: str | None
    state: State
    waiting_for: str | None
    reason: str | None
    verdict: Verdict | None
    files_changed: int
    insertions: int
    deletions: int
    cost: float | None = Field(description="US dollars; null where no price is known.")
    input_tokens: int
    output_tokens: int
    turns: int
    seconds: float = Field(description="Wall time that it has worked until it last came to rest.")
    started: datetime | None = Field(description="Since when it works now; null where it rests.")


class TaskRow(Value):
    """A task at a glance, with everything that a list shows of it."""

    id: str
    title: str = Field(description="The first line of what was asked.")
    by: str | None = Field(description="The user who handed it in; null: whoever has the server's own tokens.")
    state: State
    waiting_for: str | None
    reason: str | None
    needs: Need | None = Field(description="What a person is needed for, if for anything.")
    mode: Mode
    repository: str = Field(description="The repository's key.")
    repository_name: str
    location: str = Field(description="An absolute path, or a URL.")
    base: str | None = Field(description="The ref as the person wrote it; null: the repository's HEAD.")
    created: datetime
    chosen: str | None
    pull_request: PullRequest | None
    attempts: tuple[AttemptRow, ...]


class Counts(Value):
    """How many tasks there are, by what a board can be narrowed to."""

    total: int
    needed: int = Field(description="Tasks that need a person.")
    states: dict[State, int]
    needs: dict[Need, int]
    repositories: dict[str, int] = Field(description="By key.")
    engines: dict[str, int]
    verdicts: dict[Verdict, int] = Field(description="Tasks that have an attempt with it.")


class KnownRepository(Value):
    """A repository that tasks were handed in for."""

    key: str
    name: str
    location: str
    tasks: int
    used: datetime = Field(description="When the last task was handed in.")


_ROW = [column for column in TASKS.c if column.name not in ("answer", "citations")]
_ATTEMPT = [ATTEMPTS.c.task, *(ATTEMPTS.c[name] for name in AttemptRow.model_fields)]


def board(connection: Connection, wanted: BoardFilter, after: Place | None, limit: int) -> list[TaskRow]:
    """The rows that fit: those that need a person first, then the others, each newest first."""
    rows: list[Row[Any]] = []
    for needed in (True, False):
        if len(rows) >= limit or (after is not None and after.needed < needed):
            continue
        page = narrowed(select(*_ROW), wanted)
        page = page.where(TASKS.c.needs.is_not(None) if needed else TASKS.c.needs.is_(None))
        if after is not None and after.needed is needed:
            later = and_(TASKS.c.created == after.created, TASKS.c.id < after.id)
            page = page.where(or_(TASKS.c.created < after.created, later))
        page = page.order_by(TASKS.c.created.desc(), TASKS.c.id.desc()).limit(limit - len(rows))
        rows += connection.execute(page).all()
    return _rows(connection, rows)


def rows_of(connection: Connection, tasks: Sequence[str]) -> list[TaskRow]:
    """The rows of these tasks, as far as there are any."""
    return _rows(connection, connection.execute(select(*_ROW).where(TASKS.c.id.in_(tasks))).all())


def counts(connection: Connection, wanted: BoardFilter) -> Counts:
    """How many tasks fit, by what a board can be narrowed to."""

    def by(column: Any) -> dict[Any, int]:  # noqa: ANN401
        grouped = narrowed(select(column, func.count()), wanted).where(column.is_not(None)).group_by(column)
        return {row[0]: row[1] for row in connection.execute(grouped)}

    def by_attempt(column: Any) -> dict[Any, int]:  # noqa: ANN401
        joined = select(column, func.count(func.distinct(ATTEMPTS.c.task)))
        joined = joined.select_from(ATTEMPTS.join(TASKS, TASKS.c.id == ATTEMPTS.c.task))
        grouped = narrowed(joined, wanted).where(column.is_not(None)).group_by(column)
        return {row[0]: row[1] for row in connection.execute(grouped)}

    states, needs = by(TASKS.c.state), by(TASKS.c.needs)
    return Counts(
        total=sum(states.values()),
        needed=sum(needs.values()),
        states=states,
        needs=needs,
        repositories=by(TASKS.c.repository),
        engines=by_attempt(ATTEMPTS.c.engine),
        verdicts=by_attempt(ATTEMPTS.c.verdict),
    )


def known_repositories(connection: Connection) -> list[KnownRepository]:
    """The repositories that tasks were handed in for, the last used first."""
    last = select(TASKS.c.repository, func.count().label("tasks"), func.max(TASKS.c.created).label("used"))
    grouped = last.group_by(TASKS.c.repository).subquery()
    newest = select(TASKS.c.request, grouped.c.tasks, TASKS.c.created).join(
        grouped, and_(TASKS.c.repository == grouped.c.repository, TASKS.c.created == grouped.c.used)
    )
    found: dict[str, KnownRepository] = {}
    for row in connection.execute(newest.order_by(TASKS.c.created.desc(), TASKS.c.id)):
        reference = RepositoryRef.model_validate(row.request["repository"])
        found.setdefault(
            reference.key,
            KnownRepository(
                key=reference.key, name=reference.name, location=reference.location, tasks=row.tasks, used=row.created
            ),
        )
    return list(found.values())


def repository_of(connection: Connection, key: str) -> RepositoryRef | None:
    """The repository of that key, if a task was ever handed in for it or somebody located it."""
    newest = select(TASKS.c.request).where(TASKS.c.repository == key).order_by(TASKS.c.created.desc()).limit(1)
    request = connection.execute(newest).scalar()
    if request is not None:
        return RepositoryRef.model_validate(request["repository"])
    location = connection.execute(select(REPOSITORIES.c.location).where(REPOSITORIES.c.key == key)).scalar()
    return None if location is None else known(location)


def narrowed(query: Select[Any], wanted: BoardFilter) -> Select[Any]:
    """The query over tasks, with what fits only."""
    if wanted.states:
        query = query.where(TASKS.c.state.in_([state.value for state in wanted.states]))
    if wanted.needs:
        query = query.where(TASKS.c.needs.in_([need.value for need in wanted.needs]))
    if wanted.repositories:
        query = query.where(TASKS.c.repository.in_(wanted.repositories))
    if wanted.among is not None:
        query = query.where(TASKS.c.repository.in_(wanted.among))
    if wanted.words:
        # Prompt and repository are kept as JSON in one column; a quote or a backslash is spelt as there.
        query = query.where(type_coerce(TASKS.c.request, Text).icontains(to_json_text(wanted.words), autoescape=True))
    one = ATTEMPTS.alias()  # of its own, for queries over attempts are narrowed, too
    made = [
        one.c[name].in_(values)
        for name, values in (
            ("engine", wanted.engines),
            ("model", wanted.models),
            ("verdict", [verdict.value for verdict in wanted.verdicts]),
        )
        if values
    ]
    return query.where(exists().where(one.c.task == TASKS.c.id, *made)) if made else query


def _rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[TaskRow]:
    attempts: dict[str, list[AttemptRow]] = {}
    theirs = select(*_ATTEMPT).where(ATTEMPTS.c.task.in_([row.id for row in rows]))
    for one in connection.execute(theirs.order_by(ATTEMPTS.c.task, ATTEMPTS.c.ordinal)):
        known = {name: value for name, value in one._mapping.items() if name != "task"}
        attempts.setdefault(one.task, []).append(AttemptRow.model_validate(known))
    return [_row(row, tuple(attempts.get(row.id, ()))) for row in rows]


def _row(row: Row[Any], attempts: tuple[AttemptRow, ...]) -> TaskRow:
    request = TaskRequest.model_validate(row.request)
    lines = [line.strip() for line in request.prompt.splitlines() if line.strip()]
    return TaskRow(
        id=row.id,
        title=lines[0][:_TITLE] if lines else "",
        by=request.by,
        state=row.state,
        waiting_for=row.waiting_for,
        reason=row.reason,
        needs=row.needs,
        mode=request.mode,
        repository=request.repository.key,
        repository_name=request.repository.name,
        location=request.repository.location,
        base=request.base,
        created=row.created,
        chosen=row.chosen,
        pull_request=row.pull_request,
        attempts=attempts,
    )
