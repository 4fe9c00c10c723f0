"""Forked children with limits of time and memory, and the lines that they write."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
from typing import Any, Callable, Dict, Iterator

_MEMORY = 2 * 1024**3  # bytes a child may take on top of what its parent has
_LONGEST = 4 * 1024 * 1024  # bytes of lines that one child may write

Tell = Callable[[Dict[str, Any]], None]


class Child:
    """A forked process that does one thing and writes lines of JSON."""

    def __init__(self, act: Callable[[Tell], None], label: Any = None) -> None:
        """Fork; the child calls `act` and ends."""
        self.label = label
        self.ended = False
        self._buffer = b""
        self._read = 0
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _be_child(act, writing)
        os.close(writing)
        self.descriptor = reading
        self.heard = time.monotonic()

    def lines(self) -> list[dict[str, Any]]:
        """What it has written by now; sets `ended` at its end."""
        data = os.read(self.descriptor, 65536)
        self.heard = time.monotonic()
        self._read += len(data)
        if not data or self._read > _LONGEST:
            self.kill()
            return []
        *whole, self._buffer = (self._buffer + data).split(b"\n")
        found = []
        for line in whole:
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                found.append(value)
        return found

    def processor_seconds(self) -> float:
        """Processor time that it has used by now; 0 where that is not told."""
        try:
            with open("/proc/%d/stat" % self.pid, encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return 0.0

    def waits(self) -> bool:
        """Whether it sleeps, rather than computing or being kept from it by others."""
        try:
            with open("/proc/%d/stat" % self.pid, encoding="ascii", errors="replace") as file:
                return file.read().rpartition(")")[2].split()[0] != "R"
        except (OSError, IndexError):
            return True

    def kill(self) -> None:
        """End it with all that it started."""
        if self.ended:
            return
        self.ended = True
        for target in (-self.pid, self.pid):
            try:
                os.kill(target, signal.SIGKILL)
            except OSError:
                continue
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


def _be_child(act: Callable[[Tell], None], writing: int) -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        _limit_memory()

        def tell(value: dict[str, Any]) -> None:
            line = json.dumps(value).encode() + b"\n"
            while line:
                line = line[os.write(writing, line) :]

        act(tell)
        status = 0
    finally:
        os._exit(status)


def _limit_memory() -> None:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
        soft = pages * os.sysconf("SC_PAGE_SIZE") + _MEMORY
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (soft if hard < 0 else min(soft, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return


def listen(children: list[Child], seconds: float) -> Iterator[tuple[Child, dict[str, Any] | None]]:
    """What any of them wrote within some seconds, as (child, line); (child, None) at a child's end."""
    alive = {child.descriptor: child for child in children if not child.ended}
    if not alive:
        return
    ready, _, _ = select.select(list(alive), [], [], max(0.0, seconds))
    for descriptor in sorted(ready):
        child = alive[descriptor]
        for line in child.lines():
            yield child, line
        if child.ended:
            yield child, None


def cpu_limit(seconds: float) -> None:
    """Let the kernel end this process after that much processor time from now; 0: never."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
