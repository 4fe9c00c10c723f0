"""What becomes of a task at each answer of its forge: the table in docs/delivery.md, row by row.

The worker, the workflows, git and HTTP are real; the forge's far side is `pullwright.testing`'s GitHub. The change is
made beforehand, so that each row is about its delivery alone.
"""

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pullwright.domain.commits import CommitRules, FollowUps
from pullwright.domain.forge import GitHubEntry
from pullwright.domain.receipt import Receipt, Verdict
from pullwright.domain.task import Attempt, EngineChoice, State, TakenUp, Task, TaskRequest
from pullwright.domain.transcript import ChangeTaken, Chosen, Moved, Noticed, Verified
from pullwright.domain.value import attempt_id, new_task_id, now
from pullwright.flow import followup
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.repos.change import change_between
from pullwright.settings import Settings
from pullwright.testing.forges.github import GitHub
from pullwright.testing.forges.side import Pull
from pullwright.testing.git_server import Fault
from pullwright.wiring import build

REPOSITORY = "team/tool"
DOCS = Path(__file__).parents[2] / "docs" / "delivery.md"


@dataclass
class Scene:
    """A platform, a forge, and a task whose change is ready to be delivered."""

    platform: Platform
    side: GitHub
    task: str
    branch: str

    async def worked(self) -> Task:
        """The worker has done what it can."""
        await asyncio.wait_for(work(self.platform, until=lambda: idle(self.platform)), 100)
        return await self.now()

    async def now(self) -> Task:
        return await self.platform.record.task(self.task)

    async def change(self, text: str, verdict: Verdict = Verdict.FIXED) -> str:
        """The attempt has (another) change, verified."""
        record, task = self.platform.record, await self.now()
        store = self.platform.repositories.store(task.request.repository)
        base = task.request.base_commit
        blob = (await store.run("hash-object", "-w", "--stdin", stdin=text.encode())).decode().strip()
        listed = await store.run("ls-tree", base)
        tree = await store.run("mktree", stdin=listed + f"100644 blob {blob}\tchange\n".encode())
        head = await store.commit(tree.decode().strip(), base, f"Say {text}")
        attempt = attempt_id(self.task, 1)
        if (await record.attempt(attempt)).state.final:
            await record.append(attempt, Moved(state=State.QUEUED))
        await record.append(attempt, ChangeTaken(change=await change_between(store, base, head)))
        receipt = Receipt(verdict=verdict, reason="a test that failed passes", created=now())
        await record.append(attempt, Verified(receipt=receipt))
        await record.append(attempt, Moved(state=State.DONE, reason=f"{verdict}: {receipt.reason}"))
        if task.state.final:
            await record.append(self.task, Moved(state=State.QUEUED))
        return head

    def git(self, *words: str) -> str:
        return git(self.side.git.path(REPOSITORY), *words)

    @property
    def pulls(self) -> list[Pull]:
        return self.side.pulls.get(REPOSITORY, [])

    def commit_there(self, branch: str) -> str:
        """A person's commit on a branch of the forge."""
        made = self.git("commit-tree", "-p", branch, "-m", "theirs", self.git("rev-parse", f"{branch}^{{tree}}"))
        self.git("update-ref", f"refs/heads/{branch}", made)
        return made


def git(path: Path, *words: str, data: str = "") -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", *identity, "-C", str(path), *words], input=data, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    settings = Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")})
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(GitHub(tmp_path / "far"))
        platform = await stack.enter_async_context(build(settings, {"T": "t-owner"}))
        entry = GitHubEntry(host=f"127.0.0.1:{side.port}", api=side.api, token_variable="T")
        await platform.record.save_forge(entry)
        bare = await side.git.create(REPOSITORY)
        blob = git(bare, "hash-object", "-w", "--stdin", data="hello\n")
        git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", "-m", "1", mktree(bare, blob)))
        git(bare, "branch", "release", "main")
        reference = await platform.repositories.locate(f"{side.url}/{REPOSITORY}.git", tmp_path)
        store = await platform.repositories.fetch(reference)
        request = TaskRequest(
            prompt="Mend it",
            repository=reference,
            base="release",
            base_commit=await store.resolve("release"),
            attempts=(EngineChoice(engine="native", model="x"),),
            setup="",
        )
        task = await platform.record.submit(Task(id=new_task_id(), request=request, created=now()))
        attempt = attempt_id(task.id, 1)
        await platform.record.add_attempt(Attempt(id=attempt, task=task.id, ordinal=1, engine="native", model="x"))
        scene = Scene(platform, side, task.id, f"pullwright/{task.id}")
        await scene.change("one")
        await platform.record.append(task.id, Chosen(attempt=attempt, reasons=("the only one",)))
        yield scene


