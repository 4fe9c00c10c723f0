"""Reads files in processes of its own: parsers are C code, and what they are given is hostile.

A process gets one file at a time over a pipe and answers in JSON. One that crashes, hangs or takes too much memory is
ended and the file it had is noted as unreadable; the next file goes to a fresh process. As root the processes give up
that right before the first file.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import resource
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from pullwright.code.index.extract import Definition, Extract, extract
from pullwright.code.index.statements import Import
from pullwright.domain.errors import MachineError

MAX_FILE = 1024 * 1024  # bytes; larger files are generated or data
FILE_SECONDS = 10.0
_START_SECONDS = 60.0
_MEMORY = 1024 * 1024 * 1024
_ANSWER = 64 * 1024 * 1024
_IDLE_SECONDS = 20.0
_MANY = 64  # files from which on more than one process is worth its start


@dataclass(frozen=True)
class Source:
    """One file to read."""

    blob: str
    language: str
    data: bytes


class Parsers:
    """Up to `most` processes that read files. They start when they are needed and end after a while without work."""

    def __init__(self, *, uid: int | None = None, most: int | None = None) -> None:
        self._uid = uid if os.geteuid() == 0 else None
        self._most = most or min(4, os.cpu_count() or 1)
        self._idle: list[_Child] = []
        self._threads: ThreadPoolExecutor | None = None
        self._ender: asyncio.TimerHandle | None = None
        self.read = 0  # files so far

    async def extract(self, sources: Sequence[Source]) -> AsyncIterator[tuple[Source, Extract]]:
        """Read these files, as many at a time as pays; in no order."""
        small = [source for source in sources if len(source.data) <= MAX_FILE]
        for source in sources:
            if len(source.data) > MAX_FILE:
                yield source, Extract([], [], {}, source.data.count(b"\n") + 1, "too large")
        if not small:
            return
        if self._ender is not None:
            self._ender.cancel()
        self._threads = self._threads or ThreadPoolExecutor(self._most, thread_name_prefix="parsers")
        loop = asyncio.get_running_loop()
        workers = self._most if len(small) >= _MANY else 1
        parts = [small[start::workers] for start in range(workers)]
        running = [loop.run_in_executor(self._threads, self._through, part) for part in parts]
        try:
            for done in asyncio.as_completed(running):
                for pair in await done:
                    self.read += 1
                    yield pair
        finally:
            for job in running:
                job.cancel()
            self._ender = loop.call_later(_IDLE_SECONDS, self.close)

    def close(self) -> None:
        """End the processes that have no work."""
        while self._idle:
            self._idle.pop().end()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    def _through(self, part: Iterable[Source]) -> list[tuple[Source, Extract]]:
        found = []
        child: _Child | None = None
        for source in part:
            try:
                child = child or (self._idle.pop() if self._idle else _Child(self._uid))
            except IndexError:  # another thread was faster
                child = _Child(self._uid)
            got = child.ask(source)
            if got is None:
                child.end()
                child = None
                got = Extract([], [], {}, source.data.count(b"\n") + 1, "the parser failed on it or took too long")
            found.append((source, got))
        if child is not None:
            self._idle.append(child)
        return found


class _Child:
    """One process and the pipe to it."""

    def __init__(self, uid: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=serve, args=(theirs, uid), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_START_SECONDS):
            self.end()
            raise MachineError("a process for reading files did not start within a minute; look at the machine's load")
        with contextlib.suppress(EOFError, OSError):
            if self._pipe.recv_bytes(16) == b"ready":
                return
        self.end()
        raise MachineError("a process for reading files ended at its start; PULLWRIGHT_DEBUG=1 may show more")

    def ask(self, source: Source) -> Extract | None:
        """Have one file read; None where that failed, and the process is not to be used again."""
        try:
            self._pipe.send_bytes(source.language.encode())
            self._pipe.send_bytes(source.data)
            if not self._pipe.poll(FILE_SECONDS):
                return None
            return _understood(self._pipe.recv_bytes(_ANSWER))
        except (OSError, EOFError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def end(self) -> None:
        """Kill it."""
        self._pipe.close()
        self._process.kill()
        self._process.join(5)
        with contextlib.suppress(ValueError):
            self._process.close()


def _understood(answer: bytes) -> Extract:
    """An answer of a process that may have been taken over: shapes are checked, nothing in it is run."""
    given: Any = json.loads(answer)
    text, whole = _text, _whole
    return Extract(
        definitions=[
            Definition(text(n), text(k), whole(a), whole(e), text(c), text(t))
            for n, k, a, e, c, t in given["definitions"]
        ],
        imports=[
            Import(whole(line), text(target), tuple(map(text, names))) for line, target, names in given["imports"]
        ],
        uses={name: bytes.fromhex(places) for name, places in given["uses"].items()},
        lines=whole(given["lines"]),
        note=text(given["note"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value)} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**31:
        raise TypeError(f"{value!r} is no count")
    return value


def serve(pipe: Connection, uid: int | None) -> None:
    """What a process does: read files until its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is its parent's to answer
    import tree_sitter  # noqa: F401  # before the rights to read it are given up

    from pullwright.code.index.languages import LANGUAGES

    for language in LANGUAGES.values():
        if language.module:
            __import__(language.module)
    _confine(uid)
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        pipe.send_bytes(b"ready")
        while True:
            language_name = pipe.recv_bytes(100).decode()
            data = pipe.recv_bytes(2 * MAX_FILE)
            pipe.send_bytes(_answer(extract(language_name, data)))


def _answer(found: Extract) -> bytes:
    given = {
        "definitions": [(d.name, d.kind, d.line, d.end, d.container, d.text) for d in found.definitions],
        "imports": [(one.line, one.target, one.names) for one in found.imports],
        "uses": {name: places.hex() for name, places in found.uses.items()},
        "lines": found.lines,
        "note": found.note,
    }
    return json.dumps(given, separators=(",", ":")).encode()


def _confine(uid: int | None) -> None:
    """No files, no processes, bounded memory, nobody's rights."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # the pipe is open, and nothing else is to be
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
