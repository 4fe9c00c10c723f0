"""What one task costs, phase by phase, beside the bare commands' own cost in the same run.

    python benchmarks/one_task.py [--engine native|repair] [--rounds N]

The worker is warm (its imports are paid) and so is the environment (its layers exist): a first task, not counted, sees
to both. CPU is that of this process and of everything below it, sandboxes included, the scripted model server left out.
The repository is `examples/freetime`; the model of engine `native` is scripted and answers at once.
"""

import argparse
import asyncio
import os
import platform as machine
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from job import RIGHT, WRONG, Cost, example_repository, plain_pytest, scripted_model, tree_cpu

from pullwright.domain.task import State, Task
from pullwright.domain.transcript import ChangeTaken, Delivered, Event, Moved, Verified
from pullwright.flow import desk
from pullwright.flow.desk import Order
from pullwright.flow.platform import Platform
from pullwright.flow.worker import work
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.wiring import build


@dataclass
class Stopwatch:
    """Gives what happened since the last mark to the phase that a mark ends."""

    leave_out: frozenset[int] = frozenset()
    phases: defaultdict[str, list[Cost]] = field(default_factory=lambda: defaultdict(list))
    _wall: float = 0.0
    _cpu: float = 0.0

    def start(self) -> None:
        """Begin."""
        self._wall, self._cpu = time.monotonic(), tree_cpu(self.leave_out)

    def mark(self, phase: str) -> None:
        """The phase ends now."""
        wall, cpu = time.monotonic(), tree_cpu(self.leave_out)
        self.phases[phase].append(Cost(wall - self._wall, cpu - self._cpu))
        self._wall, self._cpu = wall, cpu


class WatchedRecord:
    """The record; tells the stopwatch when an event ends a phase."""

    def __init__(self, record: Record, stopwatch: Stopwatch) -> None:
        self._record, self._stopwatch = record, stopwatch

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401, D105 - whatever the record has
        return getattr(self._record, name)

    async def append(self, log: str, event: Event) -> int:
        """Write it down, then look at the clock."""
        number = await self._record.append(log, event)
        if phase := ends_phase(event, of_attempt="-" in log):
            self._stopwatch.mark(phase)
        return number


def ends_phase(event: Event, *, of_attempt: bool) -> str | None:
    """The phase that an event of a log ends, or None."""
    match event:
        case Moved(state=State.PREPARING):
            return "queue"
        case Moved(state=State.RUNNING):
            return "sandbox" if of_attempt else "environment warm"
        case ChangeTaken():
            return "engine"
        case Verified():
            return "verification"
        case Delivered() if not of_attempt:
            return "delivery"
        case Moved(state=state) if state.final and not of_attempt:
            return "bookkeeping"
        case _:
            return None


async def measure(
    platform: Platform, repository: Path, engine: str, rounds: int, stopwatch: Stopwatch
) -> dict[str, list[Cost]]:
    """The phases of `rounds` tasks after one that warms up."""
    watched = replace(platform, record=cast("Record", WatchedRecord(platform.record, stopwatch)))
    enough = asyncio.Event()

    async def until() -> bool:
        return enough.is_set()

    worker = asyncio.create_task(work(watched, until=until))
    try:
        for number in range(rounds + 1):
            if number == 1:
                stopwatch.phases.clear()
            await one_round(watched, repository, engine, stopwatch, worker)
    finally:
        enough.set()
        await worker
    return stopwatch.phases


async def one_round(
    platform: Platform, repository: Path, engine: str, stopwatch: Stopwatch, worker: "asyncio.Task[None]"
) -> None:
    """One task to its pull request."""
    model = ("openai:scripted",) if engine == "native" else ()
    order = Order(
        prompt="Fix the failing tests", repository=str(repository), cwd=repository, engines=(engine,), models=model
    )
    stopwatch.start()
    task: Task = await desk.submit(platform, order)
    stopwatch.mark("workspace")
    while not task.state.final:
        if worker.done():
            worker.result()
        await asyncio.sleep(0.02)
        task = await platform.record.task(task.id)
    if task.state is not State.DONE:
        sys.exit(f"the task ended as {task.state}: {task.reason}")


