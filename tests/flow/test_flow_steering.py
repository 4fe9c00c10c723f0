"""A person steers attempts: pauses, answers, takes back, forks; on real sandboxes, a scripted model over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from tests.flow.test_flow_tasks import FINISH, FIX, PYTHON, a_platform, a_repository, an_order, finished, patched

from pullwright.domain.course import STANDS_STILL, Course
from pullwright.domain.errors import UsageError
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import Recorded, ResumeRequested
from pullwright.domain.value import now
from pullwright.flow import desk, steering
from pullwright.flow.platform import Platform
from pullwright.flow.worker import idle, work
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

COUNT = "run/*/*/upper/workspace/count.txt"
LOOK = '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{}" }}\n'


@asynccontextmanager
async def at_work(tmp_path: Path, script: str) -> AsyncIterator[tuple[Platform, Task, ModelServer]]:
    repository = a_repository(tmp_path / "repository", PYTHON)
    async with ModelServer(Scenario.parse(script)) as server, a_platform(tmp_path, server) as platform:
        yield platform, await desk.submit(platform, an_order(repository, models=("openai:scripted",))), server


async def seen(platform: Platform, task: Task, wanted: Callable[[Recorded], bool]) -> None:
    async with asyncio.timeout(60), aclosing(platform.record.follow(task.id)) as batches:
        async for batch in batches:
            if any(wanted(recorded) for recorded in batch):
                return


async def test_a_paused_task_stands_still_and_goes_on_where_it_was(tmp_path: Path) -> None:
    script = "for i in $(seq 40); do sleep 0.05; echo $i; done >count.txt; cat count.txt"
    async with at_work(tmp_path, patched(FIX) + LOOK.format(script) + FINISH) as (platform, task, server):

        async def counting() -> None:
            while not [*tmp_path.rglob(COUNT)]:  # noqa: ASYNC110 - of a file inside
                await asyncio.sleep(0.01)

        async with paused_when_begun(platform, task, 2, counting):
            held = await platform.record.task(task.id)
            assert (held.state, held.waiting_for) == (State.WAITING, STANDS_STILL)
            assert not await idle(platform), "who keeps the machine stays"
            (count,) = tmp_path.rglob(COUNT)
            before = count.read_text()
            await asyncio.sleep(0.5)
            assert count.read_text() == before
            asked = len(server.served)
            worked = await worked_by(platform, held)
            await steering.resume(platform, task.id)
        task = await platform.record.task(task.id)
        assert task.state is State.DONE, task.reason
        assert (asked, len(server.served)) == (2, 3)  # nothing was asked twice
        assert worked == await worked_by(platform, task, before=ResumeRequested)
        (told,) = [text for text in await results(platform, task) if "39\n40" in text]
        assert "interrupted" not in told
        with pytest.raises(UsageError, match="nothing to pause"):
            await steering.pause(platform, task.id)
        with pytest.raises(UsageError, match="not paused"):
            await steering.resume(platform, task.id)
        with pytest.raises(UsageError, match="nothing to undo"):
            await steering.undo_compaction(platform, task.id)


async def worked_by(platform: Platform, task: Task, before: type | None = None) -> float:
    """Seconds that the attempt has worked, up to the first event of a kind or to now."""
    course = Course()
    for recorded in await platform.record.events(task.attempts[0].id):
        if before and isinstance(recorded.event, before):
            return course.worked(recorded.at)
        course.take(recorded)
    return course.worked(now())


async def test_a_paused_task_is_cancelled(tmp_path: Path) -> None:
    async with at_work(tmp_path, LOOK.format("sleep 42.424") + FINISH) as (platform, task, _):
        async with paused_when_begun(platform, task):
            assert running("sleep 42.424")
            await desk.cancel(platform, task.id)
        task = await platform.record.task(task.id)
        assert (task.state, task.attempts[0].state) == (State.CANCELLED, State.CANCELLED)
        assert running("sleep 42.424") == []


@pytest.mark.long
async def test_a_turn_that_is_paused_is_taken_again_by_the_next_worker(tmp_path: Path) -> None:
    async with at_work(tmp_path, patched(FIX) + LOOK.format("sleep 0.6") + FINISH) as (platform, task, _):
        working = asyncio.ensure_future(work(platform, until=lambda: stands_still(platform, task)))
        await seen(platform, task, lambda recorded: begun(recorded, 2))
        await steering.pause(platform, task.id)
        await asyncio.wait_for(working, 60)
        await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 60)  # it keeps nothing, and ends
        held = await platform.record.task(task.id)
        assert (held.state, held.waiting_for) == (State.WAITING, "a person to resume it")
        await steering.resume(platform, task.id)
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason


async def stands_still(platform: Platform, task: Task) -> bool:
    return (await platform.record.task(task.id)).waiting_for == STANDS_STILL


def begun(recorded: Recorded, turn: int) -> bool:
    return recorded.event.kind == "tool-called" and recorded.event.turn == turn


@asynccontextmanager
async def paused_when_begun(
    platform: Platform, task: Task, turn: int = 1, first: Callable[[], Awaitable[None]] | None = None
) -> AsyncIterator[None]:
    """While a worker keeps the task's machine frozen; then until it has nothing to do."""
    working = asyncio.ensure_future(work(platform, until=lambda: idle(platform)))
    try:
        await seen(platform, task, lambda recorded: begun(recorded, turn))
        async with asyncio.timeout(60):
            if first:
                await first()
            await steering.pause(platform, task.id)
            while not await stands_still(platform, task):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield
        await asyncio.wait_for(working, 60)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


