"""What has been read of a repository's files, by blob: one SQLite file per repository, beside its store.

A blob is read once, whatever commits and attempts hold it. The file is a cache: one of another version, or a broken
one, is begun anew. Every batch is one transaction, so a killed process loses the batch that it was at.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullwright.code.index.extract import OF, Definition, Extract
from pullwright.code.index.languages import EXTRACTOR
from pullwright.code.index.statements import Import
from pullwright.domain.errors import DiskFull, MachineError

_SCHEMA_VERSION = 1
_VERSION = EXTRACTOR * 1000 + _SCHEMA_VERSION
_DAY = 24 * 3600
_KEPT_DAYS = 30
_SPARE = 20_000  # files that no recent tree holds, before the oldest of them are forgotten
_BUSY_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE file (
  id INTEGER PRIMARY KEY,
  blob TEXT NOT NULL,
  language TEXT NOT NULL,
  lines INTEGER NOT NULL,
  note TEXT NOT NULL,
  imports TEXT NOT NULL,
  seen INTEGER NOT NULL,
  UNIQUE (blob, language)
);
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE definition (
  name INTEGER NOT NULL,
  file INTEGER NOT NULL,
  line INTEGER NOT NULL,
  container TEXT NOT NULL,
  kind TEXT NOT NULL,
  last INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (name, file, line, container)
) WITHOUT ROWID;
CREATE INDEX definition_file ON definition (file);
CREATE TABLE uses (
  name INTEGER NOT NULL,
  file INTEGER NOT NULL,
  places BLOB NOT NULL,
  PRIMARY KEY (name, file)
) WITHOUT ROWID;
CREATE TABLE covered (
  test TEXT NOT NULL,
  path TEXT NOT NULL,
  blob TEXT NOT NULL,
  PRIMARY KEY (path, test)
) WITHOUT ROWID;
"""

Key = tuple[str, str]
"""A file's blob and language."""


@dataclass(frozen=True)
class Shelved:
    """A file that has been read."""

    id: int
    lines: int
    note: str
    imports: tuple[Import, ...]


