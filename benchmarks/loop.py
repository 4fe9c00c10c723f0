"""What a turn of a whole attempt costs the worker in CPU: log, fold, question, answer, checkpoint, workflow.

    scripts/bench loop [--turns 300] [--characters 200000] [--profile FILE]

One task on a real sandbox, with a scripted model in a process of its own and no latency. Each turn runs one command
that prints the same number of bytes, so that the conversation grows to `--characters` by the last turn; summaries are
off. What is told is the worker's own CPU (`RUSAGE_SELF`), and that of the children it has waited for: git on the host.
"""

import argparse
import asyncio
import cProfile
import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from pullwright.domain.limits import AttemptLimits
from pullwright.domain.transcript import Event
from pullwright.flow import desk
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.wiring import build

STEP = '[[step]]\n[[step.call]]\ntool = "exec_command"\narguments = {{ cmd = "{}" }}\n'
FINISH = '[[step]]\n[[step.call]]\ntool = "finish"\narguments = { summary = "done" }\n'


def script(turns: int, characters: int) -> str:
    """The scenario."""
    each = max(characters // turns - 250, 0)
    command = "printf '%0{}d' {}; : {}"
    return "".join(STEP.format(command.format(each, number, number)) for number in range(turns)) + FINISH


def a_repository(path: Path) -> Path:
    """Thirty small files."""
    path.mkdir()
    for number in range(30):
        (path / f"file{number}.py").write_text("x = 1\n" * 50)
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "First"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(path), *identity, *words], check=True, timeout=60)
    return path


def cpu(who: int) -> float:
    """CPU seconds used so far."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


async def measured(place: Path, turns: int, address: str, profile: Path | None) -> list[tuple[float, float]]:
    """After each turn: this process's CPU seconds so far, and those of its children that have ended."""
    variables = {"PULLWRIGHT_HOME": str(place / "home"), "OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-test"}
    settings = Settings.from_environment({**variables, "PULLWRIGHT_LOCAL_MODELS": "off"})
    points: list[tuple[float, float]] = []
    async with build(settings) as platform:
        order = desk.Order(
            prompt="Count.",
            repository=str(a_repository(place / "repository")),
            cwd=place,
            models=("openai:scripted",),
            setup="true",
            check="true",
            limits=AttemptLimits(turns=turns + 10, context=100_000_000),
        )
        await desk.submit(platform, order)
        profiler = cProfile.Profile() if profile else None

        original = platform.record.append

        async def append(log_id: str, event: Event, at: datetime | None = None) -> int:
            number = await original(log_id, event, at)
            if event.kind == "turn-ended":
                points.append((cpu(resource.RUSAGE_SELF), cpu(resource.RUSAGE_CHILDREN)))
                if profiler and len(points) == turns // 2:
                    profiler.enable()
            return number

        platform.record.append = append  # type: ignore[method-assign]  # a measurement, not a test
        await work(platform, until=lambda: idle(platform))
        if profiler and profile:
            profiler.disable()
            profiler.dump_stats(profile)
    return points


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--characters", type=int, default=200_000)
    parser.add_argument("--profile", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pullwright-loop-") as folder:
        place = Path(folder)
        (place / "script.toml").write_text(script(options.turns, options.characters))
        server = subprocess.Popen(
            [sys.executable, "-m", "pullwright.testing.model_server", str(place / "script.toml")],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout
            address = server.stdout.readline().strip()
            points = asyncio.run(measured(place, options.turns, address, options.profile))
        finally:
            server.terminate()
            server.wait(timeout=10)
    own = [1000 * (later[0] - earlier[0]) for earlier, later in pairwise(points)]
    children = [1000 * (later[1] - earlier[1]) for earlier, later in pairwise(points)]
    print(f"{len(points)} turns, to {options.characters:,} characters; CPU ms a turn, medians")
    print("| turns | the worker | its children |\n|---|---|---|")
    tenth = max(len(own) // 10, 1)
    for name, part in (("first tenth", slice(0, tenth)), ("all", slice(None)), ("last tenth", slice(-tenth - 1, -1))):
        print(f"| {name} | {statistics.median(own[part]):.1f} | {statistics.median(children[part]):.1f} |")


if __name__ == "__main__":
    main()
