"""The application over a record of its own, asked without a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

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
