"""The repair engine's turns in real sandboxes, over a log in memory: found, confirmed, taken up again, refused."""

import itertools
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pullwright.domain.environment import Environment, Setting
from pullwright.domain.task import Attempt, EngineChoice, RepositoryRef, TaskRequest
from pullwright.domain.transcript import EngineNoted, Event, Output, Progressed, Recorded
from pullwright.domain.value import now
from pullwright.engines.base import TurnOutcome, Work
from pullwright.engines.repair.engine import RepairEngine, RepairOptions
from pullwright.sandbox.base import WORKSPACE, Bind, ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

PACKAGES = Path(pytest.__file__).parents[1]
VARIABLES = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    # The host's own pytest stands in for one that setup would have installed.
    "PYTHONPATH": "/opt/packages",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}
OPTIONS = RepairOptions(seconds=40, test_seconds=2)

CODE = """\
    def span(start, end):
        \"\"\"How many days, both ends counted.\"\"\"
        return end - start


    def shift(day, by):
        return day - by  # days
    """
TESTS = """\
    from days import shift, span


    def test_span():
        assert span(3, 3) == 1
        assert span(1, 7) == 7


    def test_shift():
        assert shift(7, 2) == 9
        assert shift(7, 0) == 7
    """


class Log:
    """An attempt's log in memory."""

    def __init__(self, events: tuple[Recorded, ...] = ()) -> None:
        self.memory: dict[str, object] = {}
        self.events = list(events)
        self.blobs: dict[str, bytes] = {}

    async def read(self) -> list[Recorded]:
        return list(self.events)

    async def append(self, event: Event) -> int:
        number = len(self.events) + 1
        self.events.append(Recorded(log="a-1", number=number, at=now(), event=event))
        return number

    async def output(self, data: bytes, *, inline: int = 16 * 1024) -> Output:
        self.blobs[str(len(self.blobs))] = data
        return Output(text="", size=len(data), blob=str(len(self.blobs) - 1))

    async def load(self, output: Output) -> bytes:
        return self.blobs[output.blob or ""]

    def notes(self, topic: str) -> list[EngineNoted]:
        return [one.event for one in self.events if isinstance(one.event, EngineNoted) and one.event.topic == topic]


