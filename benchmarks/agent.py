"""What the agent itself costs: one job beside other agents, many that wait, and how many a machine gets done.

    python benchmarks/agent.py [jobs] [waiting] [ceiling] [--rounds N] [--agents FOLDER]

- `jobs`: one scripted job, a model that answers at once. Ours is a whole attempt on a warm worker: sandbox, loop,
  checkpoints, change. The others are started as a person would, in a fresh copy of the repository. All beside the
  job's commands alone.
- `waiting`: 100 attempts of one worker wait for a slow model; private memory of each, its sandbox included.
- `ceiling`: 32 tasks at once, a model that takes 300 ms an answer: jobs a second beside what the commands alone reach.

The other agents are installed into `--agents` (default: a cache folder); one that cannot be is left out, with the
reason.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from job import EXAMPLE, SCENARIO, example_repository, private_memory, scripted_model, tree_cpu
from rivals import RIVALS, Measured, floor, rival

from pullwright.domain.task import State, Task
from pullwright.domain.transcript import ChangeTaken, Event, ModelAsked, Moved
from pullwright.flow import desk
from pullwright.flow.desk import Order
from pullwright.flow.platform import Platform
from pullwright.flow.worker import work
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.wiring import build

WAITING, JOBS = 100, 32
LATENCY = 0.3  # seconds a model takes to answer in `ceiling`
MB = 1_000_000


@dataclass
class Attempted:
    """One attempt of ours, from its start to its change."""

    leave_out: frozenset[int]
    began: tuple[float, float] = (0.0, 0.0)
    measured: Measured | None = None

    def see(self, log: str, event: Event) -> None:
        """Look at the clock where an event of an attempt begins or ends something."""
        if "-" not in log:
            return
        match event:
            case Moved(state=State.PREPARING):
                self.began = (time.monotonic(), tree_cpu(self.leave_out))
            case ChangeTaken():
                wall, cpu = time.monotonic(), tree_cpu(self.leave_out)
                memory = private_memory(os.getpid(), self.leave_out)
                self.measured = Measured(wall - self.began[0], cpu - self.began[1], memory)
            case _:
                pass


@dataclass
class WatchedRecord:
    """The record; an onlooker sees each event."""

    record: Record
    see: Callable[[str, Event], None]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401, D105 - whatever the record has
        return getattr(self.record, name)

    async def append(self, log: str, event: Event) -> int:
        """Write it down, then look."""
        number = await self.record.append(log, event)
        self.see(log, event)
        return number


@asynccontextmanager
async def house(scratch: Path, url: str, see: Callable[[str, Event], None]) -> AsyncIterator[Platform]:
    """A platform with a worker at work."""
    variables = {"PULLWRIGHT_HOME": str(scratch / "house"), "OPENAI_BASE_URL": url}
    settings = Settings.from_environment({**os.environ, **variables})
    enough = asyncio.Event()

    async def until() -> bool:
        return enough.is_set()

    async with build(settings) as platform:
        watched = replace(platform, record=cast("Record", WatchedRecord(platform.record, see)))
        worker = asyncio.create_task(work(watched, until=until))
        try:
            yield watched
        finally:
            enough.set()
            await worker


async def submitted(platform: Platform, repository: Path, check: str | None = None) -> Task:
    """Hand the job in."""
    order = Order(
        prompt="Fix the failing tests",
        repository=str(repository),
        cwd=repository,
        engines=("native",),
        models=("openai:scripted",),
        check=check,
    )
    return await desk.submit(platform, order)


async def ended(platform: Platform, task: Task) -> Task:
    """The task once it has ended."""
    while not task.state.final:
        await asyncio.sleep(0.02)
        task = await platform.record.task(task.id)
    return task


@dataclass
class Figures:
    """The runs of one contestant."""

    name: str
    runs: list[Measured] = field(default_factory=list)
    problem: str = ""


async def jobs(scratch: Path, rounds: int, folder: Path) -> None:
    """One job, ours and the others' in turn, so that all meet the same machine."""
    figures = [Figures("the commands alone"), Figures("Pullwright, a whole attempt")]
    figures += [Figures(each.name) for each in RIVALS]
    versions = {each.name: await asyncio.to_thread(_installed, each.install, folder) for each in RIVALS}
    first: list[float] = []
    with example_repository(scratch) as repository, scripted_model(scratch) as (url, server):
        ours = Attempted(frozenset({server}))
        async with house(scratch, url, ours.see) as platform:
            for number in range(rounds + 1):
                tree = scratch / "tree" / "freetime"

                def fresh(tree: Path = tree) -> Path:
                    shutil.rmtree(tree, ignore_errors=True)
                    shutil.copytree(repository, tree)
                    return tree

                task = await ended(platform, await submitted(platform, repository))
                if task.state is not State.DONE or ours.measured is None:
                    sys.exit(f"the task ended as {task.state}: {task.reason}")
                measured = [(figures[1], ours.measured)]
                measured.append((figures[0], await asyncio.to_thread(floor, fresh())))
                for each, into in zip(RIVALS, figures[2:], strict=True):
                    if into.problem or versions[each.name].startswith("!"):
                        into.problem = into.problem or versions[each.name][1:]
                        continue
                    (scratch / "other").mkdir(exist_ok=True)
                    try:
                        done = await asyncio.to_thread(rival, each, folder, fresh(), scratch / "tree")
                        measured.append((into, done))
                    except OSError as error:
                        into.problem = str(error)
                if number:
                    first.append(await first_request(platform, task))
                    for to, done in measured:
                        to.runs.append(done)
    _heading("The job beside other agents", f"jobs --rounds {rounds}")
    base = statistics.median(run.cpu for run in figures[0].runs)
    print("| who | CPU s | x the commands | wall s | peak private MB | version |\n|---|---|---|---|---|---|")
    for one in figures:
        version = versions.get(one.name, "-").lstrip("!")
        if not one.runs:
            print(f"| {one.name} | left out: {' '.join(one.problem.split())} | | | | |")
            continue
        cpu, wall = (statistics.median(getattr(run, name) for run in one.runs) for name in ("cpu", "wall"))
        memory = statistics.median(run.memory for run in one.runs) / MB
        print(f"| {one.name} | {cpu:.2f} | {cpu / base:.1f} | {wall:.2f} | {memory:.0f} | {version} |")
    print(
        f"\nFrom an attempt's start to its first model request: median {statistics.median(first) * 1000:.0f} ms, "
        f"slowest {max(first) * 1000:.0f} ms. Our memory is the whole worker's at the attempt's end, not at its peak."
    )


