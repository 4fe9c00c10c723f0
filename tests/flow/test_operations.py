"""What is done with git around a change: commits in the right name, updates, reverts, backports, landing order."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pullwright.domain.errors import DiskFull, UsageError
from pullwright.domain.task import State, Task
from pullwright.flow import desk, operations
from pullwright.flow.landing import landing
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.faults import Faults, fill_disk, with_faults
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

CHECK = "python3 -m unittest -v"
SUMS = "def add(a, b):\n    return a - b\n\n\n# apart\n#\n#\n\n\ndef twice(a):\n    return a + a\n"
TEST = (
    "import unittest\n\nfrom sums import add, twice\n\n\nclass TestSums(unittest.TestCase):\n"
    "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n\n"
    "    def test_twice(self):\n        self.assertEqual(twice(2), 4)\n"
)


def git(repository: Path, *words: str, person: str = "A Person") -> str:
    identity = ("-c", f"user.name={person}", "-c", "user.email=person@localhost", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", *identity, "-C", str(repository), *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.strip()


def a_repository(path: Path) -> Path:
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    return committed(path, {"sums.py": SUMS, "test_sums.py": TEST}, "First")


def committed(path: Path, files: dict[str, str], message: str) -> Path:
    for name, text in files.items():
        (path / name).write_text(text)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", message)
    return path


def edit(old: str, new: str, summary: str = "It adds now.") -> str:
    command = f"sed -i 's/{old}/{new}/' sums.py"
    return (
        f'[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{command}" }}\n'
        f'[[step]]\n[[step.call]]\ntool = "finish"\narguments = {{ summary = "{summary}" }}\n'
    )


FIX = edit("a - b", "a + b")


@asynccontextmanager
async def at_work(home: Path, script: str = FIX, **variables: str) -> AsyncIterator[Platform]:
    """The platform as it ships over a scripted model."""
    async with ModelServer(Scenario.parse(script)) as server:
        chosen = {"PULLWRIGHT_HOME": str(home), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test", **variables}
        async with build(Settings.from_environment(chosen)) as platform:
            yield platform


async def finished(platform: Platform, task: Task) -> Task:
    await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
    return await platform.record.task(task.id)


async def handed_in(platform: Platform, repository: Path, **fields: object) -> Task:
    """A task that a model has worked on to its end."""
    order = desk.Order(
        prompt="Fix the failing test",
        repository=str(repository),
        cwd=repository,
        **{"setup": "", "check": CHECK, "models": ("openai:scripted",), **fields},  # type: ignore[arg-type]
    )
    return await finished(platform, await desk.submit(platform, order))


def a_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=60)
    return path


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")
async def test_a_delivered_commit_is_in_the_right_names_and_signed(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    git(repository, "config", "user.name", "Ada")
    git(repository, "config", "user.email", "ada@example.org")
    key = a_key(tmp_path / "key")
    seen = (
        '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = { cmd = "cat ' + str(key) + ' || echo unseen" }\n'
    )
    variables = {
        "PULLWRIGHT_AUTHOR": "Bot <bot@example.org>",
        "PULLWRIGHT_COMMITTER": "House <house@example.org>",
        "PULLWRIGHT_SIGNING_KEY": str(key),
        "PULLWRIGHT_BRANCH": "{user}/{slug}-{task}",
    }
    async with at_work(tmp_path, seen + FIX, **variables) as platform:
        task = await handed_in(platform, repository)
        assert task.state is State.DONE, task.reason
        assert task.pull_request is not None
        assert task.pull_request.branch == f"ada/fix-the-failing-test-{task.id}"
        log = [r.event for r in await platform.record.events(task.attempts[0].id) if r.event.kind == "tool-returned"]
        assert "unseen" in log[0].output.text
    branch = task.pull_request.branch
    assert (
        git(repository, "log", "-1", "--format=%an|%ae|%cn|%ce", branch)
        == "Bot|bot@example.org|House|house@example.org"
    )
    trailers = git(repository, "log", "-1", "--format=%(trailers:key=Co-authored-by,valueonly)", branch)
    assert trailers == "Ada <ada@example.org>"
    allowed = tmp_path / "allowed"
    allowed.write_text(f"house@example.org {key.with_suffix('.pub').read_text()}")
    settings = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}")
    git(repository, *settings, "verify-commit", branch)


async def test_a_branch_may_be_named_and_is_not_given_twice(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    async with at_work(tmp_path, FIX) as platform:
        task = await handed_in(platform, repository, branch="mend/sums", co_authors=("none",))
        assert task.pull_request is not None
        assert task.pull_request.branch == "mend/sums"
        assert "Co-authored-by" not in git(repository, "log", "-1", "--format=%B", "mend/sums")
        with pytest.raises(UsageError, match="has a branch mend/sums already"):
            await handed_in(platform, repository, branch="mend/sums")


def on_main(repository: Path, files: dict[str, str], message: str = "Meanwhile") -> str:
    """A commit of a person's on main."""
    git(repository, "checkout", "-q", "main")
    committed(repository, files, message)
    return git(repository, "rev-parse", "main")


