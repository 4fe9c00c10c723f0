"""What an older version wrote is there after the tables have been brought to this one."""

from pathlib import Path

from sqlalchemy import Connection, text

from pullwright.domain.access import Caller, Role, Scope
from pullwright.domain.task import EngineChoice, RepositoryRef, State, TaskRequest
from pullwright.domain.transcript import Event, Moved, Noticed, to_json
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.store.database import Database
from pullwright.store.record import Record
from pullwright.store.visible import VisibleRecord

REQUEST = TaskRequest(
    prompt="As it was",
    repository=RepositoryRef(location="/srv/tidy", key="tidy-1", name="tidy"),
    base_commit="a" * 40,
    attempts=(EngineChoice(engine="repair"),),
)


def _at_first(connection: Connection) -> None:
    """The tables of the first version, with a task and its log in them."""
    from alembic import command
    from alembic.config import Config

    import pullwright.store.migrations

    config = Config()
    config.set_main_option("script_location", str(Path(pullwright.store.migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")
    moment = now().isoformat(sep=" ")
    for task in ("first", "second"):
        connection.execute(
            text(
                "INSERT INTO tasks (id, created, state, request, cancel_requested) "
                "VALUES (:id, :at, 'queued', :request, false)"
            ),
            {"id": task, "at": moment, "request": REQUEST.model_dump_json(exclude_unset=True)},
        )
        events: list[Event] = [Moved(state=State.PREPARING), Noticed(text="as it was")]
        for number, event in enumerate(events, start=1):
            connection.execute(
                text("INSERT INTO events (log, number, at, kind, body) VALUES (:log, :number, :at, :kind, :body)"),
                {"log": task, "number": number, "at": moment, "kind": event.kind, "body": to_json(event)},
            )


async def test_the_first_version_is_brought_up(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(settings)
    await database.write(_at_first)
    database.close()
    record = await Record.open(settings)
    try:
        assert {task.request.prompt for task in await record.tasks()} == {"As it was"}
        assert [event.event.kind for event in await record.events("first")] == ["moved", "noticed"]
        assert [(news.position, news.task) for news in await record.news(0)] == [
            (1, "first"),
            (2, "first"),
            (3, "second"),
            (4, "second"),
        ]
        assert {news.repository for news in await record.news(0)} == {"/srv/tidy"}
        seen = Caller(name="one", scope=Scope.READ, role=Role.VIEWER, rules=(), repositories=frozenset({"tidy-1"}))
        assert len(await VisibleRecord(record, seen).tasks()) == 2
        await record.append("first", Noticed(text="as it is"))
        assert await record.last_position() == 5
    finally:
        await record.close()
