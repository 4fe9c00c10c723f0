"""Connections, transactions, and what their failures mean to a person."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from pullwright.domain.errors import DatabaseUnavailable, DataDirectoryError, DiskFull, PullwrightError, UsageError
from pullwright.settings import Settings
from pullwright.store.schema import HEAD

P = ParamSpec("P")
T = TypeVar("T")

_BUSY_SECONDS = 30
_THREADS = 4
_UNIQUE_VIOLATION = "23505"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
_TRIES = 100  # each failed one means that another worker's write went through
_MIGRATION_LOCK = 0x70756C6C  # any number, the same everywhere: the key of Postgres's advisory lock


class Database:
    """The record's database behind `read` and `write`, each one transaction in a thread.

    A write sees nothing change under it: SQLite's transactions take the write lock when they begin, on Postgres the
    queries lock the rows that they read to change. It is run again where another worker inserted the same key first.
    """

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home
        self.engine = _engine(settings)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="record")
        # Waiting here is fair and wakes at once; SQLite's own waiting sleeps up to 100 ms at a time.
        self._turnstile = threading.Lock() if settings.database_url is None else contextlib.nullcontext()

    async def read(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a query answers."""
        return await self.off_loop(lambda: self._transact(False, lambda c: query(c, *args, **kwargs)))

    async def write(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a query answers once all that it changed is on the disk; where it raises, nothing has changed.

        A caller that is cancelled is let go once the write is through, so that what it writes next comes after it.
        """
        job = asyncio.ensure_future(self.off_loop(lambda: self._transact(True, lambda c: query(c, *args, **kwargs))))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.gather(job, return_exceptions=True)
            raise

    def off_loop(self, work: Callable[[], T]) -> Awaitable[T]:
        """Run blocking work on one of the record's own threads."""
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def migrate(self) -> None:
        """Bring the tables to this version. Raises `DataDirectoryError` where a newer one has written them."""
        with answering(self.home, self.engine):
            with self.engine.connect() as connection:
                at = _version(connection)
            if at != HEAD:
                _upgrade(self.engine)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._threads.shutdown(wait=True)
        self.engine.dispose()

    def _transact(self, write: bool, work: Callable[[Connection], T]) -> T:
        with answering(self.home, self.engine), self._turnstile if write else contextlib.nullcontext():
            for rest in reversed(range(_TRIES)):
                try:
                    with _begin(self.engine, write) as connection:
                        return work(connection)
                except IntegrityError as error:
                    if not rest or getattr(error.orig, "sqlstate", "") != _UNIQUE_VIOLATION:
                        raise
            raise AssertionError("the last try returns or raises")


@contextlib.contextmanager
def _begin(engine: Engine, write: bool) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection = connection.execution_options(pullwright_write=write)
        with connection.begin():
            yield connection


def _engine(settings: Settings) -> Engine:
    if settings.database_url is not None:
        return create_engine(settings.database, pool_pre_ping=True, pool_size=_THREADS)
    engine = create_engine(settings.database, pool_size=_THREADS)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001
        connection.isolation_level = None  # transactions begin where `_begun` says, not where the driver guesses
        for pragma in (
            f"busy_timeout = {_BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            "synchronous = FULL",  # what was committed survives a power cut, not only a killed process
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        write = connection.get_execution_options().get("pullwright_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    with _begin(engine, write=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        at = _version(connection)  # again: another process may have been faster
        if at is not None and at not in known:
            raise DataDirectoryError(
                f"The record was written by a newer version of Pullwright: its tables stand at {at}, this version "
                f"knows them up to {HEAD}. Install the newer version, or set PULLWRIGHT_HOME to another directory."
            )
        if at != HEAD:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextlib.contextmanager
def answering(home: Path, engine: Engine | None = None) -> Iterator[None]:
    """Turn failures of the disk and the database into errors that say what to do."""
    try:
        yield
    except PullwrightError:
        raise
    except OSError as error:
        raise _of_disk(home, error) from error
    except DBAPIError as error:
        meaning = _of_sqlite(home, error) or _of_postgres(engine, error)
        if meaning is None:
            raise
        raise meaning from error


@contextlib.contextmanager
def answering_full(home: Path) -> Iterator[None]:
    """Turn whatever fails because the data directory's disk is full into `DiskFull`; all else goes through as it is."""
    try:
        yield
    except (DiskFull, DataDirectoryError):
        raise
    except Exception as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if (
            (isinstance(cause, OSError) and cause.errno in (ENOSPC, EDQUOT))
            or getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL"
            or _no_room(home)
        ):
            raise _full(home) from error
        raise


def _full(home: Path) -> DiskFull:
    return DiskFull(
        f"There is no room left where {home} is. Free some space and try again: what was recorded is whole, and "
        "unfinished tasks go on from there."
    )


def _of_disk(home: Path, error: OSError) -> PullwrightError:
    if error.errno in (ENOSPC, EDQUOT, EFBIG):
        return _full(home)
    if isinstance(error, FileExistsError):
        return DataDirectoryError(f"{home} is a file. Set PULLWRIGHT_HOME to a directory, or to a path that is free.")
    return DataDirectoryError(
        f"The data directory {home} cannot be used: {error.strerror or error}"
        f"{f' ({error.filename})' if error.filename else ''}. "
        "Make it writable for this user, or set PULLWRIGHT_HOME to a directory that is."
    )


def _of_sqlite(home: Path, error: DBAPIError) -> PullwrightError | None:
    name: str = getattr(error.orig, "sqlite_errorname", "")
    if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and _no_room(home)):
        return _full(home)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DataDirectoryError(
            f"The record in {home} stayed locked by another process for {_BUSY_SECONDS} s. See which one with "
            f"`fuser {home}/pullwright.sqlite`, end it, and run the command again."
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DataDirectoryError(
            f"{home}/pullwright.sqlite is damaged or no SQLite database ({error.orig}). Restore it from a backup, or "
            "move it away to begin a new record."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_IOERR")):
        return DataDirectoryError(
            f"The record in {home} cannot be written: {error.orig}. Make the directory and the files in it writable "
            "for this user, or set PULLWRIGHT_HOME to a directory that is."
        )
    return None


def _no_room(home: Path) -> bool:
    try:
        disk = os.statvfs(home)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 1024**2


def _of_postgres(engine: Engine | None, error: DBAPIError) -> PullwrightError | None:
    if isinstance(error, DataError):  # a NUL in a text, a number that is too large
        return UsageError(f"The record cannot hold what was given: {str(error.orig).strip()}. Leave it out.")
    state = getattr(error.orig, "sqlstate", None)
    where = engine.url.render_as_string() if engine is not None else "the database"
    if state == "53100":
        return DiskFull(f"The database server of {where} has no room left. Free some space there and run it again.")
    if (
        engine is not None
        and engine.dialect.name == "postgresql"
        and (state is None or state[:2] in ("08", "28", "3D"))
    ):
        return DatabaseUnavailable(
            f"Postgres at {where} cannot be used: {str(error.orig).strip()}. Check PULLWRIGHT_DATABASE_URL and that "
            "the server is up."
        )
    return None
