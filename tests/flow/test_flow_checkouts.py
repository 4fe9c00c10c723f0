"""Workspaces from kept checkouts: forked, moved by the difference, flattened; git inside has the whole history."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from pullwright.domain.environment import Environment, Origin, Setting
from pullwright.domain.task import EngineChoice, Task, TaskRequest
from pullwright.domain.value import now
from pullwright.flow.checkouts import MOST_LAYERS
from pullwright.flow.environment import Environments, checkout, machine_spec
from pullwright.flow.freshness import moved_base
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import ExecRequest, Sandbox
from pullwright.settings import Settings
from pullwright.wiring import build

FILES = 40


def git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def commit(repository: Path, files: Mapping[str, str | None], message: str = "work") -> str:
    for name, text in files.items():
        path = repository / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", message)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "proj"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    commit(path, {f"pkg/m{n}.py": f"n = {n}\n" for n in range(FILES)} | {".gitignore": "*.out\n"}, "first")
    git(path, "tag", "-a", "-m", "one", "v1")
    git(path, "branch", "other")
    return path


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with build(Settings(home=tmp_path / "home")) as made:
        yield made


async def quiet(_: object) -> None:
    return None


class House:
    """Environments over one repository."""

    def __init__(self, platform: Platform, repository: Path) -> None:
        self.platform, self.repository = platform, repository
        self.environments = Environments(platform)

    async def request(self, base: str) -> TaskRequest:
        repositories = self.platform.repositories
        reference = await repositories.locate(str(self.repository), Path("/"))
        await repositories.fetch(reference)
        return TaskRequest(
            prompt="x", repository=reference, base_commit=base, attempts=(EngineChoice(engine="repair"),)
        )

    async def layers(self, base: str, environment: Environment | None = None) -> tuple[str, ...]:
        return await self.environments.layers(await self.request(base), environment or Environment(), "w", quiet)

    async def start(self, base: str, environment: Environment | None = None) -> Sandbox:
        layers = await self.layers(base, environment)
        store = self.platform.repositories.store((await self.request(base)).repository)
        return await self.platform.sandboxes.start(
            machine_spec(self.platform, store, environment or Environment(), "w", layers)
        )


@pytest.fixture
def house(platform: Platform, repository: Path) -> House:
    return House(platform, repository)


async def sh(sandbox: Sandbox, script: str) -> str:
    result = await sandbox.run(ExecRequest(argv=("sh", "-c", script), merge=True))
    assert result.exit_code == 0, result.stdout
    return result.stdout.decode()


async def test_a_new_commit_is_the_nearest_checkout_and_the_difference(house: House, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    second = commit(repository, {"pkg/m0.py": "n = -1\n", "pkg/m1.py": None, "new/a.py": "a\n"}, "second")
    whole = await house.layers(first)
    assert await house.layers(first) == whole
    moved = await house.layers(second)
    assert moved[: len(whole)] == whole
    assert len(moved) == len(whole) + 1

    sandbox = await house.start(second)
    try:
        assert await sh(sandbox, "git status --porcelain") == ""
        assert await sh(sandbox, "cat pkg/m0.py new/a.py; test ! -e pkg/m1.py") == "n = -1\na\n"
        assert len((await sh(sandbox, "find pkg -type f")).split()) == FILES - 1
        # A layer of the difference holds the difference: the other files are in the one below.
        top = house.platform.settings.sandboxes / "layers" / moved[-1] / "workspace"
        assert {path.name for path in (top / "pkg").iterdir()} == {"m0.py", "m1.py"}
    finally:
        await sandbox.stop()


async def test_git_just_works_inside_on_a_store_that_cannot_be_damaged(house: House, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    second = commit(repository, {"pkg/m0.py": "n = -1\n"}, "second")
    sandbox = await house.start(second)
    try:
        assert await sh(sandbox, "git log --format=%s") == "second\nfirst\n"
        assert await sh(sandbox, "git describe --tags") == f"v1-1-g{second[:7]}\n"
        assert await sh(sandbox, "git rev-parse v1^{commit} origin/other") == f"{first}\n{first}\n"
        assert "second" in await sh(sandbox, "git log -p -1 -- pkg/m0.py")
        assert (await sh(sandbox, "git blame -s pkg/m0.py")).startswith(second[:7])
        await sh(sandbox, "git switch -q -c mine v1 && echo 1 >>pkg/m5.py && git commit -qam mine")
        await sh(sandbox, "git rebase -q pullwright && git log --format=%s | grep -c . | grep -qx 3")
        await sh(
            sandbox, "git branch -D pullwright && git tag -d v1 && git pack-refs --all && git gc --quiet --prune=now"
        )
        assert await sh(sandbox, "git fsck --connectivity-only 2>&1 | grep -v -e notice -e dangling || true") == ""
        denied = "touch /opt/pullwright/objects/x 2>&1 || rm -rf /opt/pullwright/objects/* 2>&1 || true"
        assert "Read-only file system" in await sh(sandbox, denied)
    finally:
        await sandbox.stop()
    store = house.platform.repositories.store((await house.request(second)).repository)
    await store.run("fsck", "--connectivity-only")


async def test_a_stack_gets_only_so_deep_and_a_far_commit_is_laid_out_whole(house: House, repository: Path) -> None:
    depths = []
    for number in range(MOST_LAYERS + 1):
        newer = commit(repository, {"pkg/m0.py": f"n = {number + 100}\n", f"more/{number}": f"{number}\n"})
        depths.append(len(await house.layers(newer)))
    assert depths[:2] == [1, 2]
    assert max(depths) <= MOST_LAYERS
    git(repository, "rm", "-q", "-r", "pkg")
    far = commit(repository, {"only": "this\n"})
    assert len(await house.layers(far)) == 1
    sandbox = await house.start(far)
    try:
        assert await sh(sandbox, "git status --porcelain; test ! -e pkg; cat only") == "this\n"
    finally:
        await sandbox.stop()


async def test_checkouts_asked_for_at_once_are_made_once(house: House, repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    stacks = await asyncio.gather(*(house.layers(head) for _ in range(6)))
    assert len(set(stacks)) == 1


async def test_a_layer_that_is_gone_is_made_again(house: House, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    second = commit(repository, {"pkg/m0.py": "n = -1\n"})
    moved = await house.layers(second) if await house.layers(first) else ()
    await house.platform.sandboxes.drop_layer(moved[0])
    again = await house.layers(second)
    assert len(again) == 1
    assert moved[0] not in again


async def test_what_maintenance_leaves_is_there_and_nobodys_work(house: House, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    second = commit(repository, {"pkg/m0.py": "n = -1\n"})
    script = "echo built >built; echo out >x.out; echo changed >>pkg/m3.py; git log --format=%s -1 >>x.out"
    upkeep = Environment(maintenance=Setting(command=script, origin=Origin.FILE))
    for base in (first, second):
        sandbox = await house.start(base, upkeep)
        try:
            assert await sh(sandbox, "git status --porcelain; cat built; git diff --stat") == "built\n"
            moved = second if base == first else first
            await checkout(sandbox, moved)
            assert await sh(sandbox, "git status --porcelain; cat built") == "built\n"
        finally:
            await sandbox.stop()
    # The checkouts below are those of every environment; only what maintenance wrote is its own.
    assert (await house.layers(second, upkeep))[:-1] == await house.layers(second)


async def test_a_base_that_has_moved_is_told(house: House, repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    request = await house.request(first)
    fetched = house.platform.repositories.store(request.repository).fetched
    task = Task(id="t", request=request.model_copy(update={"fetched": fetched}), created=now())
    assert await moved_base(house.platform, task) is None
    second = commit(repository, {"new": "n\n"})
    said = await moved_base(house.platform, task)
    assert said is not None
    assert f"main has moved on by 1 commit to {second[:12]} since this work began on {first[:12]}, fetched 20" in said
    assert "pullwright task update t" in said
    git(repository, "commit", "-q", "--amend", "-m", "another beginning")
    git(repository, "update-ref", "refs/heads/main", git(repository, "commit-tree", "HEAD^{tree}", "-m", "root"))
    assert "was rewritten" in (await moved_base(house.platform, task) or "")
    at_a_commit = task.model_copy(update={"request": task.request.model_copy(update={"base": first})})
    assert await moved_base(house.platform, at_a_commit) is None
    repository.rename(repository.with_name("away"))
    assert await moved_base(house.platform, task) is None
