"""The way through a proxy of this machine's own, which is spoken to in the clear or over TLS."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

from pullwright.egress.machine import Relay
from pullwright.egress.stream import peek

_HEAD = 16 * 1024
_PIECE = 256 * 1024


class Refusal(OSError):
    """The proxy answered, and not with a way through."""


class Relays:
    """Connections to proxies. One over TLS is handed on as a plain socket that this process fills and empties."""

    def __init__(self, trusted: Path | None) -> None:
        self._trusted = trusted
        self._context: ssl.SSLContext | None = None
        self._pumps: set[asyncio.Task[None]] = set()

    async def through(self, relay: Relay, sock: socket.socket, target: str | None) -> socket.socket:
        """What leads through the proxy that `sock` is connected to: to `target` (HOST:PORT), or to itself.

        The socket is ours from now on. Raises `OSError`; `Refusal` where the proxy said no.
        """
        try:
            if relay.tls:
                return await self._encrypted(relay, sock, target)
            if target is not None:
                await asyncio.get_running_loop().sock_sendall(sock, _request(relay, target))
                _check(await _head(sock))
        except BaseException:
            sock.close()
            raise
        return sock

    async def _encrypted(self, relay: Relay, sock: socket.socket, target: str | None) -> socket.socket:
        if self._context is None:
            self._context = ssl.create_default_context(cafile=str(self._trusted) if self._trusted else None)
        reader, writer = await asyncio.open_connection(sock=sock, ssl=self._context, server_hostname=relay.host)
        try:
            if target is not None:
                writer.write(_request(relay, target))
                _check(await reader.readuntil(b"\r\n\r\n"))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise ConnectionError("it hung up") from error
        except BaseException:
            writer.close()
            raise
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        pump = asyncio.create_task(_pump(ours, reader, writer))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        return theirs


def _request(relay: Relay, target: str) -> bytes:
    """Ask for a way through (RFC 9110 section 9.3.6)."""
    login = f"Proxy-Authorization: {relay.authorization}\r\n" if relay.authorization else ""
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n".encode()


async def _head(sock: socket.socket) -> bytes:
    """The head of an answer, and not a byte of what comes after it."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = await peek(sock, len(head), _HEAD)
        if len(more) <= len(head) or len(more) >= _HEAD:
            raise ConnectionError("it hung up")
        head = more
    return sock.recv(head.index(b"\r\n\r\n") + 4)


def _check(head: bytes) -> None:
    status = head.split(b"\r\n")[0].decode("latin-1").partition(" ")[2][:80]
    if not status.startswith("2"):
        raise Refusal(status)


async def _pump(plain: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes between a socket and a TLS stream until either side is closed."""
    loop = asyncio.get_running_loop()

    async def out() -> None:
        while data := await loop.sock_recv(plain, _PIECE):
            writer.write(data)
            await writer.drain()

    async def back() -> None:
        while data := await reader.read(_PIECE):
            await loop.sock_sendall(plain, data)

    leaving, coming = asyncio.ensure_future(out()), asyncio.ensure_future(back())
    try:
        # TLS cannot be closed on one side alone: who sends no more may still be answered.
        await asyncio.wait({coming})
    finally:
        for way in (leaving, coming):
            way.cancel()
        await asyncio.gather(leaving, coming, return_exceptions=True)
        plain.close()
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()
