"""Hundreds of turns with everything that comes between: summaries, kill -9, a rate limit, messages. One coherent log.

The worker is a program of its own (`long_worker.py`), so that it can be killed; the person sits in the test.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.flow.test_flow_tasks import FINISH, FIX, PYTHON, a_platform, a_repository, an_order, git, patched

from pullwright.domain.limits import AttemptLimits
from pullwright.domain.task import State, Task
from pullwright.domain.transcript import (
    Compacted,
    ModelSaid,
    Moved,
    Recorded,
    ToolCalled,
    ToolReturned,
    TurnEnded,
)
from pullwright.flow import desk
from pullwright.flow.platform import Platform
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

WORKER = Path(__file__).with_name("long_worker.py")
MESSAGES = ("Mind the commas, please.", "And the full stops.")


@dataclass(frozen=True)
class Run:
    """How long, and what comes between at which turn."""

    steps: int
    context: int  # tokens
    lines: int  # of output of each step
    limited_at: int  # the step in front of which the provider limits the rate
    limited: int  # seconds
    patience: float  # seconds that a turn waits for the provider
    messages: tuple[int, int]
    kills: tuple[int, ...]  # and one while the attempt waits for the provider
    summaries: tuple[int, ...]  # how many there may be
    seconds: float


# Of the everyday run the limit is short, and so is a turn's patience.
EVERYDAY = Run(14, 9500, 500, 9, 4, 0.5, (3, 11), (6,), (1, 2, 3), 150)
LONG = Run(300, 70_000, 250, 150, 180, 20.0, (30, 200), (60, 240), (2,), 3000)


def script(run: Run) -> str:
    parts = ['[summary]\nwhen = "Write a summary of your work"\ntext = "I counted on."\n']
    for number in range(1, run.steps + 1):
        fault = f'fault = {{ kind = "rate-limit", seconds = {run.limited}, retry_after = "left" }}\n'
        parts.append(
            f'[[step]]\n{fault if number == run.limited_at else ""}[[step.call]]\ntool = "exec_command"\n'
            f'arguments = {{ cmd = "echo {number} >> count.txt; seq {number}000 1 {number}{run.lines:03}" }}\n'
        )
    return "".join([*parts[:2], patched(FIX), *parts[2:], FINISH])


@dataclass
class Worker:
    """The worker's process: started, killed and started again."""

    home: Path
    address: str
    patience: float
    kills: int = 0
    cpu: float = 0.0
    _process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        environment = {**os.environ, "PULLWRIGHT_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), self.address, str(self.patience)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def kill(self) -> None:
        assert self._process
        assert self._process.poll() is None, "it has ended already"
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=60)
        self.kills += 1

    def join(self) -> None:
        assert self._process
        out, error = self._process.communicate(timeout=120)
        assert self._process.returncode == 0, error
        self.cpu = float(out)

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate(timeout=60)


@asynccontextmanager
async def a_worker(home: Path, address: str, patience: float) -> AsyncIterator[Worker]:
    worker = Worker(home, address, patience)
    worker.start()
    try:
        yield worker
    finally:
        await asyncio.to_thread(worker.close)


async def watched(platform: Platform, task: Task, run: Run, worker: Worker) -> None:
    """Be the person, and the misfortune, until the task has ended."""
    todo: list[tuple[Callable[[Recorded], bool], str]] = [
        (lambda r: isinstance(r.event, TurnEnded) and r.event.turn >= run.messages[0], MESSAGES[0]),
        (lambda r: isinstance(r.event, ToolCalled) and r.event.turn >= run.kills[0], "kill"),
        (lambda r: isinstance(r.event, Moved) and r.event.state is State.WAITING, "kill"),
        (lambda r: isinstance(r.event, TurnEnded) and r.event.turn >= run.messages[1], MESSAGES[1]),
        *((lambda r: isinstance(r.event, ToolCalled) and r.event.turn >= run.kills[-1], "kill") for _ in run.kills[1:]),
    ]
    async with aclosing(platform.record.follow(task.id)) as batches:
        async for batch in batches:
            for recorded in batch:
                if todo and todo[0][0](recorded):
                    _, what = todo.pop(0)
                    if what == "kill":
                        await asyncio.to_thread(worker.kill)
                        worker.start()
                    else:
                        await desk.message(platform, task.id, what)
            if not batch and (await platform.record.task(task.id)).state.final:
                break
    assert not todo, (await platform.record.task(task.id)).reason