ASKS = """
[[step]]
[[step.call]]
tool = "exec_command"
arguments = { cmd = "echo kept > kept.txt; setsid sleep 41.414 >/dev/null 2>&1 & sleep 0.1" }
[[step.call]]
tool = "ask_person"
arguments = { question = "Add or multiply?", choices = ["add", "multiply"] }
"""


async def test_a_question_is_answered_and_the_work_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    async with at_work(tmp_path, ASKS + patched(FIX) + FINISH) as (platform, task, server):
        waiting = await finished(platform, task)
        assert (waiting.state, waiting.waiting_for) == (State.WAITING, "an answer: Add or multiply?")
        assert running("sleep 41.414") == []  # the machine is gone, and what ran on it
        with pytest.raises(UsageError, match="no attempt 2"):
            await steering.answer(platform, task.id, "1", 2)
        await steering.answer(platform, task.id, "1")
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason
        assert "The person answers:" in str(server.bodies[1])
        assert "multiply" not in str(server.bodies[1]["input"][-1])  # the choice's words, not its number
        assert task.attempts[0].files_changed == 2  # what was done before the question is there, too
        with pytest.raises(UsageError, match="asks nothing"):
            await steering.answer(platform, task.id, "again")


async def test_a_paused_attempt_is_taken_back_conversation_and_files_together(tmp_path: Path) -> None:
    script = (
        LOOK.format("echo 1 > one.txt")
        + LOOK.format("echo 2 >> two.txt")
        + LOOK.format("cat two.txt one.txt; sleep 0.3")
        + patched(FIX)
        + FINISH
    )
    async with at_work(tmp_path, script) as (platform, task, server):

        async def refused() -> None:
            with pytest.raises(UsageError, match="pause it"):
                await steering.rewind(platform, task.id, 1)

        async with paused_when_begun(platform, task, 3, refused):
            with pytest.raises(UsageError, match="no turn 77"):
                await steering.rewind(platform, task.id, 77)
            before = len(server.bodies)
            await steering.rewind(platform, task.id, 1, text="Leave two.txt out.")
        task = await platform.record.task(task.id)
        assert task.state is State.DONE, task.reason
        asked = str(server.bodies[before]["input"])
        assert "one.txt" in asked
        assert "two.txt" not in asked.replace("Leave two.txt out.", "")
        assert asked.count("Leave two.txt out.") == 1
        # The script goes by what is in the conversation: after the second turn was taken back it said it again.
        (looked,) = [text for text in await results(platform, task) if "\n1\n" in text][-1:]
        assert "\n2\n1\n" in looked  # written once: the file was taken back with the conversation
        assert "\n2\n2\n" not in looked
        turns = [
            r.event.turn for r in await platform.record.events(task.attempts[0].id) if r.event.kind == "turn-ended"
        ]
        assert turns == sorted(set(turns))  # numbers go on rising


