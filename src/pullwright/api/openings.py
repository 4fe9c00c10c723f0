"""Ports of sandboxes, opened to a browser: each at an address of its own, since what answers there is hostile.

An opening listens on this machine's loopback, on a port of its own, and is asked for by a name of its own
(`NAME.localhost`, which browsers bring to the loopback): to a browser that is another site than the console, whose
cookies and pages it cannot touch. Who was given its key gets a cookie for that name alone; each request is checked for
it. The cookie and the key never reach the sandbox. See docs/decisions for why.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import h11

from pullwright.domain.access import digest
from pullwright.domain.errors import PullwrightError, UsageError
from pullwright.domain.value import now

COOKIE = "pullwright-port"
KEY_PATH = "/.pullwright/open"
MOST = 32  # openings at once
MOST_CONNECTIONS = 64  # of one opening at once
KEY_SECONDS = 120.0  # that a key waits for the browser
IDLE_SECONDS = 300.0  # that a connection may be silent
_PIECE = 64 * 1024
_SWITCH = [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]

Connect = Callable[[], Awaitable[socket.socket]]


@dataclass
class Opening:
    """One port of one attempt, opened."""

    attempt: str
    port: int
    name: str
    connect: Connect
    opened: datetime = field(default_factory=now)
    server: asyncio.Server | None = None
    keys: dict[str, float] = field(default_factory=dict)  # digests, and until when they are good
    cookies: set[str] = field(default_factory=set)  # digests
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def host(self) -> str:
        """By what name and port a browser asks for it."""
        assert self.server is not None
        return f"{self.name}.localhost:{self.server.sockets[0].getsockname()[1]}"

    def address(self) -> str:
        """Where a browser goes, once, to be let in."""
        key = secrets.token_urlsafe(24)
        soon = asyncio.get_running_loop().time()
        self.keys = {known: until for known, until in self.keys.items() if until > soon}
        self.keys[digest(key)] = soon + KEY_SECONDS
        return f"http://{self.host}{KEY_PATH}?key={key}"

    def redeem(self, key: str) -> str | None:
        """A cookie for a key that is good; it is so once."""
        until = self.keys.pop(digest(key), 0.0)
        if until < asyncio.get_running_loop().time():
            return None
        cookie = secrets.token_urlsafe(24)
        self.cookies.add(digest(cookie))
        return cookie


class Openings:
    """Those of this server."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Opening] = {}

    async def open(self, attempt: str, port: int, connect: Connect) -> Opening:
        """Open a port, or give the opening that there is. Raises `UsageError` where there are too many."""
        if known := self._known.get((attempt, port)):
            return known
        if len(self._known) >= MOST:
            raise UsageError(f"{MOST} ports are opened already; close one first")
        opening = Opening(attempt, port, f"p{port}-{secrets.token_hex(6)}", connect)

        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            job = asyncio.create_task(_served(opening, reader, writer))
            opening.connections.add(job)
            job.add_done_callback(opening.connections.discard)

        opening.server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_PIECE)
        self._known[attempt, port] = opening
        return opening

    def of(self, attempt: str) -> list[Opening]:
        """Those of an attempt."""
        return [one for one in self._known.values() if one.attempt == attempt]

    async def close(self, attempt: str | None = None, port: int | None = None) -> bool:
        """Close one, all of an attempt, or all; whether there was any."""
        gone = [key for key in self._known if attempt in (None, key[0]) and port in (None, key[1])]
        for key in gone:
            opening = self._known.pop(key)
            assert opening.server is not None
            opening.server.close()
            for job in list(opening.connections):
                job.cancel()
            await asyncio.gather(*opening.connections, return_exceptions=True)
        return bool(gone)


