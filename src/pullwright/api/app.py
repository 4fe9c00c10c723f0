"""The application: routes, errors, what surrounds every request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pullwright import __version__
from pullwright.api import (
    admin,
    attempts,
    board,
    environments,
    followups,
    house,
    people,
    ports,
    repositories,
    review,
    sign_in,
    steering,
    streams,
    tasks,
    usage,
    webhooks,
)
from pullwright.api.answers import Unchanged
from pullwright.api.codes import Codes
from pullwright.api.console import Console
from pullwright.api.feed import Feed
from pullwright.api.openings import Openings
from pullwright.api.problems import MEANT, Problem, answer, answer_errors
from pullwright.api.tools import Tools
from pullwright.domain.value import now
from pullwright.flow.oidc import Issuer
from pullwright.flow.platform import Platform
from pullwright.flow.preparing import Preparations
from pullwright.flow.worker import work

PREFIX = "/api/v1"
MAX_BODY = 2 * 1024 * 1024

_PARTS = (
    repositories.router,
    board.router,
    review.router,  # before attempts: a patch is not an attempt of that name
    tasks.router,
    followups.router,
    steering.router,
    attempts.router,
    streams.router,
    ports.router,
    environments.router,
    usage.router,
    admin.router,
    house.router,
    sign_in.router,
    webhooks.router,
    people.router,
)


def application(platform: Platform, hosts: frozenset[str], codes: Codes | None = None) -> FastAPI:
    """The API and the console over a platform; while it is up, its worker does the work.

    `hosts` are the names by which the server may be asked: a page that has brought its own name to point here
    (DNS rebinding) is answered nothing.
    """
    app = _routed()
    app.state.started = now()
    app.state.preparations = Preparations()
    app.state.openings = Openings()
    app.state.feed = feed = Feed(platform.record)
    app.state.platform = replace(platform, reveal=feed.reveal)
    app.state.codes = codes or Codes()
    app.state.issuer = Issuer(platform.settings.sign_in) if platform.settings.sign_in else None
    answer_errors(app)

    @app.exception_handler(Unchanged)
    async def _unchanged(_: Request, known: Unchanged) -> Response:
        return Response(status_code=304, headers={"etag": known.tag, "cache-control": "private, no-cache"})

    app.state.tools = Tools(app)
    app.router.default = Console()
    app.add_middleware(Surrounded, hosts=hosts)
    return app


def document() -> dict[str, Any]:
    """The OpenAPI document as `/api/v1/openapi.json` has it; no platform is needed for it."""
    return _described(_routed())


def _routed() -> FastAPI:
    """The routes and what the document says of them."""
    app = FastAPI(
        title="Pullwright",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its pages would be loaded from elsewhere
        redoc_url=None,
        lifespan=_working,
        generate_unique_id_function=_name_of,
        redirect_slashes=False,
    )
    api = APIRouter(prefix=PREFIX)
    for part in _PARTS:
        api.include_router(part)
    app.include_router(api)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


class Surrounded:
    """What holds for every request: the host it is meant for, its size, and headers that keep browsers careful."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (https://asgi.readthedocs.io)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if _host(Headers(scope=scope)) not in self._hosts:
            refusal = answer(400, "Unknown host", "Ask by the address that `pullwright serve` printed.")
            return await refusal(scope, receive, send)
        size, replaced = 0, False

        async def receiving() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            # No more of it is kept; whatever the application makes of a body without an end is not sent.
            return message if size <= MAX_BODY else {"type": "http.disconnect"}

        async def sending(message: Message) -> None:
            nonlocal replaced
            if size > MAX_BODY and not replaced:
                replaced = True
                refusal = answer(413, "Too large", f"A request holds {MAX_BODY} bytes at most.")
                await refusal(scope, receive, send)
            if replaced:
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _CAREFUL.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receiving, sending)
        if size > MAX_BODY:
            await sending({"type": "http.response.start"})
        return None


_CAREFUL = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


@asynccontextmanager
async def _working(app: FastAPI) -> AsyncIterator[None]:
    """While the server is up, work is done here, if no other process holds the lock; else it is followed."""
    enough = asyncio.Event()

    async def until() -> bool:
        return enough.is_set()

    worker = asyncio.create_task(work(app.state.platform, until=until))
    app.state.worker = worker
    try:
        async with app.state.tools.running():
            yield
    finally:
        await app.state.feed.close()
        await app.state.preparations.close()
        await app.state.openings.close()
        enough.set()
        await worker


def _host(headers: Headers) -> str:
    host = headers.get("host", "")
    name = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name.lower()


def _name_of(route: APIRoute) -> str:
    """The name of an operation in the document: its function's."""
    return route.name


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the form of every problem in it."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes, description=app.description)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                _amend(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _amend(operation: dict[str, Any]) -> None:
    """A request that does not fit is answered with a problem, too, and any for which the record cannot be used."""
    responses = operation["responses"]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if "422" in responses:
        responses["422"] = {"description": MEANT[422], "content": problem}
    responses.setdefault("400", {"description": MEANT[400], "content": problem})
    responses.setdefault("503", {"description": MEANT[503], "content": problem})
    if "requestBody" in operation:
        responses["413"] = {"description": "The request is too large.", "content": problem}