@pytest.mark.long
async def test_an_ended_attempt_is_taken_back_to_its_beginning(tmp_path: Path) -> None:
    async with at_work(tmp_path, patched(FIX) + FINISH) as (platform, task, server):
        task = await finished(platform, task)
        head, tree = task.attempts[0].head, task.attempts[0].tree
        await steering.rewind(platform, task.id, 0, text="Once more.")
        task = await finished(platform, task)
        assert task.state is State.DONE, task.reason
        assert len(server.bodies) == 4
        assert "Once more." in str(server.bodies[2])
        assert "apply_patch" not in str(server.bodies[2]["input"])
        assert task.attempts[0].tree == tree
        assert task.attempts[0].head is not None
        assert head is not None


async def test_a_fork_goes_its_own_way_and_is_compared(tmp_path: Path) -> None:
    wrong = FIX.replace("a + b", "a * b")
    script = LOOK.format("echo draft > notes.txt") + patched(wrong) + FINISH
    async with at_work(tmp_path, script) as (platform, task, _):
        task = await finished(platform, task)
        assert task.state is State.FAILED
        assert task.pull_request is not None
        number = task.pull_request.number
        other = LOOK.format("true") + patched(FIX) + FINISH
        async with ModelServer(Scenario.parse(other)) as server, a_platform(tmp_path, server) as elsewhere:
            await steering.fork(elsewhere, task.id, 1, model="openai-chat:scripted", text="Add, do not multiply.")
            task = await finished(elsewhere, task)
            assert task.state is State.DONE, task.reason
            first, second = task.attempts
            assert (second.model, second.state) == ("openai-chat:scripted", State.DONE)
            assert task.chosen == second.id
            assert task.pull_request is not None
            assert task.pull_request.number == number  # the same pull request, now ready
            assert not task.pull_request.draft
            asked = str(server.bodies[0]["messages"])
            assert "notes.txt" in asked  # the other's first turn is part of its conversation
            assert "Add, do not multiply." in asked
            assert "a * b" not in asked
            assert second.files_changed == 2  # and so are its files
            assert second.usage.requests == 2
            assert first.usage.requests == 3


async def test_a_fork_of_a_task_that_waits_starts_at_once(tmp_path: Path) -> None:
    async with at_work(tmp_path, ASKS + patched(FIX) + FINISH) as (platform, task, _):
        await finished(platform, task)
        await steering.fork(platform, task.id, 0, text="Do not ask.")
        task = await finished(platform, task)
        assert [attempt.state for attempt in task.attempts] == [State.WAITING, State.WAITING]
        await desk.cancel(platform, task.id)
        task = await finished(platform, task)
        assert {attempt.state for attempt in task.attempts} == {State.CANCELLED}


STUBBORN = """
[[step]]
[[step.call]]
tool = "exec_command"
arguments.cmd = '''
trap '' TERM INT HUP
for i in 1 2 3; do (trap '' TERM INT HUP; setsid sh -c "trap '' TERM HUP INT; while :; do sleep 31.337; done" &) ; done
touch begun; while :; do sleep 31.337; done'''
"""


async def test_a_cancelled_command_is_gone_with_all_that_it_started(tmp_path: Path) -> None:
    async with at_work(tmp_path, STUBBORN + FINISH) as (platform, task, _):
        working = asyncio.ensure_future(finished(platform, task))
        await until(lambda: len(running("sleep 31.337")) >= 4)
        await desk.cancel(platform, task.id)
        task = await asyncio.wait_for(working, 60)
        assert task.attempts[0].state is State.CANCELLED
        assert running("sleep 31.337") == []


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come about within a minute")


def running(command: str) -> list[str]:
    """The processes on this machine, those in sandboxes among them, whose command line holds this."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if command in words:
            found.append(words)
    return found


async def results(platform: Platform, task: Task) -> list[str]:
    events = await platform.record.events(task.attempts[0].id)
    return [recorded.event.output.text for recorded in events if recorded.event.kind == "tool-returned"]
