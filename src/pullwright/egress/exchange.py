"""HTTP/1.1, request by request: each is decided before it is passed on, and written anew, so that nothing of another
shape than was looked at goes out (RFC 9112)."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import h11

from pullwright.domain.network import Verdict
from pullwright.egress.dial import Refused, Unreachable

_PIECE = 256 * 1024
_HEAD = 64 * 1024
_NEXT_SECONDS = 120.0  # until the next request on a connection
_IDLE_SECONDS = 900.0  # between two pieces of one
_GOODBYE_SECONDS = 1.0
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te",
     b"trailer", b"upgrade", b"http2-settings")
)  # fmt: skip

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Target:
    """Whom a request is for."""

    host: str
    port: int


@dataclass
class Origin:
    """A connection that leads there."""

    target: Target
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    absolute: bool = False  # another proxy, which wants the whole address
    headers: Sequence[tuple[str, str]] = ()  # what that proxy wants beside


class Guard(Protocol):
    """Decides about requests, and leads to those that may be asked."""

    async def decide(self, target: Target, method: str) -> Verdict:
        """Whether a request may be made. A refusal is noted."""
        ...

    async def passed(self, target: Target, method: str, verdict: Verdict) -> None:
        """Note that one is being made."""
        ...

    async def reach(self, target: Target) -> Origin:
        """A connection. Raises `Refused`, `Unreachable`."""
        ...

    def headers(self, target: Target) -> Sequence[tuple[str, str]]:
        """What is put into each request, in place of what it says itself under that name."""
        ...


class BadRequest(Exception):
    """It is no request that could be passed on."""


class _Wire:
    """One side: HTTP over a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, role: Any) -> None:  # noqa: ANN401 - h11 names no type for it
        self.reader, self.writer = reader, writer
        self.http = h11.Connection(our_role=role, max_incomplete_event_size=_HEAD)

    async def next(self, patience: float = _IDLE_SECONDS) -> object:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            async with asyncio.timeout(patience):
                self.http.receive_data(await self.reader.read(_PIECE))
        return event

    async def send(self, event: h11.Event) -> None:
        if data := self.http.send(event):
            self.writer.write(data)
            await self.writer.drain()

    @property
    def over(self) -> bool:
        """Whether nothing follows on this connection."""
        return self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE


