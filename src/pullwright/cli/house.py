"""Opens the record or the whole platform for one command."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pullwright.flow.platform import Platform
    from pullwright.settings import Settings
    from pullwright.store.record import Record


def settings() -> Settings:
    """This process's settings."""
    from pullwright.settings import Settings

    return Settings.from_environment(os.environ)


@asynccontextmanager
async def opened_record() -> AsyncIterator[Record]:
    """The record alone: enough for commands that only look."""
    from pullwright.store.record import Record

    record = await Record.open(settings())
    try:
        yield record
    finally:
        await record.close()


@asynccontextmanager
async def opened_platform() -> AsyncIterator[Platform]:
    """Everything."""
    from pullwright.wiring import build

    async with build(settings()) as platform:
        yield platform
