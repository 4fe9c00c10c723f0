"""Bytes between two sockets, and looks at them that take nothing away."""

import asyncio
import contextlib
import socket

_PIECE = 256 * 1024
_TURN = 64  # pieces that one direction may pass on before others have their turn
IDLE_SECONDS = 900.0  # without a byte in either direction, a tunnel is over
_HALF_CLOSED_SECONDS = 60.0


async def peek(sock: socket.socket, have: int, most: int) -> bytes:
    """What is there to read, once it is more than `have` bytes; the same bytes come again. Empty at the end.

    Raises `OSError`. Waits for ever: the caller bounds it.
    """
    if have:
        # The kernel wakes us only when there is more: it would otherwise say again and again that there is something.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, have + 1)
    try:
        while True:
            await readable(sock)
            with contextlib.suppress(BlockingIOError):
                return sock.recv(most, socket.MSG_PEEK)
    finally:
        if have:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def readable(*socks: socket.socket) -> None:
    """Wait until one of them has something to read or has ended."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not ready.done():
            ready.set_result(None)

    for sock in socks:
        loop.add_reader(sock, settle)
    try:
        await ready
    finally:
        for sock in socks:
            loop.remove_reader(sock)


class Counter:
    """Bytes that went by, so that a watch can tell whether any did."""

    def __init__(self) -> None:
        self.total = 0


async def join(one: socket.socket, other: socket.socket, *, idle: float = IDLE_SECONDS) -> None:
    """Pass bytes both ways until both have ended, or nothing has come for so long."""
    seen = Counter()
    ways = {asyncio.ensure_future(_pass(a, b, seen)) for a, b in ((one, other), (other, one))}
    open_ways = set(ways)
    try:
        while open_ways:
            before = seen.total
            patience = idle if len(open_ways) == len(ways) else min(idle, _HALF_CLOSED_SECONDS)
            done, open_ways = await asyncio.wait(open_ways, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if any(way.exception() for way in done) or (not done and seen.total == before):
                return
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass(source: socket.socket, target: socket.socket, seen: Counter) -> None:
    loop = asyncio.get_running_loop()
    piece = memoryview(bytearray(_PIECE))
    turns = 0
    while size := await loop.sock_recv_into(source, piece):
        await loop.sock_sendall(target, piece[:size])
        seen.total += size
        if turns := (turns + 1) % _TURN:
            continue
        await asyncio.sleep(0)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