def _installed(install: Callable[[Path], str], folder: Path) -> str:
    try:
        return install(folder)
    except OSError as error:
        return f"!{error}"


async def waiting(scratch: Path) -> None:
    """Private memory of attempts that wait for an answer."""
    # The second step's answer takes longer than the measurement.
    scenario = "[[step]]\nwait = 600".join(SCENARIO.replace("[[step]]", "[[first]]", 1).split("[[step]]"))
    scenario = scenario.replace("[[first]]", "[[step]]")
    with example_repository(scratch) as repository, scripted_model(scratch, scenario) as (url, server):
        leave_out = frozenset({server})
        async with house(scratch, url, lambda _log, _event: None) as platform:
            tasks = [await submitted(platform, repository)]
            await _asking(platform, tasks)  # a first one pays for imports and layers
            rows = [(1, private_memory(os.getpid(), leave_out))]
            for goal in (10, 50, WAITING + 1):
                tasks += [await submitted(platform, repository) for _ in range(goal - len(tasks))]
                await _asking(platform, tasks)
                rows.append((goal, private_memory(os.getpid(), leave_out)))
            before = tree_cpu(leave_out)
            await asyncio.sleep(5.0)
            idle = (tree_cpu(leave_out) - before) / 5.0
            for task in tasks:
                await desk.cancel(platform, task.id)
            for task in tasks:
                await ended(platform, task)
    _heading("Attempts that wait for a slow model", "waiting")
    print("| waiting | private MB in all | MB for each beyond the first |\n|---|---|---|")
    for count, memory in rows:
        each = f"{(memory - rows[0][1]) / MB / (count - 1):.1f}" if count > 1 else "-"
        print(f"| {count} | {memory / MB:.0f} | {each} |")
    print(f"\nProcessor time of the worker meanwhile: {idle * 100:.0f} % of one core with {rows[-1][0]} waiting.")


