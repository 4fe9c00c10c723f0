"""Ports that processes in an attempt's machine listen on: told, and connected to."""

import socket

from pullwright.domain.errors import SandboxLost, UsageError
from pullwright.domain.value import Value
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import ExecRequest, Sandbox

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
        raise UsageError(
            f"attempt {attempt.id} has no machine here at present ({attempt.state}): ports are open while its engine "
            "works, on the server that does the work"
        )
    return sandbox