def bare_commands(repository: Path, scratch: Path) -> dict[str, Callable[[], None]]:
    """What a person would type for the same phase, without any of the promises."""
    tree, bare = scratch / "bare-tree", scratch / "bare.git"
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    pytest, plain = plain_pytest()

    def call(*argv: str | Path, cwd: Path = scratch, status: tuple[int, ...] = (0,)) -> None:
        done = subprocess.run(argv, cwd=cwd, env=plain, capture_output=True, check=False)
        if done.returncode not in status:
            sys.exit(f"{argv}: {done.stdout.decode()}{done.stderr.decode()}")

    def edit(old: str, new: str) -> None:
        path = tree / "freetime" / "interval.py"
        path.write_text(path.read_text().replace(old, new))

    def workspace() -> None:
        shutil.rmtree(tree, ignore_errors=True)
        call(*git, "clone", "--quiet", "--shared", repository, tree)

    def engine() -> None:
        call("ls", "-R", "freetime", "tests", cwd=tree)
        call(*pytest, cwd=tree, status=(1,))
        edit(WRONG, RIGHT)
        call(*pytest, cwd=tree)

    def verification() -> None:
        edit(RIGHT, WRONG)
        call(*pytest, cwd=tree, status=(1,))
        edit(WRONG, RIGHT)
        call(*pytest, cwd=tree)

    def delivery() -> None:
        shutil.rmtree(bare, ignore_errors=True)
        call(*git, "init", "--quiet", "--bare", bare)
        call(*git, "commit", "--quiet", "--all", "--message", "fix", cwd=tree)
        call(*git, "push", "--quiet", bare, "HEAD:refs/heads/fix", cwd=tree)

    return {
        "workspace": workspace,
        "sandbox": lambda: call("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"),
        "engine": engine,
        "verification": verification,
        "delivery": delivery,
    }


def measure_bare(repository: Path, scratch: Path, rounds: int) -> dict[str, list[Cost]]:
    """The same phases by bare commands."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    for number in range(rounds + 1):
        for phase, command in bare_commands(repository, scratch).items():
            stopwatch = Stopwatch()
            stopwatch.start()
            command()
            stopwatch.mark(phase)
            if number:
                costs[phase] += stopwatch.phases[phase]
    return costs


def table(ours: dict[str, list[Cost]], bare: dict[str, list[Cost]]) -> Iterator[str]:
    """Markdown: medians over the rounds, sums in the last row."""

    def medians(costs: list[Cost], rounds: int) -> Cost:
        # A phase may take several marks in one round (queue: of the task and of its attempt).
        each = max(len(costs) // rounds, 1)
        sums = [costs[index : index + each] for index in range(0, len(costs), each)]
        wall = statistics.median(sum(cost.wall for cost in some) for some in sums)
        return Cost(wall, statistics.median(sum(cost.cpu for cost in some) for some in sums))

    def row(name: str, cost: Cost, floor: Cost | None) -> str:
        start = f"| {name} | {cost.wall:.3f} | {cost.cpu:.3f} |"
        if floor is None:
            return f"{start} - | - | - | - |"
        ratios = (cost.wall / floor.wall, cost.cpu / floor.cpu if floor.cpu else float("inf"))
        return f"{start} {floor.wall:.3f} | {floor.cpu:.3f} | {ratios[0]:.1f} | {ratios[1]:.1f} |"

    yield "| phase | wall s | CPU s | bare wall s | bare CPU s | wall ratio | CPU ratio |"
    yield "|---|---|---|---|---|---|---|"
    rounds = len(ours["workspace"])
    order = ["workspace", "queue", "environment warm", "sandbox", "engine", "verification", "delivery", "bookkeeping"]
    all_ours, all_bare = [], []
    for phase in order:
        cost = medians(ours[phase], rounds)
        floor = medians(bare[phase], rounds) if phase in bare else None
        all_ours.append(cost)
        all_bare += [floor] if floor else []
        yield row(phase, cost, floor)

    def total(costs: list[Cost]) -> Cost:
        return Cost(sum(cost.wall for cost in costs), sum(cost.cpu for cost in costs))

    yield row("**all**", total(all_ours), total(all_bare))


async def run(engine: str, rounds: int) -> None:
    """Measure and print."""
    scratch = Path(tempfile.mkdtemp(prefix="pullwright-bench-"))
    scratch.chmod(0o755)
    try:
        with example_repository(scratch) as repository, scripted_model(scratch) as (url, server):
            variables = {"PULLWRIGHT_HOME": str(scratch / "home"), "OPENAI_BASE_URL": url}
            settings = Settings.from_environment({**os.environ, **variables})
            async with build(settings) as platform:
                stopwatch = Stopwatch(leave_out=frozenset({server}))
                ours = await measure(platform, repository, engine, rounds, stopwatch)
            bare = measure_bare(repository, scratch, rounds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"\n### One task, engine `{engine}`\n")
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    print(
        f"`scripts/bench --engine {engine} --rounds {rounds}`, {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"Python {machine.python_version()}, as {who}. Medians.\n"
    )
    for line in table(ours, bare):
        print(line)


def main() -> None:
    """Measure both engines, or the one that was named."""
    parser = argparse.ArgumentParser(description="What one task costs beside the bare commands.")
    parser.add_argument("--engine", choices=["native", "repair"], action="append")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for engine in options.engine or ["native", "repair"]:
        asyncio.run(run(engine, options.rounds))


if __name__ == "__main__":
    main()