def on_branch(repository: Path, branch: str, files: dict[str, str], message: str = "A person's own") -> str:
    """A commit of a person's on a delivered branch."""
    git(repository, "checkout", "-q", branch)
    committed(repository, files, message)
    head = git(repository, "rev-parse", branch)
    git(repository, "checkout", "-q", "main")
    return head


def branch_of(task: Task) -> str:
    assert task.pull_request is not None
    return task.pull_request.branch


TWICE = SUMS.replace("return a + a", "return 2 * a")


@pytest.mark.parametrize("how", ["merge", pytest.param("rebase", marks=pytest.mark.long)])
async def test_a_branch_is_brought_up_to_date_and_verified_again(tmp_path: Path, how: str) -> None:
    repository = a_repository(tmp_path / "repository")
    async with at_work(tmp_path) as platform:
        task = await handed_in(platform, repository)
        first = task.pull_request
        assert first is not None
        assert not (await operations.update(platform, task.id, how=how)).needed
        tip = on_main(repository, {"sums.py": TWICE, "new.txt": "new\n"})
        updated = await operations.update(platform, task.id, how=how)
        assert updated.needed
        task = await finished(platform, updated.task)
        assert task.state is State.DONE, task.reason
        assert task.pull_request is not None
        assert (task.pull_request.number, task.pull_request.branch) == (first.number, first.branch)
        receipts = [r.event for r in await platform.record.events(task.attempts[0].id) if r.event.kind == "verified"]
        assert receipts[-1].receipt.checks[0].commit == tip
        assert len(receipts) == 2
        assert not (await operations.update(platform, task.id, how=how)).needed
        assert task.attempts[0].usage.requests == 2, "no model was asked for it"
    head = git(repository, "rev-parse", first.branch)
    assert head == task.pull_request.head
    assert git(repository, "show", f"{head}:sums.py") == TWICE.replace("a - b", "a + b").strip()
    assert git(repository, "show", f"{head}:new.txt") == "new"
    parents = git(repository, "show", "-s", "--format=%P", head).split()
    assert parents == ([first.head, tip] if how == "merge" else [tip])
    assert git(repository, "log", "-1", "--format=%s", head).startswith(
        "Merge main at" if how == "merge" else "It adds"
    )


RESOLVE = (
    '[[step]]\n[[step.call]]\ntool = "exec_command"\n'
    "arguments = { cmd = \"cat sums.py; python3 - <<E\\nimport re\\nt=open('sums.py').read()\\n"
    "t=re.sub('<<<<<<<[^>]*>>>>>>>[^\\\\\\\\n]*', '    return b + a', t)\\nopen('sums.py','w').write(t)\\nE\" }\n"
    '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "Both are met." }\n'
)


@pytest.mark.parametrize("how", ["merge", pytest.param("rebase", marks=pytest.mark.long)])
async def test_conflicts_are_the_engines_work(tmp_path: Path, how: str) -> None:
    repository = a_repository(tmp_path / "repository")
    async with at_work(tmp_path, FIX + RESOLVE) as platform:
        task = await handed_in(platform, repository)
        first = task.pull_request
        assert first is not None
        tip = on_main(repository, {"sums.py": SUMS.replace("a - b", "a  -  b")})
        updated = await operations.update(platform, task.id, how=how)
        assert "conflicts in sums.py" in updated.text
        task = await finished(platform, updated.task)
        assert task.state is State.DONE, task.reason
        log = await platform.record.events(task.attempts[0].id)
        said = [r.event for r in log if r.event.kind == "person-said"]
        assert [event.by for event in said] == ["platform"]
        assert "- sums.py" in said[0].text
        returned = [r.event for r in log if r.event.kind == "tool-returned"]
        assert "<<<<<<<" in returned[-2].output.text, "the engine found the markers in its workspace"
    assert git(repository, "show", f"{first.branch}:sums.py") == SUMS.replace("a - b", "b + a").strip()
    parents = git(repository, "show", "-s", "--format=%P", first.branch).split()
    assert parents == ([first.head, tip] if how == "merge" else [tip])


