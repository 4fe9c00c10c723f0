"""Ports that processes in an attempt's machine listen on: listed, opened to a browser, closed."""

from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from pullwright.api.access import House, Reader, Writer
from pullwright.api.openings import Openings
from pullwright.api.problems import not_found, problems
from pullwright.flow import ports

router = APIRouter(tags=["ports"])

_FAILS = problems(400, 401, 403, 404, 422, 503)
Port = Annotated[int, Path(ge=1, le=65535)]


class PortView(BaseModel):
    """A port that somebody listens on, or that is opened."""

    port: int
    listening: bool
    opened: datetime | None = Field(description="Since when it is opened; null: it is not.")


class PortsView(BaseModel):
    """The ports of an attempt's machine."""

    ports: list[PortView]
    out_of_reach: str | None = Field(
        description="Why none can be opened here at present, and what to do; null: they can."
    )


class OpenedPort(BaseModel):
    """A port that is opened to a browser."""

    port: int
    url: str = Field(description="Where a browser goes, once and soon, to be let in; whoever has it is.")
    host: str = Field(description="By what name and port it is asked for from then on.")


def openings_of(request: Request) -> Openings:
    """Those of this server."""
    found: Openings = request.app.state.openings
    return found


@router.get("/attempts/{attempt}/ports", responses=_FAILS, summary="The ports that processes of an attempt listen on")
async def list_ports(attempt: str, request: Request, house: House, _: Reader) -> PortsView:
    """In its machine, which it has while its engine works, in the process that does the work."""
    found = {one.port for one in await ports.listening(house, attempt)}
    opened = {one.port: one.opened for one in openings_of(request).of(attempt)}
    listed = [
        PortView(port=port, listening=port in found, opened=opened.get(port)) for port in sorted(found | set(opened))
    ]
    return PortsView(ports=listed, out_of_reach=await ports.out_of_reach(house, attempt))


@router.post("/attempts/{attempt}/ports/{port}/open", responses=_FAILS, summary="Open a port to a browser")
async def open_port(attempt: str, port: Port, request: Request, house: House, _: Writer) -> OpenedPort:
    """At an address of its own on the server's loopback, which no other page shares anything with.

    Somebody has to listen on it. It stays open until it is closed, the server ends, or the machine is gone.
    """
    (await ports.connect(house, attempt, port)).close()

    opening = await openings_of(request).open(attempt, port, partial(ports.connect, house, attempt, port))
    return OpenedPort(port=port, url=opening.address(), host=opening.host)


@router.delete(
    "/attempts/{attempt}/ports/{port}", status_code=204, responses=_FAILS, summary="Close a port that was opened"
)
async def close_port(attempt: str, port: Port, request: Request, house: House, _: Writer) -> None:
    """Connections end with it."""
    await house.record.attempt(attempt)
    if not await openings_of(request).close(attempt, port):
        raise not_found(f"There is no port {port} of {attempt} that is opened.")
