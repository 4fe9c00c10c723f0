"""What a sandbox costs: cold start, warm commands, forks of prepared layers, stop, beside what the machine itself does.

    python benchmarks/sandbox.py [--rounds N] [--large FILES]

Every round does each thing once, so that a busy moment of the machine falls on all of them alike. The layers are made
inside sandboxes: one of 1,000 files and one of 28,000, in directories of 100. A fork is a start over a layer and the
first command in it, which reads one file; its writes are a kilobyte. Before each start there is a short rest: the
kernel takes network namespaces down after their last process has ended, and whoever makes one meanwhile waits. Ratios
are against starting a process, and against `bwrap true` with the same namespaces.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

from pullwright.sandbox.base import ExecRequest, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

SMALL = 1000
REST_SECONDS = 0.03
TRUE = ExecRequest(argv=("true",))
BARE_WALL = ("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
             "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--dev", "/dev", "--proc", "/proc",
             "true")  # fmt: skip

Samples = dict[str, list[float]]


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--large", type=int, default=28_000, help="files of the large layer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
        sandboxes = LocalSandboxes(Path(home, "sandboxes"), uid=64200)
        try:
            layers = {files: await _layer(sandboxes, files) for files in (SMALL, options.large)}
            samples: Samples = defaultdict(list)
            for _ in range(options.rounds):
                await _round(sandboxes, layers, samples)
        finally:
            await sandboxes.close()
    _print(samples)
    # The way out of a sandbox has a benchmark of its own; its table belongs to this one too.
    print(flush=True)
    words = [sys.executable, str(Path(__file__).with_name("egress.py")), "--rounds", "3"]
    subprocess.run(words, check=True)  # noqa: ASYNC221 - nothing else runs


async def _layer(sandboxes: LocalSandboxes, files: int) -> str:
    sandbox = await sandboxes.start(SandboxSpec(name=f"layer of {files}"))
    script = (
        "i=0; while [ $i -lt $1 ]; do mkdir d$i; (cd d$i; for f in $(seq 100); do echo $i.$f >f$f; done); "
        "i=$((i+1)); done"
    )
    made = await sandbox.run(ExecRequest(argv=("sh", "-c", script, "sh", str(files // 100))))
    assert made.exit_code == 0, made.stderr
    return await sandbox.snapshot()


async def _round(sandboxes: LocalSandboxes, layers: dict[int, str], samples: Samples) -> None:
    async def timed(what: str, doing: Callable[[], Awaitable[object]]) -> None:
        began = time.perf_counter()
        await doing()
        samples[what].append(time.perf_counter() - began)

    async def host(*argv: str) -> None:
        subprocess.run(argv, check=True, env={"PATH": os.environ["PATH"]})  # noqa: ASYNC221 - nothing else runs

    await timed("a process of the host: `true`", lambda: host("true"))
    await asyncio.sleep(REST_SECONDS)
    await timed("`bwrap true`", lambda: host(*BARE_WALL))

    await asyncio.sleep(REST_SECONDS)
    began = time.perf_counter()
    sandbox = await sandboxes.start(SandboxSpec(name="cold"))
    await sandbox.run(TRUE)
    samples["cold start to the end of the first command"].append(time.perf_counter() - began)
    for _ in range(5):
        await timed("a warm command", lambda: sandbox.run(TRUE))
    await timed("a file written", lambda: sandbox.write("/workspace/file", b"x" * 1000))
    await timed("a file read", lambda: sandbox.read("/workspace/file"))
    await timed("stop", sandbox.stop)
    for files, layer in layers.items():
        read = ExecRequest(argv=("cat", "/workspace/d1/f1"))
        await asyncio.sleep(REST_SECONDS)
        began = time.perf_counter()
        fork = await sandboxes.start(SandboxSpec(name="fork", layers=(layer,)))
        result = await fork.run(read)
        samples[f"fork of {files:,} files to the end of the first command"].append(time.perf_counter() - began)
        assert result.stdout == b"1.1\n"
        await fork.write("/workspace/d1/new", b"x" * 1000)
        await timed(f"stop of that fork ({files:,} files)", fork.stop)


def _print(samples: Samples) -> None:
    process, wall = (statistics.median(samples[name]) for name in ("a process of the host: `true`", "`bwrap true`"))
    print("| what | median ms | p95 ms | / process | / `bwrap true` |\n|---|---|---|---|---|")
    for what, seconds in samples.items():
        middle = statistics.median(seconds)
        tail = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else middle
        print(f"| {what} | {middle * 1e3:.1f} | {tail * 1e3:.1f} | {middle / process:.1f} | {middle / wall:.1f} |")


if __name__ == "__main__":
    asyncio.run(main())
