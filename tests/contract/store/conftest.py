"""The record on every database it runs on: SQLite always, Postgres where its server is installed."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, Task, TaskRequest
from pullwright.domain.value import attempt_id, now
from pullwright.settings import Settings
from pullwright.store.record import Record

_NUMBERS = itertools.count(1)


def _server_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _server_account() -> pwd.struct_passwd | None:
    """Who runs the server: it refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@dataclass(frozen=True)
class Cluster:
    """A throw-away Postgres server on a unix socket."""

    sockets: Path

    def url(self, database: str) -> str:
        return f"postgresql://tester@/{database}?host={self.sockets}"

    def new_database(self) -> str:
        name = f"record{next(_NUMBERS)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    programs = _server_programs()
    if programs is None:
        pytest.skip("no Postgres server is installed (Debian package postgresql)")
    account = _server_account()
    home = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    home.chmod(0o755 if account is not None else 0o700)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, *arguments],
            cwd=home,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
        assert done.returncode == 0, (program, done.stdout, (home / "log").exists() and (home / "log").read_text())

    try:
        run("initdb", "-D", str(home / "data"), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {home} -c listen_addresses='' -c fsync=off -c max_connections=50"
        run("pg_ctl", "-D", str(home / "data"), "-l", str(home / "log"), "-w", "-o", options, "start")
        try:
            yield Cluster(home)
        finally:
            run("pg_ctl", "-D", str(home / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = request.getfixturevalue("cluster").new_database() if request.param == "postgres" else None
    return Settings(home=tmp_path / "home", database_url=url)


@pytest.fixture
async def record(settings: Settings) -> AsyncIterator[Record]:
    opened = await Record.open(settings)
    yield opened
    await opened.close()


@pytest.fixture
def make_task() -> Callable[..., Task]:
    def make(task_id: str = "abcdefgh", attempts: int = 1, prompt: str = "Fix the failing tests") -> Task:
        request = TaskRequest(
            prompt=prompt,
            repository=RepositoryRef(location="/srv/tidy", key="tidy-1234", name="tidy"),
            base_commit="a" * 40,
            attempts=(EngineChoice(engine="repair"),) * attempts,
        )
        return Task(id=task_id, request=request, created=now())

    return make


@pytest.fixture
def make_attempt() -> Callable[..., Attempt]:
    def make(task: Task, ordinal: int = 1) -> Attempt:
        name = attempt_id(task.id, ordinal)
        return Attempt(id=name, task=task.id, ordinal=ordinal, engine="repair", model=None)

    return make
