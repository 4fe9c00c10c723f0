"""What is asked of the database, each question by its name. All run inside a transaction that the caller holds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, insert, select, update

from pullwright.domain.course import STANDS_STILL
from pullwright.domain.delivery import Delivery
from pullwright.domain.errors import UsageError
from pullwright.domain.forge import FORGE, ForgeEntry
from pullwright.domain.need import TELLING, need_of
from pullwright.domain.policy import EnvironmentPolicy
from pullwright.domain.projection import attempt_after, concerns_attempt, task_after
from pullwright.domain.task import Attempt, PullRequest, RepositoryRef, State, Task
from pullwright.domain.transcript import Event, Moved, PauseRequested, Recorded, TurnEnded, from_json, to_json
from pullwright.domain.value import Value, task_of
from pullwright.domain.webhook import TOLD, Call
from pullwright.store.schema import (
    ATTEMPTS,
    DELIVERIES,
    ENVIRONMENT_POLICIES,
    ENVIRONMENTS,
    EVENTS,
    FORGES,
    LOCAL_COMMENTS,
    LOCAL_PULL_REQUESTS,
    REPOSITORIES,
    SECRETS,
    TASKS,
    WEBHOOK_CALLS,
)

Among = frozenset[str] | None
"""Keys of repositories; None: whichever."""

_BEGINNING = 3  # characters of an id
_FINAL = [state.value for state in State if state.final]


class PreparedEnvironment(Value):
    """A layer that an environment's setup has made."""

    repository: str = Field(description="The repository's key.")
    key: str = Field(description="The environment's key.")
    layer: str
    log: str | None = Field(description="Blob id of what the setup printed.")
    prepared: datetime


class Underway(NamedTuple):
    """An unfinished task, as a worker looks at it."""

    task: str
    cancel_requested: bool
    attempts: int


def add_task(connection: Connection, task: Task) -> Task:
    """Write a new task down; where its id is there already, leave it and give what is."""
    if connection.execute(select(TASKS.c.id).where(TASKS.c.id == task.id)).first() is None:
        connection.execute(insert(TASKS).values(_columns(TASKS, task)))
        know_repository(connection, task.request.repository)
    return _task(connection, task.id)


def know_repository(connection: Connection, repository: RepositoryRef) -> None:
    """Remember where the repository of a key is."""
    known = select(REPOSITORIES.c.key).where(REPOSITORIES.c.key == repository.key)
    if connection.execute(known).first() is None:
        connection.execute(insert(REPOSITORIES).values(key=repository.key, location=repository.location))


def add_attempt(connection: Connection, attempt: Attempt) -> Attempt:
    """Write a new attempt down; where its id is there already, leave it and give what is."""
    row = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == attempt.id)).first()
    if row is None:
        connection.execute(insert(ATTEMPTS).values(_columns(ATTEMPTS, attempt)))
        return attempt
    return _attempt_of(row)


def find_task(connection: Connection, prefix: str, among: Among = None) -> Task:
    """The task of that id, or the only one whose id begins so: three characters at least. Raises `UsageError`."""
    ids = list(connection.execute(select(TASKS.c.id).where(TASKS.c.id == prefix.lower(), *within(among))).scalars())
    if not ids and len(prefix) >= _BEGINNING:  # whoever mistypes more than that means no task
        begins = select(TASKS.c.id).where(TASKS.c.id.startswith(prefix.lower(), autoescape=True), *within(among))
        ids = list(connection.execute(begins.order_by(TASKS.c.id).limit(5)).scalars())
    if not ids:
        raise UsageError(f"There is no task {prefix or '(empty)'}; `pullwright task list` shows them.")
    if len(ids) > 1:
        raise UsageError(f"{prefix} begins more than one task's id: {', '.join(ids)}. Give more of it.")
    return _task(connection, ids[0])


def find_attempt(connection: Connection, attempt_id: str) -> Attempt:
    """The attempt of that id. Raises `UsageError`."""
    row = connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == attempt_id)).first()
    if row is None:
        raise UsageError(f"There is no attempt {attempt_id}; `pullwright task show ID` shows a task's.")
    return _attempt_of(row)


def within(among: Among) -> list[ColumnElement[bool]]:
    """What a query asks besides: only tasks of these repositories, by their keys."""
    return [] if among is None else [TASKS.c.repository.in_(among)]


