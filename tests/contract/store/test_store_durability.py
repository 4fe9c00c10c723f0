"""What the record does when the process, the disk or the schema is not as one would wish."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from pullwright.domain.citation import Citation
from pullwright.domain.errors import DatabaseUnavailable, DataDirectoryError, DiskFull, PullwrightError, UsageError
from pullwright.domain.task import EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import Answered, Moved, Noticed
from pullwright.settings import Settings
from pullwright.store import schema
from pullwright.store.blobs import Blobs
from pullwright.store.database import Database
from pullwright.store.lock import WorkerLock
from pullwright.store.record import Record

MakeTask = Callable[..., Task]

# What a child process does: open the record and write, saying the number of each event once it is answered for.
WRITER = """
import asyncio, sys
from pathlib import Path
from pullwright.domain.task import State, EngineChoice, RepositoryRef, Task, TaskRequest
from pullwright.domain.transcript import Noticed
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.store.record import Record

async def main(home, url, task_id, count):
    record = await Record.open(Settings(home=Path(home), database_url=url or None))
    request = TaskRequest(
        prompt="x",
        repository=RepositoryRef(location="/srv/tidy", key="tidy-1234", name="tidy"),
        base_commit="a" * 40,
        attempts=(EngineChoice(engine="repair"),),
    )
    await record.submit(Task(id=task_id, request=request, created=now()))
    for _ in range(int(count)):
        blob = await record.keep(b"output %d" % _)
        print(await record.append(task_id, Noticed(text=blob)), flush=True)
    await record.close()