class Exchange:
    """The requests of one client's connection. With an `origin` or a `fixed` target all of them are for that one."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        guard: Guard,
        origin: Origin | None = None,
        *,
        fixed: Target | None = None,
        usual_port: int = 80,
    ) -> None:
        self._client = _Wire(reader, writer, h11.SERVER)
        self._guard = guard
        self._usual_port = usual_port
        self._fixed = fixed or (origin.target if origin else None)
        self._origin = origin
        self._upstream = _Wire(origin.reader, origin.writer, h11.CLIENT) if origin else None

    async def run(self) -> None:
        """Until either side ends it."""
        try:
            while isinstance(request := await self._client.next(_NEXT_SECONDS), h11.Request):
                if not await self._one(request):
                    return
                self._client.http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._answer(error.error_status_hint or 400, f"this is no HTTP that could be passed on: {error}")
        except (OSError, TimeoutError):
            return
        finally:
            await self._let_go()

    async def _one(self, request: h11.Request) -> bool:
        """One request and its response; gives whether another may follow."""
        try:
            target, path = self._target(request)
            method = request.method.decode("ascii")
            verdict = await self._guard.decide(target, method)
            if not verdict.allowed:
                raise Refused(verdict)
            upgrades = not verdict.inspect and self._wants_upgrade(request)
            reused = await self._to(target)
            head = self._head(request, target, path, upgrades=upgrades)
            await self._guard.passed(target, method, verdict)
            try:
                return await self._carry(head)
            except Unreachable:
                if not reused or _has_body(request):
                    raise
            # It was closed while it waited for us: nobody has heard the request.
            await self._drop()
            await self._to(target)
            return await self._carry(head)
        except BadRequest as error:
            await self._answer(400, str(error))
        except Refused as error:
            await self._answer(403, refusal(error.verdict))
        except Unreachable as error:
            await self._answer(502, str(error))
        return False

    def _target(self, request: h11.Request) -> tuple[Target, bytes]:
        """Whom it is for and what it asks there. The address and the Host header have to agree."""
        host_header = next((value for name, value in request.headers if name == b"host"), b"").decode("latin-1")
        text = request.target.decode("latin-1")
        if request.method in (b"CONNECT", b"TRACE"):
            raise BadRequest(f"{request.method.decode()} is not passed on here")
        if self._fixed is not None and text.startswith(("/", "*")):
            if host_header and not _same(host_header, self._fixed):
                raise BadRequest(f"the Host header says {host_header[:100]}, the connection is to {self._fixed.host}")
            return self._fixed, request.target
        parts = urlsplit(text)
        try:
            port = parts.port or 80
        except ValueError as error:
            raise BadRequest("the address has a port that is none") from error
        if parts.scheme != "http" or not parts.hostname or parts.username is not None:
            raise BadRequest("this is a proxy: it takes CONNECT, and requests for http:// addresses")
        target = Target(parts.hostname, port)
        if self._fixed not in (None, target) or (host_header and not _same(host_header, target)):
            raise BadRequest(f"the Host header says {host_header[:100]}, the address {parts.hostname}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return target, path.encode("latin-1")

    async def _to(self, target: Target) -> bool:
        """Have a connection that leads there: the one at hand if it is still good (gives true), else a new one."""
        origin, upstream = self._origin, self._upstream
        if origin and upstream and upstream.http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            upstream.http.start_next_cycle()
        idle = {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}
        if (
            origin
            and upstream
            and origin.target == target
            and upstream.http.states == idle
            and not upstream.reader.at_eof()
        ):
            return True
        await self._drop()
        self._origin = await self._guard.reach(target)
        self._upstream = _Wire(self._origin.reader, self._origin.writer, h11.CLIENT)
        return False

    def _head(self, request: h11.Request, target: Target, path: bytes, *, upgrades: bool) -> h11.Request:
        place = target.host if ":" not in target.host else f"[{target.host}]"
        place = place if target.port == self._usual_port else f"{place}:{target.port}"
        origin = self._origin
        added = [*self._guard.headers(target), *(origin.headers if origin else ())]
        replaced = {name.lower().encode("latin-1") for name, _ in added}
        headers: Headers = [(b"Host", place.encode("latin-1"))]
        replaced |= {b"host"}
        headers += [(n, v) for n, v in _passed_on(request.headers) if n.lower() not in replaced]
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in added]
        if upgrades:
            headers += [(n, v) for n, v in request.headers if n == b"upgrade"] + [(b"Connection", b"Upgrade")]
        if origin and origin.absolute:
            path = f"http://{place}".encode("latin-1") + path
        return h11.Request(method=request.method, target=path, headers=headers)

    @staticmethod
    def _wants_upgrade(request: h11.Request) -> bool:
        connection = b",".join(value for name, value in request.headers if name == b"connection")
        return b"upgrade" in connection.lower() and any(name == b"upgrade" for name, _ in request.headers)

    async def _carry(self, head: h11.Request) -> bool:
        """Request up, response down, at the same time: some servers answer before they have heard all."""
        client, upstream = self._client, self._upstream
        if upstream is None:
            raise AssertionError("a connection was made before")
        upload = asyncio.ensure_future(self._upload(head, upstream))
        answered = False
        try:
            while True:
                event = await upstream.next()
                if isinstance(event, h11.InformationalResponse):
                    if event.status_code == 101:
                        await upload
                        return await self._switch(event, upstream)
                    if event.status_code == 100 and client.http.their_http_version == b"1.1":
                        await client.send(event)
                elif isinstance(event, h11.Response):
                    answered = True
                    headers = _passed_on(event.headers)
                    await client.send(h11.Response(status_code=event.status_code, headers=headers, reason=event.reason))
                elif isinstance(event, h11.Data):
                    await client.send(event)
                elif isinstance(event, h11.EndOfMessage):
                    await client.send(h11.EndOfMessage())
                    break
                else:
                    raise ConnectionError("the other side hung up")
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            if answered or client.http.our_state is not h11.SEND_RESPONSE:
                raise ConnectionError("the response broke off") from error
            raise Unreachable(f"{head.method.decode()} got no answer ({error})") from error
        finally:
            if not upload.done():
                upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)
        return not client.over

    async def _upload(self, head: h11.Request, upstream: _Wire) -> None:
        await upstream.send(head)
        if self._client.http.their_state is h11.DONE:  # said again: it has no body
            await upstream.send(h11.EndOfMessage())
            return
        while True:
            event = await self._client.next()
            if isinstance(event, h11.Data):
                await upstream.send(event)
            elif isinstance(event, h11.EndOfMessage):
                await upstream.send(h11.EndOfMessage())
                return
            else:
                raise ConnectionError("the client hung up")

    async def _switch(self, event: h11.InformationalResponse, upstream: _Wire) -> bool:
        """What follows is another protocol (WebSocket): bytes pass as they are."""
        client = self._client
        await client.send(event)
        early, late = client.http.trailing_data[0], upstream.http.trailing_data[0]
        upstream.writer.write(early)
        client.writer.write(late)
        ways = [_pour(client.reader, upstream.writer), _pour(upstream.reader, client.writer)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return False

    async def _answer(self, status: int, text: str) -> None:
        """An answer of our own, and the end of the connection."""
        if self._client.http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = f"pullwright: {text}\n".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        with contextlib.suppress(OSError, h11.ProtocolError):
            await self._client.send(h11.Response(status_code=status, headers=headers, reason=b"Refused by Pullwright"))
            await self._client.send(h11.Data(data=body))
            await self._client.send(h11.EndOfMessage())

    async def _drop(self) -> None:
        if self._origin:
            self._origin.writer.close()
            self._origin = self._upstream = None

    async def _let_go(self) -> None:
        """Closing on what has not been read would take our last words back (RFC 9112 section 9.6)."""
        await self._drop()
        client = self._client
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await client.writer.drain()
                if client.writer.can_write_eof():
                    client.writer.write_eof()
                while await client.reader.read(_PIECE):
                    pass
        client.writer.close()


def refusal(verdict: Verdict) -> str:
    """What whoever asked inside is told."""
    hint = f"; a person can allow it ({verdict.rule})" if verdict.rule else ""
    return f"refused: {verdict.reason}{hint}"


def _same(header: str, target: Target) -> bool:
    """Whether a Host header names the target; a port that is left out may be any usual one."""
    name, _, port = header.strip().rpartition(":")
    if not name or not port.isdecimal() or header.rstrip().endswith("]"):
        name, port = header.strip(), ""
    same_port = not port or int(port) == target.port
    return name.strip("[]").removesuffix(".").lower() == target.host.strip("[]").removesuffix(".").lower() and same_port


def _has_body(request: h11.Request) -> bool:
    return any(n == b"transfer-encoding" or (n == b"content-length" and v != b"0") for n, v in request.headers)


def _passed_on(headers: Any) -> Headers:  # noqa: ANN401 - h11 names no type for it
    """In the case that they came in, without what concerns one connection only (RFC 9110 section 7.6.1)."""
    listed = b",".join(value for name, value in headers if name == b"connection").lower()
    dropped = _HOP_BY_HOP | {word.strip() for word in listed.split(b",")}
    dropped -= {b"transfer-encoding"}
    return [(name, value) for name, value in headers.raw_items() if name.lower() not in dropped]


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