def latest_tasks(connection: Connection, limit: int, among: Among = None) -> list[Task]:
    """The newest tasks with their attempts, newest first."""
    newest = select(TASKS).where(*within(among)).order_by(TASKS.c.created.desc(), TASKS.c.id.desc()).limit(limit)
    return tasks_of(connection, connection.execute(newest).all())


def tasks_of(connection: Connection, rows: Sequence[Row[Any]]) -> list[Task]:
    """The tasks of these rows, with their attempts."""
    attempts = _attempts_of_tasks(connection, [row.id for row in rows])
    return [_task_of(row, attempts.get(row.id, [])) for row in rows]


def unfinished_tasks(connection: Connection) -> list[str]:
    """The ids of tasks that are not in a final state, oldest first."""
    waiting = select(TASKS.c.id).where(TASKS.c.state.not_in(_FINAL)).order_by(TASKS.c.created, TASKS.c.id)
    return list(connection.execute(waiting).scalars())


def tasks_under_way(connection: Connection) -> list[Underway]:
    """What a worker has to know of every task that is not in a final state, oldest first."""
    attempts = func.count(ATTEMPTS.c.id)
    unfinished = (
        select(TASKS.c.id, TASKS.c.cancel_requested, attempts)
        .select_from(TASKS.outerjoin(ATTEMPTS, ATTEMPTS.c.task == TASKS.c.id))
        .where(TASKS.c.state.not_in(_FINAL))
        .group_by(TASKS.c.id, TASKS.c.cancel_requested, TASKS.c.created)
        .order_by(TASKS.c.created, TASKS.c.id)
    )
    return [Underway(*row) for row in connection.execute(unfinished)]


def anything_to_do(connection: Connection) -> bool:
    """Whether a task is unfinished and does not merely wait for a person."""
    unfinished = select(TASKS.c.id, TASKS.c.state, TASKS.c.cancel_requested).where(TASKS.c.state.not_in(_FINAL))
    rows = connection.execute(unfinished).all()
    if any(row.state != State.WAITING or row.cancel_requested for row in rows):
        return True
    here = [row.id for row in rows]
    columns = (ATTEMPTS.c.id, ATTEMPTS.c.task, ATTEMPTS.c.state, ATTEMPTS.c.waiting_for)
    at_work = select(*columns).where(ATTEMPTS.c.task.in_(here), ATTEMPTS.c.state.not_in(_FINAL))
    attempts = connection.execute(at_work).all()
    # A task that waits and has no attempt at work waits for its forge.
    if set(here) - {row.task for row in attempts} or any(row.state != State.WAITING for row in attempts):
        return True
    # Who keeps a turn that stands still keeps its machine.
    return not all(row.waiting_for != STANDS_STILL and _held_by_person(connection, row.id) for row in attempts)


def _held_by_person(connection: Connection, log: str) -> bool:
    """Whether the last that happened to a waiting attempt leaves the next word to a person."""
    if isinstance(newest(connection, log, "pause-requested", "resume-requested"), PauseRequested):
        return True
    last = newest(connection, log, "turn-ended", "person-said", "rewound")
    return isinstance(last, TurnEnded) and last.status == "waiting" and last.until is None


def newest(connection: Connection, log: str, *kinds: str) -> Event | None:
    """The last event of a log that is of one of these kinds."""
    those = select(EVENTS.c.body).where(EVENTS.c.log == log, EVENTS.c.kind.in_(kinds))
    body = connection.execute(those.order_by(EVENTS.c.number.desc()).limit(1)).scalar()
    return None if body is None else from_json(body)


def last_numbers(connection: Connection, logs: Sequence[str]) -> dict[str, int]:
    """The number of the last event of each of these logs."""
    last = select(EVENTS.c.log, func.max(EVENTS.c.number).label("last")).where(EVENTS.c.log.in_(logs))
    last = last.group_by(EVENTS.c.log)
    return {row.log: row.last for row in connection.execute(last)}