asyncio.run(main(*sys.argv[1:]))
"""


def start_writer(settings: Settings, task_id: str, count: int) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", WRITER, str(settings.home), settings.database_url or "", task_id, str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


async def test_a_killed_writer_loses_nothing_that_was_answered_for(settings: Settings) -> None:
    writer = start_writer(settings, "killed", 100_000)
    assert writer.stdout is not None
    answered = [int(writer.stdout.readline()) for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    answered += [int(line) for line in writer.stdout.read().splitlines() if line]
    writer.wait(timeout=30)
    writer.stdout.close()
    record = await Record.open(settings)
    try:
        events = await record.events("killed")
        assert [recorded.number for recorded in events] == list(range(1, len(events) + 1))
        assert len(events) >= answered[-1]
        for number, recorded in enumerate(events):
            assert isinstance(recorded.event, Noticed)
            assert await record.blob(recorded.event.text) == b"output %d" % number
        assert await record.append("killed", Noticed(text="on it goes")) == len(events) + 1
    finally:
        await record.close()


async def test_processes_that_open_a_new_record_at_once_share_it(settings: Settings) -> None:
    writers = [start_writer(settings, f"task-{n}", 3) for n in range(4)]
    for writer in writers:
        output, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        assert output.split() == ["1", "2", "3"]
    record = await Record.open(settings)
    try:
        assert len(await record.tasks()) == 4
    finally:
        await record.close()


async def test_the_migrated_tables_are_those_of_the_schema(settings: Settings) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    await (await Record.open(settings)).close()
    database = Database(settings)
    try:
        with database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, schema.METADATA) == []
            assert context.get_current_revision() == schema.HEAD
    finally:
        database.close()
    migrations = Path(schema.__file__).parent / "migrations"
    assert ScriptDirectory(str(migrations)).get_heads() == [schema.HEAD]


async def test_tasks_from_before_answers_named_places_are_read(settings: Settings) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    request = TaskRequest(
        prompt="Why?",
        repository=RepositoryRef(location="/somewhere", key="somewhere-0", name="somewhere"),
        base_commit="0" * 40,
        attempts=(EngineChoice(engine="native"),),
    )
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings)

    def as_it_was(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        values = {"id": "old", "created": "2026-01-01 00:00:00+00:00", "request": request.model_dump_json()}
        connection.execute(
            text(
                "INSERT INTO tasks (id, created, state, request, cancel_requested) "
                "VALUES (:id, :created, 'queued', :request, false)"
            ),
            values,
        )

    await database.write(as_it_was)
    database.close()
    record = await Record.open(settings)
    try:
        assert (await record.task("old")).citations == ()
        places = (Citation(path="a.py", first=1, last=2, problem="the file has 1 lines"),)
        await record.append("old", Answered(text="a.py:1-2 (unverified)", citations=places))
        assert (await record.task("old")).citations == places
    finally:
        await record.close()


async def test_a_record_of_a_newer_version_is_left_alone(settings: Settings) -> None:
    await (await Record.open(settings)).close()
    database = Database(settings)

    def upgrade(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.write(upgrade)
    database.close()
    with pytest.raises(DataDirectoryError, match=rf"newer version.*9999.*{schema.HEAD}.*PULLWRIGHT_HOME"):
        await Record.open(settings)


async def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere")):
        with pytest.raises(DataDirectoryError, match="PULLWRIGHT_HOME"):
            await Record.open(Settings(home=home))


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
async def test_a_home_that_is_not_writable_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    with pytest.raises(DataDirectoryError, match="writable"):
        await Record.open(Settings(home=home))


async def test_a_record_that_turns_read_only_is_told(sqlite_settings: Settings, make_task: MakeTask) -> None:
    record = await Record.open(sqlite_settings)
    try:
        event.listen(record._database.engine, "begin", lambda c: c.exec_driver_sql("PRAGMA query_only = ON"))
        with pytest.raises(DataDirectoryError, match="cannot be written"):
            await record.submit(make_task())
    finally:
        await record.close()


async def test_a_damaged_record_is_told(sqlite_settings: Settings) -> None:
    sqlite_settings.home.mkdir()
    (sqlite_settings.home / "pullwright.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DataDirectoryError, match="damaged"):
        await Record.open(sqlite_settings)


async def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    url = f"postgresql://somebody:secret@/nowhere?host={tmp_path}"
    with pytest.raises(DatabaseUnavailable, match="PULLWRIGHT_DATABASE_URL") as caught:
        await Record.open(Settings(home=tmp_path / "home", database_url=url))
    assert "secret" not in str(caught.value)


async def test_a_full_disk_leaves_nothing_half_written(sqlite_settings: Settings, make_task: MakeTask) -> None:
    record = await Record.open(sqlite_settings)
    engine = record._database.engine
    try:
        task = await record.submit(make_task())
        await record.append(task.id, Moved(state=State.PREPARING))

        # SQLite's own limit gives the error of a full disk at the place where a full disk gives it.
        def limit(connection: Any, _: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        event.listen(engine, "connect", limit)
        engine.dispose()

        async def fill() -> None:
            for _ in range(50):
                await record.append(task.id, Moved(state=State.RUNNING, reason="x" * 10_000))

        with pytest.raises(DiskFull, match="Free some space"):
            await fill()
        events = await record.events(task.id)
        stored = await record.task(task.id)
        last = events[-1].event
        assert isinstance(last, Moved)
        assert (stored.state, stored.reason) == (last.state, last.reason)
        event.remove(engine, "connect", limit)
        engine.dispose()
        assert await record.append(task.id, Noticed(text="room again")) == len(events) + 1
    finally:
        await record.close()


# On a file system of 1 MiB: blobs and events until there is no room, then the same again with room.
FULL = """
import asyncio, sys
from pathlib import Path
from pullwright.domain.errors import DiskFull
from pullwright.settings import Settings
from pullwright.store.record import Record

async def main(home):
    record = await Record.open(Settings(home=Path(home)))
    kept = []
    try:
        while True:
            kept.append(await record.keep(b"%d" % len(kept) + b"x" * 50_000))
    except DiskFull:
        pass
    left = [path.name for path in Path(home, "blobs").rglob("*") if path.is_file() and path.name.startswith(".")]
    assert kept and not left, (kept, left)
    await record.blob(kept[-1])
    await record.close()
    print("told", len(kept))

