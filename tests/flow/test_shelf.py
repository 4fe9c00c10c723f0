"""Prepared environments stay within their budget: the least recently used go, never what somebody needs."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pullwright.domain.environment import Environment
from pullwright.domain.task import EngineChoice, RepositoryRef, Task, TaskRequest
from pullwright.domain.value import new_task_id, now
from pullwright.flow.environment import Environments
from pullwright.flow.platform import Platform
from pullwright.flow.shelf import Removed, budget, remove_environments, shelf, tidy
from pullwright.sandbox.base import Disk, SandboxSpec
from pullwright.settings import Settings
from pullwright.wiring import build

LARGE = 2_000_000


def git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def a_repository(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "blob").write_bytes(os.urandom(LARGE))
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "first")
    return path


class House:
    """Three repositories with a workspace each, prepared by a process that is no more, in this order."""

    def __init__(self, home: Path, repositories: dict[str, RepositoryRef], commits: dict[str, str]) -> None:
        self.home, self.repositories, self.commits = home, repositories, commits

    @asynccontextmanager
    async def platform(self, layer_bytes: int | None = None) -> AsyncIterator[Platform]:
        async with build(Settings(home=self.home, layer_bytes=layer_bytes)) as platform:
            yield platform

    def request(self, name: str) -> TaskRequest:
        return TaskRequest(
            prompt="x",
            repository=self.repositories[name],
            base_commit=self.commits[name],
            attempts=(EngineChoice(engine="repair"),),
        )

    async def prepare(self, platform: Platform, name: str) -> tuple[str, ...]:
        async def quiet(_: object) -> None:
            return None

        return await Environments(platform).layers(self.request(name), Environment(), f"w-{name}", quiet)

    def age(self, names: str) -> None:
        """The first of these was used longest ago."""
        for ago, layer in enumerate(reversed(names.split()), start=1):
            os.utime(self.home / "sandboxes" / "uses" / layer, (1e9 - ago, 1e9 - ago))


@pytest.fixture
async def house(tmp_path: Path) -> House:
    repositories: dict[str, RepositoryRef] = {}
    commits: dict[str, str] = {}
    layers: list[str] = []
    made = House(tmp_path / "home", repositories, commits)
    async with made.platform() as platform:
        for name in ("one", "two", "three"):
            path = await asyncio.to_thread(a_repository, tmp_path / name)
            repositories[name] = await platform.repositories.locate(str(path), Path("/"))
            store = await platform.repositories.fetch(repositories[name])
            commits[name] = await store.resolve(None)
            layers += await made.prepare(platform, name)
        await tidy(platform)
    made.age(" ".join(layers))
    return made


async def test_the_least_recently_used_goes_first(house: House) -> None:
    async with house.platform() as platform:
        everything = await shelf(platform)
        assert [one.environment.repository.split("-")[0] for one in everything.environments] == ["one", "two", "three"]
        assert everything.size > 3 * LARGE
    async with house.platform(layer_bytes=everything.size - 1) as platform:
        removed = await tidy(platform)
        assert (removed.environments, removed.kept) == (1, ())
        assert removed.size > LARGE
        left = await shelf(platform)
        assert [one.environment.repository.split("-")[0] for one in left.environments] == ["two", "three"]
        assert await tidy(platform) == Removed()
        assert len(await platform.record.environments()) == 2
        assert len(await house.prepare(platform, "one")) == 1  # made anew


async def test_what_a_task_needs_or_a_sandbox_uses_stays(house: House) -> None:
    async with house.platform() as other:
        task = Task(id=new_task_id(), request=house.request("one"), created=now())
        await other.record.submit(task)
        (used,) = await house.prepare(other, "one")  # by the task
    async with house.platform() as other, house.platform(layer_bytes=0) as platform:
        (living,) = await house.prepare(other, "two")
        sandbox = await other.sandboxes.start(SandboxSpec("w", layers=(living,)))
        removed = await tidy(platform)
        assert removed.environments == 1
        assert sorted(why.rpartition(": ")[2] for why in removed.kept) == [
            "a sandbox uses it",
            "an unfinished task needs it",
        ]
        assert {layer.id for layer in await platform.sandboxes.layers()} == {used, living}
        await sandbox.stop()


async def test_what_a_dead_process_left_is_gone_and_what_a_living_one_is_making_is_not(house: House) -> None:
    async with house.platform() as platform:
        async with house.platform() as dead:
            stray = await (await dead.sandboxes.start(SandboxSpec("stray"))).snapshot()
            assert (await tidy(platform)).size == 0  # it is about to be written down, for all that anybody knows
        assert (await tidy(platform)).size > 0
        assert not await platform.sandboxes.has_layer(stray)
        assert len((await shelf(platform)).environments) == 3


async def test_a_person_removes_and_cleans(house: House) -> None:
    def pullwright(*words: str) -> object:
        env = {**os.environ, "PULLWRIGHT_HOME": str(house.home)}
        command = [sys.executable, "-m", "pullwright", "env", *words, "--json"]
        return json.loads(subprocess.run(command, env=env, check=True, capture_output=True, timeout=60).stdout)

    listed = await asyncio.to_thread(pullwright, "list")
    assert isinstance(listed, list)
    assert [(one["needed"], one["held"], one["bytes"] > LARGE) for one in listed] == [(False, False, True)] * 3
    async with house.platform() as platform:
        assert (await remove_environments(platform, house.repositories["two"])).environments == 1
    cleaned = await asyncio.to_thread(pullwright, "clean", "--everything")
    assert isinstance(cleaned, dict)
    assert (cleaned["environments"], cleaned["kept"]) == (2, [])
    assert list((house.home / "sandboxes" / "uses").iterdir()) == []


def test_the_budget_leaves_room_for_others() -> None:
    assert budget(0, Disk(total=1000, free=1000)) == 200
    assert budget(100, Disk(total=1000, free=60)) == 110
    assert budget(100, Disk(total=1000, free=10)) == 60
    assert budget(10, Disk(total=1000, free=0)) == 0