def append_event(connection: Connection, log: str, event: Event, at: datetime, *, told: bool = False) -> int:
    """Write the next event of a log down, and what it makes of the task or attempt. Gives its number.

    `told`: a webhook is to learn of it where it moves a task to where that is told.

    Raises `IllegalMove` where the event moves to a state that cannot follow, `UsageError` where there is no such log.
    """
    # The row's lock makes writers of one log wait for each other on Postgres; SQLite has one writer anyway.
    concerned = concerns_attempt(event)
    columns = ATTEMPTS if concerned else ATTEMPTS.c.id
    row = connection.execute(select(columns).where(ATTEMPTS.c.id == log).with_for_update()).first()
    of_attempt = row is not None
    attempt = _attempt_of(row) if row is not None and concerned else None
    if row is None:
        row = connection.execute(select(TASKS).where(TASKS.c.id == log).with_for_update()).first()
    if row is None:
        raise UsageError(f"There is no task or attempt {log} to write about.")
    last = connection.execute(select(func.max(EVENTS.c.number)).where(EVENTS.c.log == log)).scalar()
    recorded = Recorded(log=log, number=(last or 0) + 1, at=at, event=event)
    position = _next_position(connection)
    connection.execute(
        insert(EVENTS).values(
            log=log, number=recorded.number, at=at, kind=event.kind, body=to_json(event), position=position
        )
    )
    if attempt is not None:
        _save_difference(connection, ATTEMPTS, attempt, attempt_after(attempt, recorded))
    elif not of_attempt:
        task = _task_of(row, [])
        _save_difference(connection, TASKS, task, task_after(task, recorded))
        if told and isinstance(event, Moved) and event.state in TOLD:
            _add_call(connection, recorded, event)
    if event.kind in TELLING:
        _save_need(connection, task_of(log) if of_attempt else log)
    return recorded.number


def _save_need(connection: Connection, task_id: str) -> None:
    """What a task needs a person for, by what its log and its attempts' logs have come to."""
    attempts = select(ATTEMPTS.c.id, ATTEMPTS.c.state).where(ATTEMPTS.c.task == task_id)
    states = {row.id: State(row.state) for row in connection.execute(attempts)}
    told = select(EVENTS).where(EVENTS.c.log.in_([task_id, *states]), EVENTS.c.kind.in_(TELLING))
    events = [recorded_of(row) for row in connection.execute(told.order_by(EVENTS.c.position))]
    task = _task_of(connection.execute(select(TASKS).where(TASKS.c.id == task_id)).one(), [])
    need = need_of(task, states, events)
    if need is not task.needs:
        connection.execute(update(TASKS).where(TASKS.c.id == task_id).values(needs=need and need.value))


def _add_call(connection: Connection, recorded: Recorded, moved: Moved) -> None:
    call = Call(
        task=recorded.log,
        number=recorded.number,
        state=moved.state,
        reason=moved.reason,
        waiting_for=moved.waiting_for,
        at=recorded.at,
        due=recorded.at,
    )
    connection.execute(insert(WEBHOOK_CALLS).values(_columns(WEBHOOK_CALLS, call)))


def due_calls(connection: Connection, at: datetime) -> list[Call]:
    """The webhook's calls that are due, oldest first; some of them where there are many."""
    due = select(WEBHOOK_CALLS).where(WEBHOOK_CALLS.c.due <= at).order_by(WEBHOOK_CALLS.c.at).limit(100)
    return [Call.model_validate(dict(row._mapping)) for row in connection.execute(due)]


def save_call(connection: Connection, call: Call) -> None:
    """When a call is made next."""
    _upsert(connection, WEBHOOK_CALLS, call, ("task", "number"))


def end_call(connection: Connection, call: Call) -> None:
    """A call needs making no more."""
    table = WEBHOOK_CALLS
    connection.execute(delete(table).where(table.c.task == call.task, table.c.number == call.number))


_POSITION_LOCK = 0x706F7369  # any number, the same everywhere: the key of Postgres's advisory lock


def last_position(connection: Connection) -> int:
    """The place of the newest event over all logs; 0 where there is none."""
    return connection.execute(select(func.max(EVENTS.c.position))).scalar() or 0


