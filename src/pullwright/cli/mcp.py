"""`mcp`: tasks as tools for other agents and editors, over standard streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pullwright.cli.server import TOKEN, named

if TYPE_CHECKING:
    from pullwright.flow.platform import Platform


def mcp(*, token_variable: str = TOKEN) -> int:
    """Serve tasks as tools for other agents and editors (MCP), on standard input and output.

    The tools are submit, list, get, diff, message and cancel. With `--server URL` they are another machine's; else what
    is handed in is done here while the client stays, and in the background afterwards.

    Args:
        token_variable: The environment variable that holds the token for a server.
    """
    if (server := named(token_variable)) is None:
        return asyncio.run(_here())
    url, token = server
    return asyncio.run(_there(f"{url}/mcp", token))


async def _here() -> int:
    """Over the record of this machine, by whoever may read and write it anyway."""
    from pullwright.api.tools import TaskTools
    from pullwright.cli.house import opened_platform
    from pullwright.domain.access import Caller, Role, Scope
    from pullwright.flow.worker import work

    caller = Caller(name="this machine", scope=Scope.ADMIN, role=Role.ADMIN)
    async with opened_platform() as platform:
        over = asyncio.Event()

        async def until() -> bool:
            return over.is_set()

        worker = asyncio.create_task(work(platform, until=until))
        try:
            await TaskTools(lambda _: (platform, caller)).server().run_stdio_async()
        finally:
            over.set()
            await worker
        await _hand_over(platform)
    return 0


async def _hand_over(platform: Platform) -> None:
    """What is not done yet goes on without us."""
    from pullwright.cli.worker import leave_worker

    if await platform.record.anything_to_do():
        leave_worker(platform.settings.home)


async def _there(address: str, token: str) -> int:
    """Every message goes on to the server, and every answer back."""
    import anyio
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server.stdio import stdio_server
    from mcp.shared._httpx_utils import create_mcp_http_client

    async def pass_on(source: object, sink: object, over: anyio.CancelScope) -> None:
        async for message in source:  # type: ignore[attr-defined]
            if isinstance(message, Exception):
                continue  # a line that is no message: the client hears nothing of it, as the protocol has it
            await sink.send(message)  # type: ignore[attr-defined]
        over.cancel()

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        create_mcp_http_client(headers) as http,
        stdio_server() as (asked, answers),
        streamable_http_client(address, http_client=http) as (found, asks),
        anyio.create_task_group() as both,
    ):
        both.start_soon(pass_on, asked, asks, both.cancel_scope)
        both.start_soon(pass_on, found, answers, both.cancel_scope)
    return 0