Start = Callable[..., Awaitable[Sandbox]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a sandbox with files in a git repository."""
    sandboxes = LocalSandboxes(tmp_path / "sandboxes", uid=64200)
    count = 0

    async def begin(**files: str) -> Sandbox:
        nonlocal count
        count += 1
        sandbox = await sandboxes.start(
            SandboxSpec(name=f"repair-{count}", binds=(Bind(PACKAGES, "/opt/packages"),), variables=VARIABLES)
        )
        for name, text in files.items():
            await sandbox.write(f"{WORKSPACE}/{name}.py", textwrap.dedent(text).encode(), 0o755)
        git = "git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm x --allow-empty"
        result = await sandbox.run(ExecRequest(argv=("sh", "-c", git)))
        assert result.exit_code == 0, result.stderr
        return sandbox

    yield begin
    await sandboxes.close()


def work(sandbox: Sandbox, log: Log, check: str = "python3 -m pytest") -> Work:
    request = TaskRequest(
        prompt="Fix the failing tests",
        repository=RepositoryRef(location="/r", key="r", name="r"),
        base_commit="0" * 40,
        attempts=(EngineChoice(engine="repair"),),
    )
    return Work(
        request=request,
        attempt=Attempt(id="a-1", task="a", ordinal=1, engine="repair", model=None),
        environment=Environment(language="python", check=Setting(command=check)),
        sandbox=sandbox,
        log=log,
        left=lambda: 600.0,
    )


async def to_the_end(work: Work, options: RepairOptions = OPTIONS) -> TurnOutcome:
    engine = RepairEngine(options=options)
    for number in range(1, 30):
        outcome = await engine.turn(work, number)
        if outcome.status != "continue":
            return outcome
    raise AssertionError("it goes on for ever")


async def status(sandbox: Sandbox) -> str:
    result = await sandbox.run(ExecRequest(argv=("git", "status", "--porcelain", "--ignored")))
    return result.stdout.decode()


async def test_two_faults_are_mended_confirmed_and_explained(start: Start) -> None:
    sandbox, log = await start(days=CODE, test_days=TESTS), Log()
    outcome = await to_the_end(work(sandbox, log))
    assert outcome.status == "finished", outcome.text
    assert "return day + by  # days" in (await sandbox.read(f"{WORKSPACE}/days.py")).decode()
    assert await status(sandbox) == " M days.py\n"
    mode = await sandbox.run(ExecRequest(argv=("stat", "-c", "%a", "days.py")))
    assert mode.stdout == b"755\n"
    assert "-    return day - by  # days\n+    return day + by  # days" in outcome.text
    assert "2 tests failed" in outcome.text
    assert "not proof of intent" in outcome.text
    assert len(log.notes("confirmed")) == 2


async def test_a_turn_that_was_cut_off_goes_on_from_the_log(start: Start) -> None:
    log = Log()
    engine = RepairEngine(options=OPTIONS)
    sandbox = await start(days=CODE, test_days=TESTS)
    for number in (1, 2, 3):
        await engine.turn(work(sandbox, log), number)
    edited = await sandbox.read(f"{WORKSPACE}/days.py")
    done = len(log.events)
    again = await start(days=CODE, test_days=TESTS)
    for number in (1, 2, 3):
        assert (await engine.turn(work(again, log), number)).status == "continue"
    assert len(log.events) == done  # nothing is searched, run or noted twice
    assert await again.read(f"{WORKSPACE}/days.py") == edited


async def test_green_tests_leave_nothing_to_mend(start: Start) -> None:
    outcome = await to_the_end(work(await start(test_a="def test():\n    pass\n"), Log()))
    assert outcome.status == "refused"
    assert "nothing to mend: all 1 test pass" in outcome.text


async def test_no_tests_is_said(start: Start) -> None:
    outcome = await to_the_end(work(await start(a="x = 1\n"), Log()))
    assert outcome.status == "refused"
    assert "no tests were found" in outcome.text


async def test_a_module_that_cannot_be_loaded_is_refused_with_its_reason(start: Start) -> None:
    outcome = await to_the_end(work(await start(a="def f(:\n", test_a="import a\n"), Log()))
    assert outcome.status == "refused"
    assert "could not be loaded" in outcome.text
    assert "SyntaxError" in outcome.text


async def test_without_pytest_it_refuses(start: Start) -> None:
    sandbox = await start(test_a="def test():\n    assert False\n")
    outcome = await to_the_end(work(sandbox, Log(), "PYTHONPATH= python3 -m pytest"))
    assert outcome.status == "refused"
    assert "pytest cannot be imported" in outcome.text


async def test_what_no_small_edit_mends_is_given_up_with_the_counts(start: Start) -> None:
    test = "from a import f\n\ndef test():\n    assert f(2) == 'zwei!'\n"
    sandbox, log = await start(a="def f(x):\n    return x\n", test_a=test), Log()
    outcome = await to_the_end(work(sandbox, log))
    assert outcome.status == "gave-up"
    assert "candidate edits tried: all of them, in f (a.py)" in outcome.text
    assert await status(sandbox) == ""


async def test_a_test_that_lies_inside_the_server_does_not_survive_the_ordinary_run(start: Start) -> None:
    """The test passes for every edit while it runs without its own process; the ordinary run has the last word."""
    test = """\
        import sys
        from a import f

        def test_lies():
            inside = "pullwright_repair.search" in sys.modules
            assert inside or f(1) == "never"
        """
    sandbox, log = await start(a="def f(x):\n    return x\n", test_a=test), Log()
    outcome = await to_the_end(work(sandbox, log))
    assert outcome.status == "gave-up"
    assert log.notes("rejected")
    assert not log.notes("confirmed")
    assert await status(sandbox) == ""


async def test_a_check_that_never_ends_ends_the_search(start: Start) -> None:
    log = Log()
    sandbox = await start(days=CODE, test_days=TESTS)
    outcome = await to_the_end(work(sandbox, log, check="sleep 600"), replace(OPTIONS, check_seconds=2.0))
    assert outcome.status == "gave-up"
    assert "`sleep 600` did not end within" in outcome.text
    assert "--check" in outcome.text
    assert len(log.notes("found")) == 1
    assert (await sandbox.read(f"{WORKSPACE}/days.py")).decode() == textwrap.dedent(CODE)


async def test_progress_is_told_about_once_a_second(start: Start) -> None:
    code = "def f(x):\n" + "".join(f"    y{n} = x + {n}\n" for n in range(12)) + "    return y1\n"
    test = "import time\nfrom a import f\n\ndef test():\n    time.sleep(0.02)\n    assert f(2) == 'zwei!'\n"
    log = Log()
    await to_the_end(work(await start(a=code, test_a=test), log), RepairOptions(seconds=5))
    told = [one for one in log.events if isinstance(one.event, Progressed) and one.event.step == "search"]
    assert len(told) > 2
    gaps = [(later.at - one.at).total_seconds() for one, later in itertools.pairwise(told)]
    assert sorted(gaps)[len(gaps) // 2] > 0.8
    last = told[-1].event
    assert isinstance(last, Progressed)
    assert last.done is not None
    assert last.total is not None
    assert 0 < last.done <= last.total