def _next_position(connection: Connection) -> int:
    """The next place over all logs. Whoever reads up to one has seen all before it: writers take theirs in turn."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_POSITION_LOCK)))
    return last_position(connection) + 1


def events_of(connection: Connection, log: str, after: int) -> list[Recorded]:
    """The events of one log after a number, in order."""
    later = select(EVENTS).where(EVENTS.c.log == log, EVENTS.c.number > after).order_by(EVENTS.c.number)
    return [recorded_of(row) for row in connection.execute(later)]


def event_of(connection: Connection, log: str, number: int) -> Recorded | None:
    """The event of that number of a log, if there is one."""
    row = connection.execute(select(EVENTS).where(EVENTS.c.log == log, EVENTS.c.number == number)).first()
    return None if row is None else recorded_of(row)


def events_of_task(connection: Connection, task: str, seen: Mapping[str, int]) -> list[Recorded]:
    """The events of a task's log and of its attempts' that come after those seen, oldest first."""
    attempts = select(ATTEMPTS.c.id).where(ATTEMPTS.c.task == task)
    logs = [task, *connection.execute(attempts).scalars()]
    last = select(EVENTS.c.log, func.max(EVENTS.c.number)).where(EVENTS.c.log.in_(logs)).group_by(EVENTS.c.log)
    behind = [log for log, number in connection.execute(last) if number > seen.get(log, 0)]
    new = [recorded for log in behind for recorded in events_of(connection, log, seen.get(log, 0))]
    return sorted(new, key=lambda recorded: (recorded.at, recorded.log != task, recorded.log, recorded.number))


def find_environment(connection: Connection, repository: str, key: str) -> PreparedEnvironment | None:
    """The prepared layer of an environment of a repository."""
    where = (ENVIRONMENTS.c.repository == repository, ENVIRONMENTS.c.key == key)
    row = connection.execute(select(ENVIRONMENTS).where(*where)).first()
    return None if row is None else PreparedEnvironment.model_validate(dict(row._mapping))


def newest_layers(connection: Connection, repository: str, prefix: str, limit: int) -> list[PreparedEnvironment]:
    """The repository's newest layers whose key begins so."""
    rows = connection.execute(
        select(ENVIRONMENTS)
        .where(ENVIRONMENTS.c.repository == repository, ENVIRONMENTS.c.key.startswith(prefix, autoescape=True))
        .order_by(ENVIRONMENTS.c.prepared.desc())
        .limit(limit)
    )
    return [PreparedEnvironment.model_validate(dict(row._mapping)) for row in rows]


def prepared_environments(connection: Connection) -> list[PreparedEnvironment]:
    """All prepared layers, newest first."""
    rows = connection.execute(select(ENVIRONMENTS).order_by(ENVIRONMENTS.c.prepared.desc(), ENVIRONMENTS.c.key))
    return [PreparedEnvironment.model_validate(dict(row._mapping)) for row in rows]


def save_environment(connection: Connection, environment: PreparedEnvironment) -> None:
    """Remember a prepared layer, in place of an older one of the same key."""
    _upsert(connection, ENVIRONMENTS, environment, ("repository", "key"))


def forget_environment(connection: Connection, repository: str, key: str, layer: str) -> None:
    """Forget a prepared environment, unless it has been prepared anew."""
    table = ENVIRONMENTS
    where = (table.c.repository == repository, table.c.key == key, table.c.layer == layer)
    connection.execute(delete(table).where(*where))


def preparing_besides(connection: Connection, repository: str) -> bool:
    """Whether a task of another repository is being prepared."""
    others = (TASKS.c.state == State.PREPARING.value, TASKS.c.repository != repository)
    return connection.execute(select(TASKS.c.id).where(*others).limit(1)).first() is not None


def repositories_under_way(connection: Connection) -> dict[str, datetime]:
    """The repositories of unfinished tasks, by key, each with the moment that its oldest one was handed in."""
    unfinished = select(TASKS.c.repository, TASKS.c.created).where(TASKS.c.state.not_in(_FINAL))
    found: dict[str, datetime] = {}
    for key, created in connection.execute(unfinished):
        found[key] = min(created, found.get(key, created))
    return found


def find_policy(connection: Connection, repository: str) -> EnvironmentPolicy:
    """What has been decided about a repository's environment."""
    table = ENVIRONMENT_POLICIES
    row = connection.execute(select(table.c.policy).where(table.c.repository == repository).with_for_update()).first()
    return EnvironmentPolicy() if row is None else EnvironmentPolicy.model_validate(row.policy)


def save_policy(connection: Connection, repository: str, policy: EnvironmentPolicy, at: datetime) -> None:
    """Remember it, in place of what was decided before."""
    table = ENVIRONMENT_POLICIES
    values = {"repository": repository, "policy": policy.model_dump(mode="json"), "changed": at}
    if connection.execute(update(table).where(table.c.repository == repository).values(values)).rowcount == 0:
        connection.execute(insert(table).values(values))


