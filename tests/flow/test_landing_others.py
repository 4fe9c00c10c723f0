"""Other people's open pull requests are compared with a change before it is delivered, and never hold it up.

The worker, the workflows, git and HTTP are real; the forge's far side is `pullwright.testing`'s GitHub. The change is
made beforehand.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pullwright.cli.summary import landing_lines
from pullwright.domain.forge import GitHubEntry
from pullwright.domain.receipt import Receipt, Verdict
from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, State, Task, TaskRequest
from pullwright.domain.transcript import ChangeTaken, Chosen, ConflictsFound, Moved, Noticed, Verified
from pullwright.domain.value import attempt_id, new_task_id, now
from pullwright.flow.landing import landing
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.repos.change import change_between
from pullwright.settings import Settings
from pullwright.testing.forges.github import GitHub
from pullwright.testing.forges.side import Pull
from pullwright.testing.git_server import Fault
from pullwright.testing.http_server import Reply, Request
from pullwright.wiring import build

REPOSITORY = "team/tool"
LISTING = "GET */pulls?state=open*"


@dataclass
class Scene:
    """A platform, a forge, and a task whose change of `one` is ready to be delivered."""

    platform: Platform
    side: GitHub
    task: str
    reference: RepositoryRef

    async def worked(self) -> Task:
        """The worker has done what it can."""
        await asyncio.wait_for(work(self.platform, until=lambda: idle(self.platform)), 100)
        return await self.platform.record.task(self.task)

    async def told(self) -> list[ConflictsFound]:
        events = [one.event for one in await self.platform.record.events(self.task)]
        return [event for event in events if isinstance(event, ConflictsFound)]

    async def noticed(self) -> list[str]:
        events = [one.event for one in await self.platform.record.events(self.task)]
        return [event.text for event in events if isinstance(event, Noticed)]

    def opened(self, author: str, path: str, text: str, *, fork: str = "", base: str = "main", title: str = "T") -> int:
        """Somebody's pull request that writes a file, from a branch or from a fork's."""
        bare = self.side.git.path(REPOSITORY)
        number = self.side.next()
        commit = written(bare, base, {path: text})
        if not fork:
            git(bare, "update-ref", f"refs/heads/patch-{number}", commit)
        pull = Pull(number, author, title, "", f"patch-{number}", base, fork=fork, last=commit)
        self.side.pulls.setdefault(REPOSITORY, []).append(pull)
        return number


def git(path: Path, *words: str, data: str = "") -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", *identity, "-C", str(path), *words], input=data, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def written(bare: Path, parent: str | None, files: dict[str, str]) -> str:
    """A commit with these files instead of the parent's of these names."""
    listed = git(bare, "ls-tree", parent).splitlines() if parent else []
    lines = [line for line in listed if line.split("\t")[1] not in files]
    lines += [f"100644 blob {git(bare, 'hash-object', '-w', '--stdin', data=text)}\t{f}" for f, text in files.items()]
    tree = git(bare, "mktree", data="\n".join(lines) + "\n")
    return git(bare, "commit-tree", "-m", "m", *(("-p", parent) if parent else ()), tree)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    settings = Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")})
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(GitHub(tmp_path / "far"))
        platform = await stack.enter_async_context(build(settings, {"T": "t-owner"}))
        record = platform.record
        await record.save_forge(GitHubEntry(host=f"127.0.0.1:{side.port}", api=side.api, token_variable="T"))
        bare = await side.git.create(REPOSITORY)
        git(bare, "update-ref", "refs/heads/main", written(bare, None, {"one": "1\n", "two": "2\n"}))
        git(bare, "branch", "release", "main")
        reference = await platform.repositories.locate(f"{side.url}/{REPOSITORY}.git", tmp_path)
        store = await platform.repositories.fetch(reference)
        base = await store.resolve(None)
        choice = EngineChoice(engine="native", model="x")
        request = TaskRequest(prompt="Mend it", repository=reference, base_commit=base, attempts=(choice,), setup="")
        task = await record.submit(Task(id=new_task_id(), request=request, created=now()))
        attempt = attempt_id(task.id, 1)
        await record.add_attempt(Attempt(id=attempt, task=task.id, ordinal=1, engine="native", model="x"))
        head = written(store.path, base, {"one": "ours\n"})
        await record.append(attempt, ChangeTaken(change=await change_between(store, base, head)))
        await record.append(attempt, Verified(receipt=Receipt(verdict=Verdict.FIXED, reason="mended", created=now())))
        await record.append(attempt, Moved(state=State.DONE, reason="fixed: mended"))
        await record.append(task.id, Chosen(attempt=attempt, reasons=("the only one",)))
        yield Scene(platform, side, task.id, reference)