class Shelf:
    """One repository's. Its methods block for milliseconds and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection = self._open()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def known(self, keys: Collection[Key]) -> dict[Key, Shelved]:
        """Those of these files that have been read."""
        blobs = json.dumps(sorted({blob for blob, _ in keys}))
        sql = "SELECT blob, language, id, lines, note, imports FROM file WHERE blob IN (SELECT value FROM json_each(?))"
        wanted = keys if isinstance(keys, set | dict) else set(keys)
        return {
            (blob, language): Shelved(number, lines, note, _imports(text))
            for blob, language, number, lines, note, text in self._all(sql, blobs)
            if (blob, language) in wanted
        }

    def missing(self, keys: Collection[Key]) -> list[Key]:
        """Those of these files that have not been read, in order."""
        blobs = json.dumps(sorted({blob for blob, _ in keys}))
        sql = "SELECT blob, language FROM file WHERE blob IN (SELECT value FROM json_each(?))"
        there = set(self._all(sql, blobs))
        return [key for key in dict.fromkeys(keys) if key not in there]

    def add(self, found: Sequence[tuple[Key, Extract]]) -> None:
        """Keep what was read, all of it or nothing."""
        with self._writing() as connection:
            names = {one.name for _, extract in found for one in extract.definitions}
            names.update(name for _, extract in found for name in extract.uses)
            ids = _name_ids(connection, names)
            definitions: list[tuple[object, ...]] = []
            uses: list[tuple[int, int, bytes]] = []
            for (blob, language), extract in found:
                imports = json.dumps([(one.line, one.target, one.names) for one in extract.imports])
                row = connection.execute(
                    "INSERT OR IGNORE INTO file (blob, language, lines, note, imports, seen) VALUES (?, ?, ?, ?, ?, ?) "
                    "RETURNING id",
                    (blob, language, extract.lines, extract.note, imports, _today()),
                ).fetchone()
                if row is None:  # another process was faster
                    continue
                definitions += [
                    (ids[one.name], row[0], one.line, one.container, one.kind, one.end, one.text)
                    for one in extract.definitions
                ]
                uses += [(ids[name], row[0], places) for name, places in extract.uses.items()]
            # In the order of their keys, so that neighbours go to the same page.
            definitions.sort(key=lambda one: one[:2])
            uses.sort(key=lambda one: one[:2])
            connection.executemany("INSERT OR IGNORE INTO definition VALUES (?, ?, ?, ?, ?, ?, ?)", definitions)
            connection.executemany("INSERT OR IGNORE INTO uses VALUES (?, ?, ?)", uses)

    def definitions(self, name: str) -> list[tuple[int, Definition]]:
        """Where a name is defined, in any file that was ever read: file and definition."""
        sql = (
            "SELECT file, kind, line, last, container, definition.text FROM definition "
            "JOIN name ON name.id = name WHERE name.text = ?"
        )
        return [
            (file, Definition(name, kind, line, last, container, text))
            for file, kind, line, last, container, text in self._all(sql, name)
        ]

    def outline(self, file: int) -> list[Definition]:
        """What a file defines, in its order."""
        return self.outlines([file]).get(file, [])

    def outlines(self, files: Iterable[int]) -> dict[int, list[Definition]]:
        """What each of these files defines, in its order."""
        sql = (
            "SELECT file, name.text, kind, line, last, container, definition.text FROM definition "
            "JOIN name ON name.id = name WHERE file IN (SELECT value FROM json_each(?)) ORDER BY file, line"
        )
        found: dict[int, list[Definition]] = {}
        for file, *rest in self._all(sql, json.dumps(list(files))):
            found.setdefault(file, []).append(Definition(*rest))
        return found

    def classes(self, files: Collection[int]) -> Iterator[tuple[int, Definition]]:
        """The classes and interfaces of these files: file and definition."""
        sql = (
            "SELECT file, name.text, kind, line, last, container, definition.text FROM definition "
            "JOIN name ON name.id = name WHERE kind IN ('class', 'interface', 'enum') "
            "AND file IN (SELECT value FROM json_each(?))"
        )
        for file, *rest in self._all(sql, json.dumps(list(files))):
            yield file, Definition(*rest)

    def uses(self, name: str) -> list[tuple[int, bytes]]:
        """Which files use a name, and where, packed as `extract.pack` does."""
        sql = "SELECT file, places FROM uses JOIN name ON name.id = name WHERE text = ?"
        return list(self._all(sql, name))

    def uses_of(self, name: str) -> list[tuple[int, str, bytes]]:
        """Which files use a member of a type that stands before it by name: file, type, and where."""
        sql = "SELECT file, substr(text, ?), places FROM uses JOIN name ON name.id = name WHERE text > ? AND text < ?"
        first = f"{name}{OF}"
        return self._all(sql, len(first) + 1, first, f"{name}{chr(ord(OF) + 1)}")

    def counts(self, names: Collection[str]) -> dict[str, int]:
        """In how many files each of these names is used, among all that were ever read."""
        sql = (
            "SELECT text, count(*) FROM name JOIN uses ON uses.name = name.id "
            "WHERE text IN (SELECT value FROM json_each(?)) GROUP BY text"
        )
        return dict(self._all(sql, json.dumps(sorted(names))))

    def defined_in(self, files: Collection[int]) -> list[tuple[int, int]]:
        """Pairs of name id and file: what these files define, members of types left out."""
        sql = (
            "SELECT DISTINCT name, file FROM definition WHERE kind NOT IN ('field', 'declaration') "
            "AND file IN (SELECT value FROM json_each(?))"
        )
        return list(self._all(sql, json.dumps(list(files))))

    def used_by(self, names: Collection[int]) -> Iterator[tuple[int, int, int]]:
        """For these name ids: name, file that uses it, how often about."""
        sql = "SELECT name, file, length(places) FROM uses WHERE name IN (SELECT value FROM json_each(?))"
        yield from self._all(sql, json.dumps(list(names)))

    def similar(self, name: str, limit: int = 200) -> list[str]:
        """Names that are the same without regard to case, or that hold this one."""
        sql = (
            "SELECT text FROM name WHERE text LIKE ? ESCAPE '\\' AND text NOT LIKE '%@%' ORDER BY length(text) LIMIT ?"
        )
        escaped = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return [text for (text,) in self._all(sql, f"%{escaped}%", limit)]

    def keep_coverage(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Keep which test ran lines of which file: test file, path, the path's blob at that time."""
        with self._writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO covered VALUES (?, ?, ?)", rows)

    def covering(self, paths: Collection[str]) -> dict[str, dict[str, str]]:
        """By path, the test files that ran lines of it when that was last recorded, each with the path's blob then."""
        sql = "SELECT path, test, blob FROM covered WHERE path IN (SELECT value FROM json_each(?))"
        found: dict[str, dict[str, str]] = {}
        for path, test, blob in self._all(sql, json.dumps(sorted(paths))):
            found.setdefault(path, {})[test] = blob
        return found

    def see(self, files: Mapping[Key, Shelved]) -> None:
        """Note that a tree holds these files, and forget the oldest of those that none has held for long."""
        today = _today()
        ids = json.dumps([one.id for one in files.values()])
        stale = "SELECT id FROM file WHERE seen < ? AND id IN (SELECT value FROM json_each(?))"
        old = [number for (number,) in self._all(stale, today, ids)]
        ((total,),) = self._all("SELECT count(*) FROM file")
        if not old and total <= len(files) + _SPARE:
            return
        with self._writing() as connection:
            connection.execute(
                "UPDATE file SET seen = ? WHERE id IN (SELECT value FROM json_each(?))", (today, json.dumps(old))
            )
            if total > len(files) + _SPARE:
                connection.execute("DELETE FROM file WHERE seen < ?", (today - _KEPT_DAYS,))
                for table in ("definition", "uses"):
                    connection.execute(f"DELETE FROM {table} WHERE file NOT IN (SELECT id FROM file)")  # noqa: S608
                connection.execute(
                    "DELETE FROM name WHERE id NOT IN (SELECT name FROM uses UNION SELECT name FROM definition)"
                )

    def _all(self, sql: str, *values: object) -> list[Any]:
        with self._lock, _told(self.path):
            return self._connection.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _told(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"{self.path.parent} cannot be made: {error}. Free some room, or mend its rights."
            ) from error
        for fresh in (False, True):
            with _told(self.path):
                if fresh:
                    for suffix in ("", "-wal", "-shm"):
                        self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
                connection = sqlite3.connect(
                    self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                try:
                    _prepare(connection)
                except sqlite3.OperationalError:
                    connection.close()
                    raise
                except sqlite3.DatabaseError:
                    connection.close()
                    if fresh:
                        raise
                else:
                    return connection
        raise AssertionError("unreachable")


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -16000")
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f'DROP TABLE "{table}"')
        for statement in _SCHEMA.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's faults in the words of the error tree."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise DiskFull(f"There is no room left for {path}. Free some space, then try again.") from error
        raise MachineError(
            f"The code index {path} cannot be used: {error}. Deleting it is safe; it is made anew."
        ) from error
    except sqlite3.DatabaseError as error:
        raise MachineError(f"The code index {path} is broken: {error}. Delete it; it is made anew.") from error


def _name_ids(connection: sqlite3.Connection, names: Collection[str]) -> dict[str, int]:
    ordered = sorted(names)
    connection.executemany("INSERT OR IGNORE INTO name (text) VALUES (?)", ((name,) for name in ordered))
    found = connection.execute(
        "SELECT text, id FROM name WHERE text IN (SELECT value FROM json_each(?))", (json.dumps(ordered),)
    )
    return dict(found.fetchall())


def _imports(text: str) -> tuple[Import, ...]:
    return tuple(Import(line, target, tuple(names)) for line, target, names in json.loads(text))


def _today() -> int:
    return int(time.time()) // _DAY


def size_of(path: Path) -> int:
    """Bytes on disk of an index, its log included."""
    files = (path.with_name(path.name + suffix) for suffix in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())