async def carried_out(tmp_path: Path, run: Run) -> None:
    repository = a_repository(tmp_path / "repository", PYTHON)
    async with ModelServer(Scenario.parse(script(run))) as server, a_platform(tmp_path, server) as platform:
        limits = AttemptLimits(turns=2 * run.steps, context=run.context, minutes=120)
        task = await desk.submit(platform, an_order(repository, models=("openai:scripted",), limits=limits))
        async with a_worker(tmp_path, server.url, run.patience) as worker:
            await asyncio.wait_for(watched(platform, task, run, worker), run.seconds)
            await asyncio.to_thread(worker.join)
        task = await platform.record.task(task.id)
        assert task.state is State.DONE, task.reason
        assert task.pull_request is not None
        counted = git(repository, "show", f"{task.pull_request.branch}:count.txt").split()
        assert counted == [str(number) for number in range(1, run.steps + 1)]  # each once: nothing lost, nothing twice
        events = await platform.record.events(task.attempts[0].id)
        assert worker.kills == len(run.kills) + 1
        check_log([recorded.event for recorded in events], task, run)
        last = str(server.bodies[-1]["input"])
        assert [last.count(message) for message in MESSAGES] == [1, 1]
        assert last.count("Fix the failing test") == 1
        answered = Counter(server.answered(step) for step in range(run.steps + 2))
        assert answered[1] >= run.steps + 2 - worker.kills, answered  # an interrupted step is said again, once
        assert sum(answered[times] for times in answered if times > 2) == 0, answered
        assert len(server.bodies) > run.steps
        kinds = Counter(recorded.event.kind for recorded in events)
        took = (events[-1].at - events[0].at).total_seconds()
        print(f"{took:.0f} s, {task.attempts[0].turns} turns, {worker.kills} kills, {dict(kinds)}")
        print(f"the last worker used {worker.cpu:.1f} CPU s; requests of up to {size_of(server.bodies):,} bytes")


def size_of(bodies: list[dict[str, object]]) -> int:
    return max(len(str(body)) for body in bodies)


def check_log(events: list[object], task: Task, run: Run) -> None:
    ended = [event for event in events if isinstance(event, TurnEnded)]
    turns = [event.turn for event in ended]
    assert turns == sorted(set(turns)), "turns rise, and each ends once"
    said = [event.turn for event in events if isinstance(event, ModelSaid)]
    assert said == sorted(set(said)), "no finished call to the model is paid for twice"
    summaries = [event for event in events if isinstance(event, Compacted)]
    assert len(summaries) in run.summaries
    asked = sum(event.usage.requests for event in summaries) + len(said)
    assert task.attempts[0].usage.requests == asked
    waits = [event for event in ended if event.status == "waiting"]
    assert waits
    assert all(event.until is not None for event in waits)
    calls = [event.call for event in events if isinstance(event, ToolCalled)]
    assert len(calls) == len(set(calls)), "no call is run again by itself"
    returned = {event.call for event in events if isinstance(event, ToolReturned)}
    assert returned == set(calls)
    interrupted = [event for event in events if isinstance(event, ToolReturned) and event.interrupted]
    assert len(interrupted) <= len(run.kills)


async def test_with_everything_between(tmp_path: Path) -> None:
    await carried_out(tmp_path, EVERYDAY)


@pytest.mark.long
async def test_three_hundred_turns_with_everything_between(tmp_path: Path) -> None:
    await carried_out(tmp_path, LONG)
