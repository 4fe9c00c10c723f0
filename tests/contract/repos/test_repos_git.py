"""Git is run with a time limit, a bound on its output, and an end to everything it started."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import DiskFull, RepositoryError
from pullwright.repos import git

Person = Any  # conftest.Person


def call(person: Person, **how: Any) -> git.Call:
    return git.Call(directory=person.path, owner=git.owner_of(person.path), **how)


def alive(mark: str) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "cmdline").read_bytes():
                return True
    return False


async def gone(mark: str) -> bool:
    for _ in range(100):
        if not alive(mark):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_command_over_its_time_ends_with_all_it_started(mine: Person) -> None:
    mark = f"3600.{os.getpid()}1"
    began = time.monotonic()
    with pytest.raises(RepositoryError, match="did not end within"):
        await git.git(call(mine, timeout=0.5, settings={"alias.hang": f"!sleep {mark} & sleep {mark}"}), "hang")
    assert time.monotonic() - began < 10
    assert await gone(mark)


async def test_cancelling_ends_all_it_started(mine: Person) -> None:
    mark = f"3600.{os.getpid()}2"
    task = asyncio.create_task(git.git(call(mine, settings={"alias.hang": f"!sleep {mark}; true"}), "hang"))
    async with asyncio.timeout(20):
        while not alive(mark):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(mark)


async def test_too_much_output_is_an_error_and_not_a_full_memory(mine: Person) -> None:
    with pytest.raises(RepositoryError, match="more than the 1000 bytes"):
        await git.git(call(mine, limit=1000, settings={"alias.flood": "!cat /dev/zero"}), "flood")


async def test_what_git_said_is_in_the_error(person: Person) -> None:
    with pytest.raises(RepositoryError, match=r"git show failed: fatal: bad object 0000"):
        await git.git(call(person), "show", "0" * 40)


def test_a_full_disk_is_told_from_other_failures() -> None:
    said = "error: file write error: No space left on device\nfatal: unable to write loose object file"
    with pytest.raises(DiskFull, match="Free some space"):
        git.check(git.Finished(128, b"", said), ("fetch",))


async def test_input_that_git_does_not_want_is_no_obstacle(mine: Person) -> None:
    assert (await git.git(call(mine), "rev-parse", "HEAD", stdin=bytes(10_000_000))).strip().decode() == mine.rev(
        "HEAD"
    )


async def test_nothing_of_our_environment_reaches_git(mine: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    out = await git.git(call(mine, settings={"alias.env": "!env"}), "env")
    assert b"secret" not in out
    assert (await git.git(call(mine), "rev-parse", "HEAD")).strip().decode() == mine.rev("HEAD")


async def test_a_directory_that_is_gone_is_said(mine: Person, ground: Path) -> None:
    with pytest.raises(RepositoryError, match="not there any more"):
        await git.git(git.Call(directory=ground / "missing"), "version")