def mktree(bare: Path, blob: str) -> str:
    return git(bare, "mktree", data=f"100644 blob {blob}\tREADME\n")


async def states(scene: Scene) -> list[tuple[State, str | None]]:
    events = await scene.platform.record.events(scene.task)
    return [(one.event.state, one.event.waiting_for) for one in events if isinstance(one.event, Moved)]


async def waits_and_goes_on(scene: Scene, *faults: Fault) -> str:
    scene.side.faults[:] = faults
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    waited = [text or "" for state, text in await states(scene) if state is State.WAITING]
    assert waited
    await one_of_each(scene)
    return waited[0]


async def one_of_each(scene: Scene) -> None:
    (pull,) = scene.pulls
    assert pull.head == scene.branch
    assert len(pull.comments) == 1
    task = await scene.now()
    assert task.pull_request is not None
    assert scene.git("rev-parse", scene.branch) == task.pull_request.head
    heads = scene.git("for-each-ref", "--format=%(refname:short)", "refs/heads/").split()
    assert set(heads) - {"main"} == {scene.branch, "release"}


async def fails_and_is_kept(scene: Scene, words: str, remedy: str = "deliver") -> Task:
    task = await scene.worked()
    assert task.state is State.FAILED
    assert re.search(words, task.reason or ""), task.reason
    assert f"task {remedy} {scene.task}" in (task.reason or "")
    (attempt,) = task.attempts
    assert attempt.head
    assert attempt.state is State.DONE
    return task


async def delivered_again(scene: Scene) -> Task:
    await followup.deliver_again(scene.platform, scene.task)
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    return task


async def forge_down(scene: Scene) -> None:
    down = Fault("POST */pulls", status=503, headers={"retry-after": "0"}, times=2)
    assert "503" in await waits_and_goes_on(scene, down)


async def rate_limited(scene: Scene) -> None:
    limited = Fault(
        "POST */issues/*", status=403, headers={"retry-after": "0"}, body=b'{"message": "secondary rate limit"}'
    )
    assert "rate limit" in await waits_and_goes_on(scene, limited)


async def answer_lost(scene: Scene) -> None:
    lost = Fault("POST */pulls", after=True)
    await waits_and_goes_on(scene, lost)


async def permission_denied(scene: Scene) -> None:
    scene.side.faults[:] = [Fault("*service=git-receive-pack", status=403)]
    await fails_and_is_kept(scene, "may not be written to")
    assert scene.pulls == []
    await delivered_again(scene)
    await one_of_each(scene)


async def branch_protected(scene: Scene) -> None:
    scene.side.git.protect(REPOSITORY, "pullwright/*")
    await fails_and_is_kept(scene, "protects .* by a rule")
    assert scene.pulls == []
    scene.side.git.protect(REPOSITORY)
    await delivered_again(scene)
    await one_of_each(scene)


async def base_deleted(scene: Scene) -> None:
    scene.git("update-ref", "-d", "refs/heads/release")
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    (pull,) = scene.pulls
    assert pull.base == "main"
    assert "`release`" in pull.body


async def base_force_pushed(scene: Scene) -> None:
    tree = scene.git("rev-parse", "release^{tree}")
    scene.git("update-ref", "refs/heads/release", scene.git("commit-tree", "-m", "rewritten", tree))
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    await one_of_each(scene)
    events = [one.event for one in await scene.platform.record.events(scene.task)]
    assert any(isinstance(event, Noticed) and "release was rewritten" in event.text for event in events)


async def closed_by_a_person(scene: Scene) -> None:
    await scene.worked()
    first = scene.git("rev-parse", scene.branch)
    await scene.side.end(REPOSITORY, scene.pulls[0].number, "closed")
    await scene.change("two")
    await fails_and_is_kept(scene, "closed by a person")
    assert scene.git("rev-parse", scene.branch) == first
    assert [pull.state for pull in scene.pulls] == ["closed"]
    scene.pulls[0].state = "open"
    await delivered_again(scene)
    await one_of_each(scene)


async def merged_by_a_person(scene: Scene) -> None:
    await scene.worked()
    await scene.side.end(REPOSITORY, scene.pulls[0].number, "merged")
    await followup.deliver_again(scene.platform, scene.task)
    assert (await scene.worked()).state is State.DONE  # this very change
    await scene.change("two")
    await fails_and_is_kept(scene, "merged by a person.*new task")
    assert [pull.state for pull in scene.pulls] == ["merged"]


