"""What the API asks of the database besides: news over all logs, pages of tasks, tokens, keys of clients."""

from datetime import datetime

from pydantic import Field
from pydantic_core import to_json
from sqlalchemy import Connection, Text, and_, delete, func, insert, or_, select, type_coerce, update

from pullwright.domain.access import Token
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import Recorded
from pullwright.domain.value import Value
from pullwright.store.people import token_from
from pullwright.store.queries import Among, recorded_of, tasks_of, within
from pullwright.store.schema import ATTEMPTS, EVENTS, REPOSITORIES, SUBMISSIONS, TASKS, TOKENS


class News(Value):
    """An event with its place over all logs, and the task that it is about."""

    position: int
    task: str
    repository: str = Field(description="Where the task's repository is.")
    recorded: Recorded


class Wanted(Value):
    """Which tasks a list is to show."""

    states: tuple[State, ...] = ()
    words: str = Field("", description="Something that prompt or repository has in it.")
    before: tuple[datetime, str] | None = Field(None, description="Creation and id of the last one shown before.")
    limit: int = Field(50, ge=1, le=500)


class Submission(Value):
    """What a client's Idempotency-Key stands for."""

    digest: str
    task: str | None
    fresh: bool


def to_json_text(text: str) -> str:
    """Text as it stands inside a JSON string."""
    return to_json(text).decode()[1:-1]


def news_after(connection: Connection, position: int, limit: int, among: Among = None) -> list[News]:
    """What happened in all logs after a place, in order; an attempt's task is named with it."""
    task = func.coalesce(ATTEMPTS.c.task, EVENTS.c.log).label("task")
    later = (
        select(EVENTS, task, REPOSITORIES.c.location)
        .select_from(EVENTS.outerjoin(ATTEMPTS, ATTEMPTS.c.id == EVENTS.c.log))
        .join(TASKS, TASKS.c.id == task)
        .join(REPOSITORIES, REPOSITORIES.c.key == TASKS.c.repository)
        .where(EVENTS.c.position > position, *within(among))
        .order_by(EVENTS.c.position)
        .limit(limit)
    )
    return [
        News(position=row.position, task=row.task, repository=row.location, recorded=recorded_of(row))
        for row in connection.execute(later)
    ]


def page_of_tasks(connection: Connection, wanted: Wanted, among: Among = None) -> list[Task]:
    """The tasks that fit, with their attempts, newest first."""
    query = select(TASKS).where(*within(among)).order_by(TASKS.c.created.desc(), TASKS.c.id.desc()).limit(wanted.limit)
    if wanted.states:
        query = query.where(TASKS.c.state.in_([state.value for state in wanted.states]))
    if wanted.words:
        # Prompt and repository are kept as JSON in one column; a quote or a backslash is spelt as there.
        query = query.where(type_coerce(TASKS.c.request, Text).icontains(to_json_text(wanted.words), autoescape=True))
    if wanted.before is not None:
        created, last = wanted.before
        query = query.where(or_(TASKS.c.created < created, and_(TASKS.c.created == created, TASKS.c.id < last)))
    return tasks_of(connection, connection.execute(query).all())


def add_token(connection: Connection, token: Token, digest: str) -> None:
    """Write a token down, by the digest of what its holder has."""
    connection.execute(insert(TOKENS).values(token.model_dump() | {"scope": token.scope.value, "digest": digest}))


def token_of(connection: Connection, digest: str) -> Token | None:
    """The token that has this digest and has not been revoked."""
    row = connection.execute(select(TOKENS).where(TOKENS.c.digest == digest, TOKENS.c.revoked.is_(None))).first()
    return None if row is None else token_from(row)


def tokens(connection: Connection) -> list[Token]:
    """All tokens, newest first, revoked ones too."""
    return [token_from(row) for row in connection.execute(select(TOKENS).order_by(TOKENS.c.created.desc()))]


def use_token(connection: Connection, token: str, at: datetime) -> None:
    """Remember when a token was last used."""
    connection.execute(update(TOKENS).where(TOKENS.c.id == token).values(used=at))


def revoke_token(connection: Connection, token: str, at: datetime) -> bool:
    """Make a token worthless; whether there was one to revoke."""
    held = update(TOKENS).where(TOKENS.c.id == token, TOKENS.c.revoked.is_(None)).values(revoked=at)
    return connection.execute(held).rowcount > 0


def submission(connection: Connection, key: str, digest: str) -> Submission:
    """What a client's key has handed in; a new key is taken now, for this order."""
    row = connection.execute(select(SUBMISSIONS).where(SUBMISSIONS.c.key == key).with_for_update()).first()
    if row is None:
        connection.execute(insert(SUBMISSIONS).values(key=key, digest=digest))
        return Submission(digest=digest, task=None, fresh=True)
    return Submission(digest=row.digest, task=row.task, fresh=False)


def keep_submission(connection: Connection, key: str, task: str | None) -> None:
    """Remember the task of a key; None gives the key back."""
    if task is None:
        connection.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.key == key, SUBMISSIONS.c.task.is_(None)))
    else:
        connection.execute(update(SUBMISSIONS).where(SUBMISSIONS.c.key == key).values(task=task))