def find_secret(connection: Connection, scope: str, name: str) -> str | None:
    """A secret as it is kept: sealed."""
    where = (SECRETS.c.scope == scope, SECRETS.c.name == name)
    return connection.execute(select(SECRETS.c.sealed).where(*where)).scalar()


def save_secret(connection: Connection, scope: str, name: str, sealed: str, at: datetime) -> None:
    """Keep a sealed secret, in place of an older one of that name."""
    where = (SECRETS.c.scope == scope, SECRETS.c.name == name)
    values = {"scope": scope, "name": name, "sealed": sealed, "changed": at}
    if connection.execute(update(SECRETS).where(*where).values(values)).rowcount == 0:
        connection.execute(insert(SECRETS).values(values))


def secrets_of(connection: Connection, scope: str) -> list[tuple[str, str, datetime]]:
    """The names of a scope's secrets, each as it is kept and since when."""
    found = select(SECRETS.c.name, SECRETS.c.sealed, SECRETS.c.changed).where(SECRETS.c.scope == scope)
    return [(row.name, row.sealed, row.changed) for row in connection.execute(found.order_by(SECRETS.c.name))]


def repository_of(connection: Connection, log: str) -> str | None:
    """The key of the repository that a task's or an attempt's log is about."""
    task = select(ATTEMPTS.c.task).where(ATTEMPTS.c.id == log).scalar_subquery()
    return connection.execute(select(TASKS.c.repository).where(TASKS.c.id.in_([log, task]))).scalar()


def drop_secret(connection: Connection, scope: str, name: str) -> bool:
    """Forget a secret; whether there was one."""
    return connection.execute(delete(SECRETS).where(SECRETS.c.scope == scope, SECRETS.c.name == name)).rowcount > 0


def find_delivery(connection: Connection, task: str) -> Delivery | None:
    """The task's entry in the outbox."""
    row = connection.execute(select(DELIVERIES).where(DELIVERIES.c.task == task)).first()
    return None if row is None else Delivery.model_validate(dict(row._mapping) | {"receipt": row.receipt or ""})


def save_delivery(connection: Connection, delivery: Delivery) -> None:
    """Put an entry in the outbox, in place of the task's earlier one."""
    _upsert(connection, DELIVERIES, delivery, ("task",))


def find_local_pull_request(connection: Connection, repository: str, branch: str) -> PullRequest | None:
    """The local forge's pull request of a branch."""
    row = connection.execute(_local(repository, branch)).first()
    return None if row is None else _pull_request_of(row)


def save_local_pull_request(
    connection: Connection, repository: str, pull_request: PullRequest, title: str, body: str
) -> PullRequest:
    """Remember a local pull request under its branch; a new branch gets the repository's next number."""
    table = LOCAL_PULL_REQUESTS
    known = connection.execute(_local(repository, pull_request.branch).with_for_update()).first()
    if known is None:
        last = connection.execute(select(func.max(table.c.number)).where(table.c.repository == repository)).scalar()
        pull_request = pull_request.model_copy(update={"number": (last or 0) + 1})
        values = pull_request.model_dump(mode="json") | {"title": title, "body": body, "repository": repository}
        connection.execute(insert(table).values(values))
        return pull_request
    pull_request = pull_request.model_copy(update={"number": known.number})
    values = pull_request.model_dump(mode="json") | {"title": title, "body": body}
    connection.execute(
        update(table).where(table.c.repository == repository, table.c.number == known.number).values(values)
    )
    return pull_request


def find_local_pull_request_by_number(
    connection: Connection, repository: str, number: int
) -> tuple[PullRequest, str] | None:
    """The local forge's pull request of a number, and its state."""
    table = LOCAL_PULL_REQUESTS
    row = connection.execute(select(table).where(table.c.repository == repository, table.c.number == number)).first()
    return None if row is None else (_pull_request_of(row), row.state)


def open_local_pull_requests(connection: Connection, repository: str, most: int) -> list[tuple[PullRequest, str]]:
    """The local forge's open pull requests, the newest first, each with its title."""
    table = LOCAL_PULL_REQUESTS
    found = select(table).where(table.c.repository == repository, table.c.state == "open")
    rows = connection.execute(found.order_by(table.c.number.desc()).limit(most))
    return [(_pull_request_of(row), row.title) for row in rows]


def close_local_pull_request(connection: Connection, repository: str, number: int) -> None:
    """Remember that a local pull request was closed."""
    table = LOCAL_PULL_REQUESTS
    connection.execute(
        update(table).where(table.c.repository == repository, table.c.number == number).values(state="closed")
    )


