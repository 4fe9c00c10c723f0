"""One MCP server in a sandbox, spoken to over its standard streams (https://modelcontextprotocol.io/specification).

The protocol is the `mcp` package's; the transport is ours, since the server runs behind the wall. All that it says is
data from a hostile source: lines are bounded, schemas are only looked at, never evaluated here (a pattern in one could
keep this process busy for ever), and whatever it asks of us is declined.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pullwright.domain.environment import ToolServer
from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.sandbox.base import ExecRequest, Process, Sandbox

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.client.session import ClientSession
    from mcp.shared.message import SessionMessage
    from mcp_types import CallToolResult
    from mcp_types import Tool as ServerTool

T = TypeVar("T")

START_SECONDS = 60.0
CALL_SECONDS = 300.0
MOST_LINE = 8 * 1024 * 1024  # bytes of one message
MOST_HEARD = 256 * 1024 * 1024  # bytes of one server in its life
MOST_NOISE = 1000  # lines of it that are no messages
MOST_PAGES = 20

# Standard error apart from the protocol; its end is told where the server fails.
_START = 'exec 2>>"$1"; exec bash -c "$2"'


class ServerFailed(Exception):
    """The server did not start, has ended, or does not speak the protocol. The message says what it said last."""


@dataclass(frozen=True)
class Named:
    """A server by its name."""

    name: str
    server: ToolServer

    @property
    def errors(self) -> str:
        """Where its standard error goes, inside."""
        return f"/tmp/mcp-{self.name}.log"  # noqa: S108 - the sandbox's own


class Connection:
    """A running server and the session with it; it ends with the sandbox, with the server, or by `close`."""

    def __init__(self, sandbox: Sandbox, named: Named) -> None:
        self._sandbox = sandbox
        self._named = named
        self._ready: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self._excess = False  # it said more than a server has to say
        self._life = asyncio.create_task(self._live())

    @property
    def living(self) -> bool:
        """Whether it can be asked."""
        return not self._life.done() and not self._over.is_set()

    async def tools(self) -> "list[ServerTool]":
        """What the server offers. Raises `ServerFailed`."""
        import mcp_types as types

        session = await self._session()
        found: list[ServerTool] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
            page = await self._answered(session.send_request(request, types.ListToolsResult, START_SECONDS))
            found += page.tools
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def call(self, tool: str, arguments: dict[str, Any]) -> "CallToolResult":
        """Call a tool. Raises `ServerFailed`."""
        import mcp_types as types

        session = await self._session()
        # Not `call_tool`, which goes on to evaluate the server's own schema for the answer.
        params = types.CallToolRequestParams(name=tool, arguments=arguments)
        request = types.CallToolRequest(params=params)
        return await self._answered(session.send_request(request, types.CallToolResult, CALL_SECONDS))

    async def close(self) -> None:
        """End the server."""
        self._over.set()
        await asyncio.wait({self._life}, timeout=10.0)
        if not self._life.done():
            self._life.cancel()
            await asyncio.wait({self._life})

    async def _session(self) -> "ClientSession":
        try:
            async with asyncio.timeout(START_SECONDS):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            raise ServerFailed(f"it was not ready within {START_SECONDS:g} seconds{await self._said()}") from None

    async def _answered(self, asked: Awaitable[T]) -> T:
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        try:
            return await asked
        except MCPError as error:
            if self.living:
                raise ServerFailed(f"it answered with an error: {str(error)[:2000]}") from error
            raise ServerFailed(f"it has ended{await self._said()}") from error
        except (ValidationError, RuntimeError, ValueError) as error:
            raise ServerFailed(f"its answer does not follow the protocol: {str(error)[:500]}") from error

    async def _live(self) -> None:
        """From the server's start to its end, in one task, as the session's cancel scopes want it."""
        try:
            from mcp.client.session import ClientSession

            logging.getLogger("mcp").setLevel(logging.CRITICAL)  # what a server does wrong is in its calls' results
            process = await self._sandbox.open(
                ExecRequest(
                    argv=("bash", "-c", _START, "bash", self._named.errors, self._named.server.command),
                    variables=self._named.server.variables,
                    timeout=7 * 24 * 3600.0,
                )
            )
        except (SandboxError, SandboxLost) as error:
            self._fail(ServerFailed(f"it could not be started: {error}"))
            return
        try:
            import anyio

            heard, hears = anyio.create_memory_object_stream["SessionMessage | Exception"](8)
            says, said = anyio.create_memory_object_stream["SessionMessage"](8)
            pumps = [asyncio.create_task(self._hear(process, heard)), asyncio.create_task(self._say(process, said))]
            try:
                async with heard, hears, says, said, ClientSession(hears, says) as session:
                    async with asyncio.timeout(START_SECONDS):
                        await session.initialize()
                    self._ready.set_result(session)
                    await self._over.wait()
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
        except Exception as error:  # noqa: BLE001 - the edge of a foreign program: whatever it did, the model is told
            why = "it has ended" if self._over.is_set() else f"it did not begin as the protocol asks ({_words(error)})"
            self._fail(ServerFailed(f"{why}{await self._said()}"))
        finally:
            self._over.set()
            with contextlib.suppress(SandboxLost):
                await process.kill()
            self._fail(ServerFailed("it has ended"))

    def _fail(self, failure: ServerFailed) -> None:
        if not self._ready.done():
            self._ready.set_exception(failure)
            self._ready.exception()  # nobody may be waiting for it

    async def _hear(self, process: Process, heard: "MemoryObjectSendStream[SessionMessage | Exception]") -> None:
        """One message a line; a few that are none are left out. One that babbles is ended."""
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        rest, size, noise = b"", 0, 0
        try:
            async for piece in process.output():
                size += len(piece)
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines[:MOST_NOISE]:
                    try:
                        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
                    except (ValueError, RecursionError):
                        noise += 1
                    else:
                        await heard.send(SessionMessage(message))
                if len(rest) > MOST_LINE or size > MOST_HEARD or noise > MOST_NOISE or len(lines) > MOST_NOISE:
                    self._excess = True
                    return
        finally:
            self._over.set()
            await heard.aclose()

    async def _say(self, process: Process, said: "MemoryObjectReceiveStream[SessionMessage]") -> None:
        async for message in said:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.send(text.encode("utf-8", "replace") + b"\n")

    async def _said(self) -> str:
        """The end of what the server printed to its standard error."""
        if self._excess:
            return ", since it printed too much, or what is no message"
        with contextlib.suppress(SandboxError):
            request = ExecRequest(argv=("tail", "-c", "1500", self._named.errors), timeout=10.0)
            text = (await self._sandbox.run(request)).stdout.decode(errors="replace").strip()
            if text:
                return f". The last that it said: {text}"
        return ""


def _words(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)[:500] or type(error).__name__
