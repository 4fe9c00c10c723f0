"""A small HTTP/1.1 server on loopback for far sides in tests: one function answers, connections can be dropped."""

import asyncio
import base64
import binascii
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

MAX_BODY = 512 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One HTTP request, its body whole and unpacked."""

    method: str
    path: str  # without the query, as it was sent
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password of basic authentication."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    @property
    def bearer(self) -> str | None:
        """The token of bearer authentication, by any of the names that forges know for it."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if kind.lower() in ("bearer", "token") else None


@dataclass(frozen=True)
class Reply:
    """What is answered; with `cut`, only that many bytes of the body are sent before the connection breaks."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


Answer = Callable[[Request], Awaitable[Reply | None]]


@dataclass
class HttpServer:
    """Serves `answer` while the context lasts; None as an answer drops the connection."""

    answer: Answer
    host: str = "127.0.0.1"
    port: int = 0
    _server: asyncio.Server | None = None
    _clients: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Begin to serve; `url` is known from here on."""
        self._server = await asyncio.start_server(self._client, self.host, self.port, limit=1024 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        assert self._server is not None
        self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            while (request := await _read(reader, writer)) is not None:
                reply = await self.answer(request)
                if reply is None or not await _send(writer, reply):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # the client went away, or speaks no HTTP
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            self._clients.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request of a kept connection; None where it is over."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in headers.get("transfer-encoding", ""):
        body = await _chunks(reader)
    else:
        size = int(headers.get("content-length", "0"))
        if size > MAX_BODY:
            raise ValueError("the body is too large")
        body = await reader.readexactly(size)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        if len(body) > MAX_BODY:
            raise ValueError("the body is too large")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


async def _send(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Send it; False where the connection ends with it."""
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Unknown"
    fields = {"content-length": str(len(reply.body)), **reply.headers}
    head = f"HTTP/1.1 {reply.status} {phrase}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = reply.body if reply.cut is None else reply.body[: reply.cut]
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
    return reply.cut is None
