"""Opens the record or the whole platform for one command."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pullwright.cli.server import keep_here, tell_here

if TYPE_CHECKING:
    from pullwright.flow.platform import Platform
    from pullwright.settings import Settings
    from pullwright.store.record import Record


def settings(*, of_a_server: bool = False) -> Settings:
    """This process's settings. Raises `UsageError` where a command was sent to a server that goes to none."""
    from pullwright.settings import Settings

    if not of_a_server:
        keep_here()
    return Settings.from_environment(os.environ)


@asynccontextmanager
async def opened_record() -> AsyncIterator[Record]:
    """The record alone: enough for commands that only look."""
    from pullwright.store.record import Record

    ours = settings()
    tell_here()
    record = await Record.open(ours)
    try:
        yield record
    finally:
        await record.close()


@asynccontextmanager
async def opened_platform(*, serves: bool = False) -> AsyncIterator[Platform]:
    """Everything. What `serves` others is about this machine as everybody knows."""
    from pullwright.wiring import build

    ours = settings()
    if not serves:
        tell_here()
    async with build(ours) as platform:
        yield platform