async def _served(opening: Opening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of a browser: requests one after the other, each checked."""
    try:
        if len(opening.connections) <= MOST_CONNECTIONS:
            await _Conversation(opening, reader, writer).run()
    except (OSError, TimeoutError, h11.ProtocolError, PullwrightError):
        pass  # whichever side has gone, the other is let go
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class _Conversation:
    """A connection of a browser, and behind it one of the sandbox for each request."""

    def __init__(self, opening: Opening, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._opening, self._reader, self._writer = opening, reader, writer
        self._browser = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        while True:
            event = await self._next()
            if not isinstance(event, h11.Request):
                return None
            if (answer := self._refusal(event)) is not None:
                return await self._say(*answer)
            if not await self._passed(event):
                return None
            self._browser.start_next_cycle()

    def _refusal(self, request: h11.Request) -> tuple[int, str, list[tuple[str, str]]] | None:
        """What a request is answered here: those that are not let in, and the one that brings the key."""
        if _header(request, b"host") != self._opening.host:
            return 421, "Ask by the address that the console opens.\n", []
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        if path == KEY_PATH:
            cookie = self._opening.redeem(query.removeprefix("key=")) if query.startswith("key=") else None
            if cookie is None:
                return 403, "This address was used before, or is too old. Open the port again.\n", []
            kept = f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Lax"
            return 303, "", [("Location", "/"), ("Set-Cookie", kept), ("Referrer-Policy", "no-referrer")]
        if not any(digest(value) in self._opening.cookies for value in _ours(request)):
            return 401, "Open the port in the console first.\n", []
        return None

    async def _say(self, status: int, text: str, headers: list[tuple[str, str]]) -> None:
        data = text.encode()
        plain = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), ("Connection", "close")]
        length = ("Content-Length", str(len(data)))
        for event in (h11.Response(status_code=status, headers=[*headers, *plain, length]), h11.Data(data=data)):
            await self._send(event)
        await self._send(h11.EndOfMessage())

    async def _passed(self, request: h11.Request) -> bool:
        """Take a request to the sandbox and its answer back; whether another may follow on this connection."""
        try:
            end = await self._opening.connect()
        except PullwrightError as error:
            await self._say(502, f"{error}\n", [])
            return False
        reader, writer = await asyncio.open_connection(sock=end, limit=_PIECE)
        try:
            return await self._exchange(request, reader, writer)
        finally:
            writer.close()

    async def _exchange(self, request: h11.Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        inside = h11.Connection(h11.CLIENT)
        # Whatever else could be gone over to might carry our cookie where nobody looks at it: HTTP/2 does.
        websocket = _header(request, b"upgrade").lower() == "websocket"
        headers = [*_inner(request), *(_SWITCH if websocket else [(b"connection", b"close")])]
        await _send(inside, writer, h11.Request(method=request.method, target=request.target, headers=headers))
        sending = asyncio.create_task(self._body(inside, writer))
        try:
            while True:
                event = await _next(inside, reader)
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code == 101 and websocket:
                        await sending
                        await self._tunnel(event, inside, reader, writer)
                        return False
                    continue
                if isinstance(event, h11.Response):
                    kept = _outer(event)
                    await self._send(h11.Response(status_code=event.status_code, headers=kept, reason=event.reason))
                elif isinstance(event, h11.Data):
                    await self._send(h11.Data(data=event.data))
                elif isinstance(event, h11.EndOfMessage):
                    await self._send(h11.EndOfMessage())
                    break
                else:
                    return False
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return self._browser.our_state is h11.DONE and self._browser.their_state is h11.DONE

    async def _body(self, inside: h11.Connection, writer: asyncio.StreamWriter) -> None:
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                await _send(inside, writer, h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                return await _send(inside, writer, h11.EndOfMessage())
            else:
                return None

    async def _tunnel(
        self,
        switch: h11.InformationalResponse,
        inside: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """A websocket that the sandbox has agreed to: from here on bytes."""
        await self._send(h11.InformationalResponse(status_code=101, headers=[*_outer(switch), *_SWITCH]))
        writer.write(self._browser.trailing_data[0])
        self._writer.write(inside.trailing_data[0])
        ways = (_pumped(self._reader, writer), _pumped(reader, self._writer))
        jobs = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        return await _next(self._browser, self._reader)

    async def _send(self, event: h11.Event) -> None:
        await _send(self._browser, self._writer, event)


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Event | type[h11.PAUSED]:
    while (event := connection.next_event()) is h11.NEED_DATA:
        async with asyncio.timeout(IDLE_SECONDS):
            connection.receive_data(await reader.read(_PIECE))
    return event  # type: ignore[return-value]


async def _send(connection: h11.Connection, writer: asyncio.StreamWriter, event: h11.Event) -> None:
    if data := connection.send(event):
        writer.write(data)
        await writer.drain()


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()


def _header(request: h11.Request, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in request.headers if name == wanted), "")


def _ours(request: h11.Request) -> list[str]:
    """The values of our cookie that came with a request."""
    pairs = (pair.strip().partition("=") for pair in _header(request, b"cookie").split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


def _inner(request: h11.Request) -> list[tuple[bytes, bytes]]:
    """The headers that a request has inside: without what it was let in by, and what holds for one connection."""
    kept = [(name, value) for name, value in request.headers if not _hop(name) and name != b"cookie"]
    theirs = [pair.strip() for pair in _header(request, b"cookie").split(";")]
    cookies = "; ".join(pair for pair in theirs if pair and pair.partition("=")[0] != COOKIE)
    return [*kept, (b"cookie", cookies.encode("latin-1"))] if cookies else kept


def _outer(answer: h11.Response | h11.InformationalResponse) -> list[tuple[bytes, bytes]]:
    """The headers that a browser gets to see."""
    return [(name, value) for name, value in answer.headers if not _hop(name) and not _steals(name, value)]


def _hop(name: bytes) -> bool:
    return name in (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade")


def _steals(name: bytes, value: bytes) -> bool:
    """Whether an answer would take our cookie's place."""
    return name == b"set-cookie" and value.strip().startswith(COOKIE.encode())
