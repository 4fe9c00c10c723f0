"""Ports that processes in an attempt's machine listen on: told, and connected to."""

import os
import socket

from pullwright.domain.errors import SandboxLost, UsageError
from pullwright.domain.task import Attempt
from pullwright.domain.value import Value
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import ExecRequest, Sandbox
from pullwright.store.lock import WorkerLock

DOOR = 61080  # the way out: nobody comes in there
_LISTENS = "0A"  # proc_net(5)
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


class ListeningPort(Value):
    """A port that somebody listens on."""

    port: int


async def listening(platform: Platform, attempt_id: str) -> list[ListeningPort]:
    """The ports of an attempt's machine, in order; none where it has no machine here now. Raises `UsageError`."""
    attempt = await platform.record.attempt(attempt_id)
    sandbox = platform.machines.get(attempt.id)
    if sandbox is None:
        return []
    try:
        told = await sandbox.run(ExecRequest(argv=("cat", *_TABLES), cwd="/", timeout=10, output_limit=1024 * 1024))
    except SandboxLost:  # its attempt came to rest meanwhile
        return []
    return [ListeningPort(port=port) for port in sorted(ports_of(told.stdout.decode("ascii", "replace")) - {DOOR})]


async def out_of_reach(platform: Platform, attempt_id: str) -> str | None:
    """Why nothing of an attempt's machine can be opened here at present, and what to do; None: it can."""
    attempt = await platform.record.attempt(attempt_id)
    return None if attempt.id in platform.machines else _why(platform, attempt)


async def connect(platform: Platform, attempt_id: str, port: int) -> socket.socket:
    """A connection to a port of an attempt's machine. Raises `UsageError`, `SandboxError`."""
    if port == DOOR:
        raise UsageError(f"port {DOOR} is the sandbox's own way out; it is not opened")
    return await (await _machine(platform, attempt_id)).connect(port)


def ports_of(tables: str) -> set[int]:
    """The ports that sockets listen on, by the kernel's tables; lines that are none are left out."""
    found = set()
    for line in tables.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTENS:
            host, _, port = fields[1].partition(":")
            if host and len(port) == 4:
                try:
                    found.add(int(port, 16))
                except ValueError:
                    continue
    return found


async def _machine(platform: Platform, attempt_id: str) -> Sandbox:
    attempt = await platform.record.attempt(attempt_id)
    sandbox = platform.machines.get(attempt.id)
    if sandbox is None:
        raise UsageError(_why(platform, attempt))
    return sandbox


def _why(platform: Platform, attempt: Attempt) -> str:
    when = "ports are open while its engine works"
    if attempt.state.final:
        return f"attempt {attempt.id} has ended ({attempt.state}) and has no machine; {when}"
    worker = WorkerLock(platform.settings.home).holder()
    if worker is not None and worker.pid != os.getpid():
        return (
            f"process {worker.pid} does the work, not this server, and {attempt.id}'s machine is out of reach. End "
            "that process, and the attempt goes on here"
        )
    return f"attempt {attempt.id} has no machine at present ({attempt.state}); {when}"