async def _asking(platform: Platform, tasks: list[Task]) -> None:
    """Every task's attempt has asked the model for the second time."""
    for task in tasks:
        asked = 0
        while asked < 2:
            await asyncio.sleep(0.1)
            events = [each.event for each in await platform.record.task_events(task.id)]
            asked = sum(isinstance(event, ModelAsked) for event in events)
    await asyncio.sleep(1.0)


async def first_request(platform: Platform, task: Task) -> float:
    """Seconds from the attempt's start to the moment before its first model request."""
    events = await platform.record.events(task.attempts[0].id)
    began = next(each.at for each in events if isinstance(each.event, Moved))
    return next((each.at - began).total_seconds() for each in events if isinstance(each.event, ModelAsked))


async def ceiling(scratch: Path) -> None:
    """Jobs a second with many at once, beside the commands alone on all cores."""
    scenario = SCENARIO.replace("[[step]]", f"[[step]]\nwait = {LATENCY}")
    with example_repository(scratch) as repository, scripted_model(scratch, scenario) as (url, _):
        trees = [scratch / f"tree{number}" / "freetime" for number in range(JOBS)]
        for tree in trees:
            shutil.copytree(repository, tree)
        began = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(floor, trees))
        commands = time.monotonic() - began
        async with house(scratch, url, lambda _log, _event: None) as platform:
            await ended(platform, await submitted(platform, repository, check="true"))
            began = time.monotonic()
            tasks = [await submitted(platform, repository, check="true") for _ in range(JOBS)]
            done = [await ended(platform, task) for task in tasks]
            ours = time.monotonic() - began
    if any(task.pull_request is None for task in done):
        sys.exit(f"a task ended without a pull request: {[task.reason for task in done]}")
    _heading(f"{JOBS} tasks at once, {LATENCY * 1000:.0f} ms a model answer", "ceiling")
    print("| what | jobs a second | of the commands' own ceiling |\n|---|---|---|")
    print(f"| the commands alone, {os.cpu_count()} at a time, no model | {JOBS / commands:.2f} | 1.00 |")
    print(f"| whole tasks, check command `true`, pull request included | {JOBS / ours:.2f} | {commands / ours:.2f} |")


def _heading(title: str, arguments: str) -> None:
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"\n### {title}\n")
    print(
        f"`scripts/bench agent {arguments}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {version}, "
        f"as {who}. Medians.\n"
    )


def main() -> None:
    """Measure the parts that were named, or all."""
    assert EXAMPLE.is_dir()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("parts", nargs="*", choices=["jobs", "waiting", "ceiling", []])
    parser.add_argument("--rounds", type=int, default=5)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pullwright-bench"
    parser.add_argument("--agents", type=Path, default=cache)
    options = parser.parse_args()
    for part in options.parts or ["jobs", "waiting", "ceiling"]:
        scratch = Path(tempfile.mkdtemp(prefix="pullwright-bench-"))
        scratch.chmod(0o755)
        try:
            match part:
                case "jobs":
                    asyncio.run(jobs(scratch, options.rounds, options.agents))
                case "waiting":
                    asyncio.run(waiting(scratch))
                case _:
                    asyncio.run(ceiling(scratch))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
