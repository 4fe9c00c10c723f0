"""The worker that `--no-wait` leaves behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

_LOG_LIMIT = 1024 * 1024


def worker(*, until_idle: bool = False) -> int:
    """Do what is unfinished.

    Args:
        until_idle: End once every task has ended.
    """
    from pullwright.domain.errors import UsageError

    if not until_idle:
        raise UsageError("workers of their own are not part of this version; use --until-idle")
    return asyncio.run(_work())


async def _work() -> int:
    from pullwright.cli.house import opened_platform
    from pullwright.flow.worker import idle, work

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async with opened_platform(serves=True) as platform:

        async def until() -> bool:
            return stop.is_set() or await idle(platform)

        await work(platform, until=until)
    return 0


def leave_worker(home: Path) -> int:
    """Start a worker that outlives this process and its terminal; gives its process id."""
    log = home / "worker.log"
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.unlink()
    # -P: the directory that the person stands in is no place to import from
    argv = [sys.executable, "-P", "-m", "pullwright", "worker", "--until-idle"]
    return os.posix_spawn(
        sys.executable,
        argv,
        os.environ,
        setsid=True,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