async def name_taken(scene: Scene) -> None:
    scene.git("branch", scene.branch, "main")
    task = await scene.worked()
    assert task.state is State.DONE, task.reason
    assert task.pull_request is not None
    assert task.pull_request.branch == f"{scene.branch}-2"
    assert scene.git("rev-parse", scene.branch) == scene.git("rev-parse", "main")
    assert [pull.head for pull in scene.pulls] == [f"{scene.branch}-2"]


async def persons_commits(scene: Scene) -> None:
    await scene.worked()
    theirs = scene.commit_there(scene.branch)
    await scene.change("two")
    await fails_and_is_kept(scene, f"stands at {theirs[:12]}.*left as it is", remedy="update")
    assert scene.git("rev-parse", scene.branch) == theirs
    assert len(scene.pulls) == 1


ROWS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "forge down": forge_down,
    "rate limited": rate_limited,
    "answer lost": answer_lost,
    "permission denied": permission_denied,
    "branch protected": branch_protected,
    "base deleted": base_deleted,
    "base force-pushed": base_force_pushed,
    "pull request closed by a person": closed_by_a_person,
    "pull request merged by a person": merged_by_a_person,
    "name taken": name_taken,
    "a person's commits on our branch": persons_commits,
}


@pytest.mark.parametrize("row", ROWS)
async def test_what_becomes_of_a_task(row: str, scene: Scene) -> None:
    await ROWS[row](scene)


def test_the_table_has_these_rows_and_no_others() -> None:
    table = DOCS.read_text().partition("| what the forge says |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    assert rows == list(ROWS)


async def test_who_asks_to_stop_is_heard_while_a_forge_is_waited_for(scene: Scene) -> None:
    from pullwright.flow import desk

    scene.side.faults[:] = [Fault(status=503, headers={"retry-after": "3600"}, times=1000)]
    working = asyncio.create_task(scene.worked())
    while (await scene.now()).state is not State.WAITING:
        assert not working.done()
        await asyncio.sleep(0.05)
    assert "the forge" in ((await scene.now()).waiting_for or "")
    await desk.cancel(scene.platform, scene.task)
    assert (await working).state is State.CANCELLED


async def test_a_forge_that_stays_down_is_given_up(scene: Scene) -> None:
    scene.side.faults[:] = [Fault("GET */pulls?*", status=503, headers={"retry-after": "100000"}, times=1000)]
    task = await fails_and_is_kept(scene, "so it has been for 24 hours")
    assert task.pull_request is None


@pytest.mark.parametrize("onto", [False, True])
async def test_a_change_of_a_persons_pull_request_goes_where_it_was_asked_to(scene: Scene, onto: bool) -> None:
    theirs = Pull(scene.side.next(), "owner", "Theirs", "Their words", "release", "main")
    scene.side.pulls[REPOSITORY] = [theirs]
    request = (await scene.now()).request
    taken = TakenUp(number=theirs.number, branch="release", target="release", onto=onto)
    request = request.model_copy(update={"taken_up": taken, "commits": CommitRules(follow_ups=FollowUps.APPEND)})
    again = await scene.platform.record.submit(Task(id=new_task_id(), request=request, created=now()))
    attempt = attempt_id(again.id, 1)
    await scene.platform.record.add_attempt(Attempt(id=attempt, task=again.id, ordinal=1, engine="native", model="x"))
    await scene.platform.record.append(scene.task, Moved(state=State.CANCELLED))
    other = Scene(scene.platform, scene.side, again.id, f"pullwright/{again.id}")
    head = await other.change("three")
    await scene.platform.record.append(again.id, Chosen(attempt=attempt, reasons=()))
    task = await other.worked()
    assert task.state is State.DONE, task.reason
    assert task.pull_request is not None
    assert (theirs.title, theirs.body) == ("Theirs", "Their words")
    if onto:
        assert [pull.number for pull in scene.pulls] == [theirs.number]
        assert scene.git("rev-parse", "release") == head == task.pull_request.head
        assert task.pull_request.number == theirs.number
        assert len(theirs.comments) == 1
    else:
        ours = scene.pulls[-1]
        assert (ours.head, ours.base) == (other.branch, "release")
        assert theirs.comments == []
        assert scene.git("rev-parse", "release") != head