async def test_a_conflict_with_somebody_elses_pull_request_is_told(scene: Scene) -> None:
    theirs = scene.opened("ada`@bob<", "one", "theirs\n", fork="ada/tool", title="Mine\x1b[2J")
    apart = scene.opened("eve", "two", "theirs\n")
    scene.opened("eve", "one", "for another branch\n", base="release")
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    assert await scene.noticed() == []
    (found,) = await scene.told()
    assert [(rival.label, rival.paths, rival.first) for rival in found.rivals] == [
        (f"#{theirs} by adabob", ("one",), True)
    ]
    assert task.pull_request is not None
    ours = scene.side.pull(REPOSITORY, task.pull_request.number)
    assert f"- with #{theirs} by `adabob` in `one`; land #{theirs} first" in ours.body
    # Delivered, ours is on the forge, too, and counts once.
    looked = await landing(scene.platform, scene.reference)
    labels = [one.label for one in looked.order]
    assert len(labels) == 4
    assert {f"#{ours.number}", f"#{theirs} by adabob", f"#{apart} by eve"} < set(labels)
    assert [{one.one, one.other} for one in looked.clashes] == [{scene.task, f"#{theirs}"}]
    shown = "\n".join(line.text for line in landing_lines(looked.order, looked.clashes, looked.with_base))
    assert f"{scene.side.url}/{REPOSITORY}/pull/{theirs}" in shown
    assert "\x1b" not in shown
    # What is closed is out of the list, and its head out of the store.
    await scene.side.end(REPOSITORY, theirs, "closed")
    assert (await landing(scene.platform, scene.reference)).clashes == ()
    store = scene.platform.repositories.store(scene.reference)
    assert f"refs/pullwright/others/{theirs}" not in await store.refs("refs/pullwright/others/")


async def test_what_touches_something_else_is_no_conflict(scene: Scene) -> None:
    scene.opened("eve", "two", "theirs\n", fork="eve/tool")
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    assert await scene.told() == []
    assert len((await landing(scene.platform, scene.reference)).order) == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(LISTING, status=500, times=9), "answered 500"),
        (Fault(LISTING, status=429, headers={"retry-after": "60"}, times=9), "rate limit"),
        (Fault(LISTING, status=200, body=b'[{"number": "x"}]', times=9), "no list of them"),
        (Fault(LISTING, status=422, body=b'{"message": "\\u0000\\ud800"}', times=9), "refused GET"),
        (Fault(LISTING, status=200, body=b"nothing", times=9), "no list of them"),
    ],
    ids=["down", "rate-limited", "nonsense", "hostile-words", "no-json"],
)
async def test_a_forge_that_lists_nothing_never_holds_a_delivery_up(scene: Scene, fault: Fault, words: str) -> None:
    scene.opened("ada", "one", "theirs\n")
    scene.side.faults.append(fault)
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    (notice,) = await scene.noticed()
    assert notice.startswith("other people's open pull requests were not all looked at for conflicts: ")
    assert words in notice
    assert await scene.told() == []
    assert (await landing(scene.platform, scene.reference)).untold == notice


async def test_one_head_that_is_not_had_leaves_the_others(scene: Scene) -> None:
    theirs = scene.opened("ada", "one", "theirs\n", fork="ada/tool")
    gone = scene.side.pull(REPOSITORY, scene.opened("eve", "one", "hers\n", fork="eve/tool"))
    lost = gone.last

    def forget(request: Request, _reply: Reply | None) -> None:
        """Between the answer and the transfer her branch moves, and its old commit is tidied up."""
        if "state=open" in request.query and gone.last == lost:
            gone.last = scene.side.pull(REPOSITORY, theirs).last
            (scene.side.git.path(REPOSITORY) / "objects" / lost[:2] / lost[2:]).unlink()

    scene.side.watch = forget
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    assert gone.last != lost
    (found,) = await scene.told()
    assert [rival.label for rival in found.rivals] == [f"#{theirs} by ada"]
