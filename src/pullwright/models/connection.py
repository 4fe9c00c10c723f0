"""HTTP to a model's server as we use it: certificates, the exact body, the streamed answer."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx2

from pullwright.models.base import Listener
from pullwright.models.known import Target
from pullwright.models.stream import Kind, MergedStream

_TIMEOUT = httpx2.Timeout(60.0, connect=10.0, read=900.0)  # a slow model may think long before its first piece
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass
class Showing:
    """What is told of one request while it is under way."""

    listener: Listener
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    started: float = field(default_factory=time.monotonic)
    first: float | None = None  # seconds until the answer's first piece
    on_wire: bool = False  # whether pieces are shown as they come over the wire

    async def before(self, body: bytes) -> None:
        """A request is about to be sent."""
        await self.listener.before(body)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.started

    def show_wire(self, kind: Kind, text: str) -> None:
        """A piece has come over the wire: there is no need to show it again once the provider's client has read it."""
        self.on_wire = True
        self.show(kind, text)

    def show(self, kind: Kind, text: str) -> None:
        """A piece has come."""
        if self.first is None:
            self.first = self.seconds
        if kind == "text" and text:
            self.listener.reveal(text)
        elif kind == "reasoning" and text:
            self.listener.reveal_reasoning(text)


_showing: ContextVar[Showing | None] = ContextVar("showing", default=None)


@contextlib.contextmanager
def showing(listener: Listener) -> Iterator[Showing]:
    """Within it, the listener is told each request's exact body just before it is sent, and the answer as it comes."""
    shown = Showing(listener)
    token = _showing.set(shown)
    try:
        yield shown
    finally:
        _showing.reset(token)


def shown_now() -> Showing | None:
    """The `showing` that the running task is in, for clients that do not go through a `Connection`."""
    return _showing.get()


class _Client(httpx2.AsyncClient):
    """HTTP that lets `showing` see what goes out and what comes in."""

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401  # httpx's own
        shown = _showing.get()
        if shown is None or request.method != "POST":
            return await super().send(request, **options)
        request.headers["accept-encoding"] = "identity"  # a stream is read on its way
        await shown.before(await request.aread())
        response = await super().send(request, **options)
        streamed = response.headers.get("content-type", "").startswith("text/event-stream")
        if streamed and options.get("stream") and response.status_code == 200:
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = MergedStream(response.stream, shown.show_wire)
        return response


@dataclass(frozen=True)
class Connection:
    """A model's server over HTTP."""

    target: Target
    http: httpx2.AsyncClient

    async def get(self, path: str, *, at: str | None = None, seconds: float = 20.0) -> httpx2.Response:
        """A bare GET below the base URL (or `at`), with the key."""
        return await self.http.get((at or self.target.base_url) + path, headers=self._headers(), timeout=seconds)

    async def post(
        self, path: str, body: dict[str, Any], *, at: str | None = None, seconds: float = 20.0
    ) -> httpx2.Response:
        """A bare POST of JSON below the base URL (or `at`), with the key."""
        where = (at or self.target.base_url) + path
        return await self.http.post(where, json=body, headers=self._headers(), timeout=seconds)

    def _headers(self) -> dict[str, str]:
        key = self.target.key
        match self.target.wire:
            case "anthropic":
                return {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}
            case "google":
                return {"x-goog-api-key": key} if key else {}
            case _:
                return {"authorization": f"Bearer {key}"} if key else {}

    async def close(self) -> None:
        """End the connections."""
        await self.http.aclose()


def connect(target: Target, transport: httpx2.AsyncBaseTransport | None = None) -> Connection:
    """Get ready to speak to a model's server (or to a stand-in, `transport`); nothing is sent yet."""
    address = urlsplit(target.base_url)
    http = _Client(
        transport=transport,
        timeout=_TIMEOUT,
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        verify=_certificates() if address.scheme == "https" else False,
        trust_env=address.hostname not in _LOOPBACK,  # a proxy cannot reach this machine's own servers
    )
    return Connection(target, http)


def _certificates() -> ssl.SSLContext:
    """The system's certificates, since companies add to them, and the bundled ones: a system may have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
