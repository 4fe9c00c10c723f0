"""Lists and sums over a large record: the board, its counts, usage by day, an estimate's samples.

    scripts/bench board [--attempts 100000] [--rounds 5] [--database postgresql://...]

Without a database, which must be an empty one, the record is a SQLite file. The baseline of the run is one task looked
up by its id. Rows are written straight into the tables, as the record would.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import create_engine, insert, text

from pullwright.domain.receipt import Verdict
from pullwright.domain.task import EngineChoice, Mode, RepositoryRef, State, Task, TaskRequest, Usage
from pullwright.domain.value import now
from pullwright.settings import Settings
from pullwright.store.board import BoardFilter
from pullwright.store.figures import UsageFilter
from pullwright.store.record import Record
from pullwright.store.schema import ATTEMPTS, TASKS

REPOSITORIES, MODELS, DAYS = 20, 4, 365


def fill(database: str, attempts: int) -> None:
    """Tasks of a year, two attempts each, most of them ended."""
    chance, at = random.Random(7), now()
    engine = create_engine(database)
    tasks, rows = [], []
    for number in range(attempts // 2):
        place = number % REPOSITORIES
        repository = RepositoryRef(location=f"/srv/r{place}", key=f"r{place}-1", name=f"r{place}")
        model = f"openai:m{number % MODELS}"
        request = TaskRequest(
            prompt=f"Task {number}: mend what the tests of module {number % 97} show",
            repository=repository,
            base_commit="a" * 40,
            attempts=(EngineChoice(engine="native", model=model),),
        )
        state = State.DONE if number % 3 else State.FAILED
        created = at - timedelta(seconds=number * DAYS * 86400 / (attempts / 2))
        task = Task(id=f"t{number:07d}", request=request, created=created, state=state)
        plain = {column.name: getattr(task, column.name) for column in TASKS.columns}
        plain |= {"state": state.value, "mode": "code", "request": request.model_dump(mode="json"), "citations": []}
        plain["needs"] = "failed" if state is State.FAILED and number < 200 else None
        tasks.append(plain)
        for ordinal in (1, 2):
            cost, seconds = chance.random(), chance.uniform(20, 900)
            verdict = Verdict.FIXED if state is State.DONE else Verdict.UNPROVEN
            usage = Usage(requests=9, input_tokens=90_000, output_tokens=2000, cost=cost)
            rows.append(
                {
                    "id": f"{task.id}-{ordinal}",
                    "task": task.id,
                    "ordinal": ordinal,
                    "engine": "native",
                    "model": model,
                    "state": state.value,
                    "head": "b" * 40,
                    "files_changed": 2,
                    "insertions": 20,
                    "deletions": 4,
                    "turns": 9,
                    "usage": usage.model_dump(mode="json"),
                    "seconds": seconds,
                    "verdict": verdict.value,
                    "cost": cost,
                    "input_tokens": 90_000,
                    "output_tokens": 2000,
                }
            )
    with engine.begin() as connection:
        connection.execute(insert(TASKS), tasks)
        connection.execute(insert(ATTEMPTS), rows)
        if connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))  # the server does so by itself, minutes later
    engine.dispose()


async def milliseconds(ask: Callable[[], Awaitable[object]], rounds: int) -> float:
    """The median of so many."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def main() -> None:
    """Fill a record and ask it."""
    options = argparse.ArgumentParser()
    options.add_argument("--attempts", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--database")
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), database_url=wanted.database)
        record = await Record.open(settings)
        fill(settings.database, wanted.attempts)
        tomorrow, one = now() + timedelta(days=1), BoardFilter(repositories=("r3-1",))
        month = UsageFilter(since=tomorrow - timedelta(days=31), until=tomorrow)
        year = UsageFilter(since=tomorrow - timedelta(days=366), until=tomorrow)
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "one task by its id": lambda: record.task("t0000100"),
            "board, 100 rows": lambda: record.board(BoardFilter(), None, 100),
            "board of one repository, 100 rows": lambda: record.board(one, None, 100),
            "board, words": lambda: record.board(BoardFilter(words="module 42"), None, 100),
            "counts": lambda: record.counts(BoardFilter()),
            "usage, a month": lambda: record.usage(month),
            "usage, a year": lambda: record.usage(year),
            "samples of an estimate": lambda: record.samples(
                mode=Mode.CODE, limit=200, repository="r3-1", engine="native", model="openai:m3"
            ),
        }
        print(f"{wanted.attempts:,} attempts\n\n| what | ms | / one task |\n|---|---|---|")
        base = None
        for name, ask in asked.items():
            took = await milliseconds(ask, wanted.rounds)
            base = took if base is None else base
            print(f"| {name} | {took:.1f} | {took / base:.1f} |")
        await record.close()


if __name__ == "__main__":
    asyncio.run(main())