asyncio.run(main(sys.argv[1]))
"""


def test_a_full_disk_keeps_no_half_of_an_output(tmp_path: Path) -> None:
    inside = f'mount -t tmpfs -o size=1m none {tmp_path} && exec {sys.executable} -c "$FULL" {tmp_path}/home'
    argv = ["unshare", "-m", "sh", "-c", inside] if os.geteuid() == 0 else ["unshare", "-rm", "sh", "-c", inside]
    if shutil.which("unshare") is None or subprocess.run([*argv[:2], "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace of one's own can be had here")
    done = subprocess.run(argv, env=os.environ | {"FULL": FULL}, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("told"), done.stderr


async def test_nobody_else_reads_the_record(sqlite_settings: Settings, make_task: MakeTask) -> None:
    record = await Record.open(sqlite_settings)
    try:
        await record.submit(make_task())
        await record.keep(b"secret")
        home = sqlite_settings.home
        for path in home.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert stat.S_IMODE(home.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
    finally:
        await record.close()


def test_a_blob_is_what_its_name_says(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.keep(b"data")
    assert blobs.keep(b"data") == name
    assert blobs.load(name) == b"data"
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    file.write_bytes(b"other")
    with pytest.raises(DataDirectoryError, match="damaged"):
        blobs.load(name)
    file.unlink()
    with pytest.raises(DataDirectoryError, match="not in"):
        blobs.load(name)
    for wrong in ("../../etc/passwd", "", "a" * 63):
        with pytest.raises(UsageError):
            blobs.load(wrong)


async def test_a_record_locked_for_too_long_is_told(sqlite_settings: Settings, make_task: MakeTask) -> None:
    record = await Record.open(sqlite_settings)
    holder = sqlite3.connect(sqlite_settings.home / "pullwright.sqlite", isolation_level=None)
    try:
        event.listen(record._database.engine, "connect", lambda c, _: c.execute("PRAGMA busy_timeout = 10"))
        record._database.engine.dispose()
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(PullwrightError, match="locked by another process"):
            await record.submit(make_task())
        holder.execute("ROLLBACK")
        assert await record.submit(make_task())
    finally:
        holder.close()
        await record.close()


HOLDER = """
import sys, time
from pathlib import Path
from pullwright.store.lock import WorkerLock
lock = WorkerLock(Path(sys.argv[1]))
print(lock.try_acquire(), flush=True)
time.sleep(600)
"""


def test_one_process_at_a_time_does_the_work(tmp_path: Path) -> None:
    lock = WorkerLock(tmp_path)
    assert lock.holder() is None
    assert lock.try_acquire()
    assert lock.try_acquire()
    for known in (lock.holder(), WorkerLock(tmp_path).holder()):
        assert known is not None
        assert (known.pid, known.since is not None) == (os.getpid(), True)
    assert not WorkerLock(tmp_path).try_acquire()
    os.utime(tmp_path / "worker.lock", (1, 1))
    silent = lock.holder()
    lock.beat()
    alive = lock.holder()
    assert silent is not None
    assert alive is not None
    assert silent.seen.year == 1970 < alive.seen.year
    assert silent.since == alive.since
    lock.release()
    lock.release()
    assert lock.holder() is None

    other = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert not lock.try_acquire()
        held = lock.holder()
        assert held is not None
        assert held.pid == other.pid
    finally:
        other.kill()
        other.communicate(timeout=30)
    assert lock.holder() is None
    assert lock.try_acquire()
    lock.release()


async def test_a_cancelled_write_is_through_before_the_next(record: Record, make_task: MakeTask) -> None:
    task = await record.submit(make_task())
    job = asyncio.create_task(record.append(task.id, Noticed(text="once")))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert await record.append(task.id, Noticed(text="twice")) == 2
