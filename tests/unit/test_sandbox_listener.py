"""What an agent may hand out as a listening socket: one, and nothing else. The agent is not trusted."""

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest

from pullwright.domain.errors import SandboxError
from pullwright.sandbox.agent import Line

_SAYING = struct.Struct("=IIi")
_LISTENING, _GONE = 6, 4


async def handed(descriptor: int) -> socket.socket:
    """What the host makes of a descriptor that comes as the answer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = Line(ours, "test")
    try:
        with theirs:
            asking = asyncio.ensure_future(line.listen(61080))
            await asyncio.sleep(0)
            kind, number, port, _, _ = struct.unpack("=IIIHH", theirs.recv(100))
            assert (kind, port) == (3, 61080)
            socket.send_fds(theirs, [_SAYING.pack(_LISTENING, number, 0)], [descriptor])
            theirs.send(_SAYING.pack(_GONE, number, 0))
            return await asyncio.wait_for(asking, 10)
    finally:
        line.close()


async def test_a_listening_socket_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, await handed(server.fileno()) as taken:
        assert taken.getsockname() == server.getsockname()


async def test_nothing_else_is() -> None:
    out, into = os.pipe()
    connected, peer = socket.socketpair()
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local = socket.socket(socket.AF_UNIX)
    local.bind(f"\0pullwright-listener-{os.getpid()}")
    local.listen()
    opened = len(list(Path("/proc/self/fd").iterdir()))
    for descriptor in (out, connected.fileno(), datagram.fileno(), local.fileno()):
        with pytest.raises(SandboxError, match="handed out nothing"):
            await handed(descriptor)
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
    for end in (connected, peer, datagram, local):
        end.close()
    os.close(out)
    os.close(into)
