"""The application over a record of its own, asked without a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from pullwright.api.app import PREFIX, application
from pullwright.domain.access import Scope
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import issue
from pullwright.settings import Settings
from pullwright.wiring import build


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    ours = {"PULLWRIGHT_HOME": str(tmp_path / "home"), "PULLWRIGHT_LOCAL_MODELS": "off"}
    async with build(Settings.from_environment(ours), {}) as platform:
        yield platform


@pytest.fixture
def app(platform: Platform) -> FastAPI:
    return application(platform, frozenset({"127.0.0.1"}))


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1{PREFIX}") as client:
        yield client


@pytest.fixture
async def admin(platform: Platform, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client that may do everything."""
    _, secret = await issue(platform.record, "admin", Scope.ADMIN)
    client.headers["authorization"] = f"Bearer {secret}"
    return client


async def begun(
    app: FastAPI,
    path: str,
    headers: dict[str, str],
    until: Callable[[str], bool] = lambda text: "\n\n" in text,
    hello: asyncio.Event | None = None,
) -> httpx.Response:
    """A stream up to where enough of it has come; then the client goes away. `hello` is set once it has begun."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    enough, start, body, asked = asyncio.Event(), {}, b"", False

    async def receive() -> dict[str, object]:
        nonlocal asked
        if asked:
            await enough.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body += message["body"]
            if hello is not None:
                hello.set()
        if until(body.decode(errors="replace")) or (
            message["type"] == "http.response.body" and not message.get("more_body")
        ):
            enough.set()

    async with asyncio.timeout(30):
        await app(scope, receive, send)
    return httpx.Response(start["status"], headers=start["headers"], content=body)