def save_local_comment(connection: Connection, repository: str, number: int, marker: str, body: str) -> None:
    """Remember a comment on a local pull request, in place of the one with its marker."""
    table, key = LOCAL_COMMENTS, {"repository": repository, "number": number, "marker": marker}
    where = [table.c[name] == value for name, value in key.items()]
    if connection.execute(update(table).where(*where).values(body=body)).rowcount == 0:
        connection.execute(insert(table).values(**key, body=body))


def local_comments(connection: Connection, repository: str, number: int) -> list[str]:
    """The comments on a local pull request."""
    table = LOCAL_COMMENTS
    found = select(table.c.body).where(table.c.repository == repository, table.c.number == number)
    return list(connection.execute(found.order_by(table.c.marker)).scalars())


def save_forge(connection: Connection, entry: ForgeEntry) -> None:
    """Remember a forge, in place of an older entry of its host."""
    values = {"entry": entry.model_dump(mode="json")}
    if connection.execute(update(FORGES).where(FORGES.c.host == entry.host).values(values)).rowcount == 0:
        connection.execute(insert(FORGES).values(host=entry.host, **values))


def remove_forge(connection: Connection, host: str) -> bool:
    """Forget a forge; whether there was one."""
    return connection.execute(delete(FORGES).where(FORGES.c.host == host)).rowcount > 0


def known_forges(connection: Connection) -> list[ForgeEntry]:
    """Every forge that was added, by host."""
    rows = connection.execute(select(FORGES.c.entry).order_by(FORGES.c.host)).scalars()
    return [FORGE.validate_python(entry) for entry in rows]


def _local(repository: str, branch: str) -> Any:  # noqa: ANN401
    table = LOCAL_PULL_REQUESTS
    return select(table).where(table.c.repository == repository, table.c.branch == branch)


def _task(connection: Connection, task_id: str) -> Task:
    row = connection.execute(select(TASKS).where(TASKS.c.id == task_id)).one()
    return _task_of(row, _attempts_of_tasks(connection, [task_id]).get(task_id, []))


def _attempts_of_tasks(connection: Connection, tasks: Sequence[str]) -> dict[str, list[Attempt]]:
    found: dict[str, list[Attempt]] = {}
    theirs = select(ATTEMPTS).where(ATTEMPTS.c.task.in_(tasks)).order_by(ATTEMPTS.c.task, ATTEMPTS.c.ordinal)
    for row in connection.execute(theirs):
        found.setdefault(row.task, []).append(_attempt_of(row))
    return found


def _task_of(row: Row[Any], attempts: Sequence[Attempt]) -> Task:
    known = {name: value for name, value in row._mapping.items() if name in Task.model_fields}
    return Task.model_validate(known | {"attempts": tuple(attempts)})


def _attempt_of(row: Row[Any]) -> Attempt:
    return Attempt.model_validate({name: row._mapping[name] for name in Attempt.model_fields})


def recorded_of(row: Row[Any]) -> Recorded:
    """The event of a row."""
    return Recorded(log=row.log, number=row.number, at=row.at, event=from_json(row.body))


def _pull_request_of(row: Row[Any]) -> PullRequest:
    return PullRequest.model_validate({name: row._mapping[name] for name in PullRequest.model_fields})


def _columns(table: Table, value: Value) -> dict[str, Any]:
    """A value's fields as the table's columns take them; fields without a column stay out."""
    return {column.name: _plain(getattr(value, column.name)) for column in table.columns}


def _plain(field: Any) -> Any:  # noqa: ANN401
    return field.value if isinstance(field, StrEnum) else field


def _save_difference(connection: Connection, table: Table, old: Value, new: Value) -> None:
    """Only what an event changed is written: a receipt may be large and the row is touched often."""
    before, after = _columns(table, old), _columns(table, new)
    changed = {name: after[name] for name in after if after[name] != before[name]}
    if changed:
        connection.execute(update(table).where(table.c.id == before["id"]).values(changed))


def _upsert(connection: Connection, table: Table, value: Value, key: tuple[str, ...]) -> None:
    columns = _columns(table, value)
    where = [table.c[name] == columns[name] for name in key]
    if connection.execute(update(table).where(*where).values(columns)).rowcount == 0:
        connection.execute(insert(table).values(columns))