async def test_conflicts_that_stay_leave_what_was_delivered(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    shrug = '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "Done, I think." }\n'
    async with at_work(tmp_path, FIX + shrug + RESOLVE) as platform:
        task = await handed_in(platform, repository)
        first = task.pull_request
        on_main(repository, {"sums.py": SUMS.replace("a - b", "a  -  b")})
        task = await finished(platform, (await operations.update(platform, task.id)).task)
        assert task.state is State.FAILED
        assert "the conflicts in sums.py were not resolved" in (task.reason or "")
        assert task.pull_request == first
        assert git(repository, "rev-parse", branch_of(task)) == first.head if first else False
        # Asked once more, it begins from what was delivered, not from the markers.
        task = await finished(platform, (await operations.update(platform, task.id)).task)
        assert task.state is State.DONE, task.reason
    assert git(repository, "show", f"{branch_of(task)}:sums.py") == SUMS.replace("a - b", "b + a").strip()


@pytest.mark.long
async def test_what_could_not_be_joined_is_tried_again(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    more = edit("a + b", "b + a", "The other way round.")
    shrug = '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "Done, I think." }\n'
    resolve = RESOLVE.replace("return b + a", "return sum((a, b))")
    async with at_work(tmp_path, FIX + more + shrug + resolve) as platform:
        task = await handed_in(platform, repository)
        # What we make next is kept from the branch by a change of its own, so that both sides have something new.
        branch = branch_of(task)
        git(repository, "checkout", "-q", branch)
        await desk.message(platform, task.id, "The other way round, please")
        task = await finished(platform, await platform.record.task(task.id))
        assert task.state is State.FAILED, "the branch is checked out"
        committed(repository, {"sums.py": SUMS.replace("a - b", "a  +  b")}, "Wider")
        theirs = git(repository, "rev-parse", branch)
        git(repository, "checkout", "-q", "main")
        task = await finished(platform, (await operations.update(platform, task.id)).task)
        assert "the conflicts in sums.py were not resolved" in (task.reason or "")
        assert git(repository, "rev-parse", branch) == theirs
        task = await finished(platform, (await operations.update(platform, task.id)).task)
        assert task.state is State.DONE, task.reason
    assert git(repository, "rev-parse", f"{branch}^") == theirs
    assert "return sum((a, b))" in git(repository, "show", f"{branch}:sums.py")


@pytest.mark.long
async def test_an_engine_that_cannot_resolve_conflicts_is_not_asked(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    git(repository, "branch", "v1")
    async with at_work(tmp_path) as platform:
        task = await handed_in(platform, repository)
        (backport,) = await operations.backport(platform, task.id, ("v1",))
        backport = await finished(platform, backport)
        assert backport.state is State.DONE, backport.reason
        git(repository, "checkout", "-q", "v1")
        committed(repository, {"sums.py": SUMS.replace("a - b", "a  -  b")}, "Otherwise")
        with pytest.raises(UsageError, match=r"conflicts in sums\.py, which git alone cannot resolve"):
            await operations.update(platform, backport.id)
        assert (await platform.record.task(backport.id)).state is State.DONE


async def test_a_persons_commits_are_gone_on_from(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    more = edit("return a + a", "return 2 * a", "Twice, too.")
    async with at_work(tmp_path, FIX + more) as platform:
        task = await handed_in(platform, repository)
        first = task.pull_request
        assert first is not None
        theirs = on_branch(repository, first.branch, {"notes.txt": "mine\n"})
        await desk.message(platform, task.id, "And twice, please")
        task = await finished(platform, await platform.record.task(task.id))
        assert task.state is State.DONE, task.reason
        assert branch_of(task) == first.branch
        assert task.pull_request is not None
        assert task.pull_request.number == first.number
        # Theirs is below ours, and ours holds both.
        assert git(repository, "rev-parse", f"{first.branch}^") == theirs
        assert git(repository, "show", f"{first.branch}:notes.txt") == "mine"
        assert git(repository, "show", f"{first.branch}:sums.py") == TWICE.replace("a - b", "a + b").strip()
        # With nothing to do but take theirs up, theirs is the head, and it is what is verified.
        again = on_branch(repository, first.branch, {"notes.txt": "more\n"})
        task = await finished(platform, (await operations.update(platform, task.id)).task)
        assert task.state is State.DONE, task.reason
        assert task.pull_request is not None
        assert task.pull_request.head == again == git(repository, "rev-parse", first.branch)
        assert task.attempts[0].receipt is not None
        assert task.attempts[0].receipt.checks[-1].commit != first.head
        on_main(repository, {"other.txt": "o\n"})
        with pytest.raises(UsageError, match="--merge"):
            await operations.update(platform, task.id, how="rebase")


async def test_a_change_is_reverted_by_git_alone(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    only = edit("return a + a", "return 2 * a", "Twice by two.")
    async with at_work(tmp_path, only) as platform:
        task = await handed_in(platform, repository)
        with pytest.raises(UsageError, match="does not hold the change"):
            await operations.revert(platform, task.id)
        git(repository, "merge", "-q", "--squash", branch_of(task))
        git(repository, "commit", "-q", "-m", "Squashed")
        on_main(repository, {"new.txt": "new\n"})
        back = await finished(platform, await operations.revert(platform, task.id))
        assert back.id != task.id
        assert back.attempts[0].engine == "git"
        assert back.attempts[0].receipt is not None
        assert back.pull_request is not None
        assert back.pull_request.number == 2
        branch = branch_of(back)
        assert git(repository, "show", f"{branch}:sums.py") == SUMS.strip()
        assert git(repository, "show", f"{branch}:new.txt") == "new"
        assert git(repository, "log", "-1", "--format=%s", branch) == 'Revert "Twice by two"'
        with pytest.raises(UsageError, match="does not read messages"):
            await desk.message(platform, back.id, "more")


async def test_a_change_is_carried_over_to_other_branches(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    git(repository, "branch", "v1")
    git(repository, "checkout", "-q", "-b", "v2")
    committed(repository, {"new.txt": "2\n"}, "Two")
    on_main(repository, {"only-main.txt": "m\n"})
    async with at_work(tmp_path) as platform:
        task = await handed_in(platform, repository)
        with pytest.raises(UsageError, match="no branch"):
            await operations.backport(platform, task.id, ("v1", "v3"))
        backports = await operations.backport(platform, task.id, ("v1", "v2"))
        ended = [await finished(platform, one) for one in backports]
        assert [one.state for one in ended] == [State.DONE, State.DONE], [one.reason for one in ended]
        assert [one.attempts[0].receipt.verdict for one in ended if one.attempts[0].receipt] == ["fixed", "fixed"]
        for one, branch in zip(ended, ("v1", "v2"), strict=True):
            assert git(repository, "rev-parse", f"{branch_of(one)}^") == git(repository, "rev-parse", branch)
            assert git(repository, "show", f"{branch_of(one)}:sums.py") == SUMS.replace("a - b", "a + b").strip()
            assert git(repository, "log", "-1", "--format=%s", branch_of(one)) == f"[{branch}] It adds now"
        git(repository, "checkout", "-q", "v1")
        git(repository, "merge", "-q", branch_of(ended[0]))
        with pytest.raises(UsageError, match="holds the change already"):
            await operations.backport(platform, task.id, ("v1",))


async def no_model() -> None:
    """A machine that knows of no model."""


@pytest.mark.long
async def test_a_revert_with_conflicts_needs_a_model(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    async with at_work(tmp_path) as platform:
        task = await handed_in(platform, repository)
    # A new task begins a new conversation.
    async with at_work(tmp_path, RESOLVE.replace("b + a", "a - b")) as platform:
        git(repository, "merge", "-q", branch_of(task))
        on_main(repository, {"sums.py": SUMS.replace("a - b", "b + a")})
        with pytest.raises(UsageError, match=r"conflicts in sums\.py, which git alone cannot resolve"):
            await operations.revert(replace(platform, default_model=no_model), task.id)
        back = await finished(platform, await operations.revert(platform, task.id, model="openai:scripted"))
        assert back.attempts[0].engine == "native"
        assert git(repository, "show", f"{branch_of(back)}:sums.py") == SUMS.strip()
        assert git(repository, "log", "-1", "--format=%s", branch_of(back)) == 'Revert "It adds now"'
        # It is what was asked for, and the receipt says plainly what it does to the tests.
        assert back.pull_request is not None
        assert back.pull_request.draft
        assert back.attempts[0].receipt is not None
        assert back.attempts[0].receipt.verdict == "regressed"


async def test_open_changes_that_conflict_are_told_with_an_order(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    async with at_work(tmp_path) as platform:
        first = await handed_in(platform, repository)
    async with at_work(tmp_path, edit("a - b", "a + b  # the sum of both; what was asked for", "A note.")) as platform:
        second = await handed_in(platform, repository)
    async with at_work(tmp_path, edit("return a + a", "return 2 * a", "Twice.")) as platform:
        third = await handed_in(platform, repository)
        found = await landing(platform, third.request.repository)
        assert [one.task for one in found.order] == [first.id, second.id, third.id]  # the third is a draft
        assert {(clash.one, clash.other) for clash in found.clashes} == {(second.id, first.id)}
        assert found.clashes[0].paths == ("sums.py",)
        told = [r.event for r in await platform.record.events(second.id) if r.event.kind == "conflicts-found"]
        assert [(rival.label, rival.paths, rival.first) for rival in told[0].rivals] == [("#1", ("sums.py",), True)]
        assert not [r for r in await platform.record.events(third.id) if r.event.kind == "conflicts-found"]
        delivery = await platform.record.delivery(second.id)
        assert delivery is not None
        assert "- with #1 in `sums.py`; land #1 first" in delivery.body
        # Once the first is merged, the second conflicts with main instead, and the first is out of the list.
        git(repository, "merge", "-q", "--squash", branch_of(first))
        git(repository, "commit", "-q", "-m", "Squashed")
        found = await landing(platform, third.request.repository)
        assert [one.task for one in found.order] == [second.id, third.id]
        assert found.clashes == ()
        assert found.with_base == {second.id: ("sums.py",)}
        # What is remembered of pairs gives the same answer.
        assert await landing(platform, third.request.repository) == found


def run(*commands: str) -> str:
    """Steps of a model that runs these, one a turn, and finishes."""
    steps = [
        f'[[step]]\n[[step.call]]\ntool = "exec_command"\narguments.cmd = """{command}"""\n' for command in commands
    ]
    return "".join(steps) + '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "All of it." }\n'


IMPOSTOR = "git -c user.name=Ada -c user.email=ada@example.org"


async def test_the_agents_commits_are_kept_in_the_right_names(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    script = run(
        f"sed -i 's/a - b/a + b/' sums.py && {IMPOSTOR} commit -qam 'Add\n\nIt subtracted.\n\nReviewed-by: A <a@b>'",
        "sed -i 's/a + a/2 * a/' sums.py && git commit -qam 'Twice by two'",
        "echo more > notes.txt",
    )
    more = run("sed -i 's/apart/apart, still/' sums.py && git commit -qam 'A word'")
    async with at_work(tmp_path, script + more, PULLWRIGHT_AUTHOR="Bot <bot@example.org>") as platform:
        task = await handed_in(platform, repository, commits="keep")
        assert task.state is State.DONE, task.reason
        branch, base = branch_of(task), git(repository, "rev-parse", "main")
        log = git(repository, "log", "--reverse", "--format=%an|%cn|%s", f"main..{branch}").splitlines()
        assert log == ["Bot|Bot|Add", "Bot|Bot|Twice by two", "Bot|Bot|All of it"]
        first = git(repository, "rev-parse", branch)
        assert git(repository, "rev-parse", f"{branch}~3") == base
        body = git(repository, "log", "-1", "--format=%B", f"{branch}~2")
        assert "It subtracted." in body
        assert "Reviewed-by" not in body
        assert f"Made-by: Pullwright attempt {task.attempts[0].id}" in body
        assert git(repository, "show", f"{branch}:notes.txt") == "more"
        assert "notes.txt" not in git(repository, "ls-tree", "--name-only", f"{branch}~1")
        # A follow-up adds to them.
        await desk.message(platform, task.id, "A word more, please")
        task = await finished(platform, await platform.record.task(task.id))
        assert task.state is State.DONE, task.reason
        assert git(repository, "log", "-1", "--format=%s", branch) == "A word"
        assert git(repository, "rev-parse", f"{branch}^") == first


@pytest.mark.long
async def test_commits_survive_the_worker_and_what_is_no_series_is_one_commit(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    script = run("sed -i 's/a - b/a + b/' sums.py && git commit -qam 'Add'", "sleep 3; git log -1 --format=%s")
    async with at_work(tmp_path, script) as platform:
        order = desk.Order(
            prompt="Fix",
            repository=str(repository),
            cwd=repository,
            setup="",
            check=CHECK,
            models=("openai:scripted",),
            commits="keep",
        )
        task = await desk.submit(platform, order)

        async def in_its_second_turn() -> bool:
            events = await platform.record.task_events(task.id)
            return sum(recorded.event.kind == "tool-called" for recorded in events) == 2

        await asyncio.wait_for(work(platform, until=in_its_second_turn), 60)
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason
        assert git(repository, "log", "--format=%s", f"main..{branch_of(task)}") == "Add"
    lost = run("git checkout -q --orphan other && sed -i 's/a - b/a + b/' sums.py && git commit -qam 'Alone'")
    async with at_work(tmp_path, lost) as platform:
        task = await handed_in(platform, repository, commits="keep")
        assert task.state is State.DONE, task.reason
        assert git(repository, "log", "--format=%s", f"main..{branch_of(task)}") == "All of it"


@pytest.mark.parametrize("style", [pytest.param("amend", marks=pytest.mark.long), "append"])
async def test_a_follow_up_amends_or_appends_and_tells_of_a_moved_base(tmp_path: Path, style: str) -> None:
    repository = a_repository(tmp_path / "repository")
    more = edit("return a + a", "return 2 * a", "Twice, too.")
    async with at_work(tmp_path, FIX + more, PULLWRIGHT_FOLLOW_UPS=style) as platform:
        task = await handed_in(platform, repository)
        first = task.pull_request
        assert first is not None
        base = git(repository, "rev-parse", "main")
        on_main(repository, {"new.txt": "new\n"})
        await desk.message(platform, task.id, "And twice, please")
        task = await finished(platform, await platform.record.task(task.id))
        assert task.state is State.DONE, task.reason
        events = await platform.record.events(task.attempts[0].id)
        told = [recorded.event.text for recorded in events if recorded.event.kind == "noticed"]
        assert [text for text in told if "main has moved on by 1 commit" in text and f"update {task.id}" in text]
    assert git(repository, "rev-parse", f"{first.branch}^") == (first.head if style == "append" else base)
    assert git(repository, "show", f"{first.branch}:sums.py") == TWICE.replace("a - b", "a + b").strip()


class FaultAt(Faults):
    """A full disk at a point that is named, the first time that it is passed."""

    def __init__(self, point: str) -> None:
        super().__init__(act=fill_disk)
        self.point = point

    def passing(self, point: str) -> bool:
        self.passed.append(point)
        if point != self.point or self.passed.count(point) > 1:
            return False
        self.act()
        return True


@pytest.mark.long
async def test_a_fault_anywhere_in_gits_turn_changes_nothing(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository")
    points = [f"{side} {kind}" for kind in ("integrated", "checkpointed", "turn-ended") for side in ("before", "after")]
    async with at_work(tmp_path) as platform:
        task = await handed_in(platform, repository)
        first = task.pull_request
        assert first is not None
        below = first.head
        for place, point in enumerate([*points, "after change-taken", "after push"]):
            tip = on_main(repository, {f"new-{place}.txt": "new\n"})
            theirs = on_branch(repository, first.branch, {f"theirs-{place}.txt": "t\n"})
            await operations.update(platform, task.id)
            faulty = with_faults(platform, FaultAt(point))
            with pytest.raises(DiskFull):
                await asyncio.wait_for(work(faulty, until=lambda: idle(platform)), 60)
            task = await finished(platform, task)
            assert task.state is State.DONE, (point, task.reason)
            head = git(repository, "rev-parse", first.branch)
            assert git(repository, "show", "-s", "--format=%P", head).split() == [theirs, tip], point
            assert git(repository, "rev-parse", f"{theirs}^") == below, point
            assert git(repository, "ls-tree", "--name-only", head).count(f"-{place}.txt") == 2
            below = head
        events = await platform.record.events(task.attempts[0].id)
        turns = [recorded.event.turn for recorded in events if recorded.event.kind == "turn-ended"]
        assert turns == list(range(1, len(turns) + 1)), "no turn was taken twice"
        assert len(git(repository, "branch", "--list", "pullwright/*").splitlines()) == 1
