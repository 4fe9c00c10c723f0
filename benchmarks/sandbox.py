"""What a sandbox costs: starts, commands, forks, stops, many at once, memory; beside what the machine itself does.

    scripts/bench sandbox [--rounds N] [--large FILES] [--without-egress]

Every round does each thing once, so that a busy moment of the machine falls on all of them alike. "A wall ready" is a
start as the platform has it (walls are built ahead in the background), "no wall ready" one right after two others. The
layers are made inside sandboxes: one of 1,000 files and one of 28,000, in directories of 100. A fork is a start over a
layer and the first command in it, which reads one file. Before each start there is a short rest: the kernel takes
network namespaces down after their last process has ended, and whoever makes one meanwhile waits. Ratios are against
starting a process, and against `bwrap true` with the same namespaces. `cp -a`, `git worktree add` and runc are measured
a few times only. Last comes the table of `scripts/bench egress`.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

from pullwright.sandbox.base import ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes
from pullwright.sandbox.walls import SPARES

SMALL = 1000
MANY = 50
REST_SECONDS = 0.03
COPIES = 3
TRUE = ExecRequest(argv=("true",))
BARE_WALL = ("bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
             "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--dev", "/dev", "--proc", "/proc",
             "true")  # fmt: skip
BUSY = ExecRequest(argv=("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; echo up; wait"))
TWENTY_MB = ExecRequest(argv=("sh", "-c", "for i in $(seq 20); do head -c 1000000 /dev/urandom >f$i; done"))

Samples = dict[str, list[float]]
HOST, BARE = "a process of the host: `true`", "`bwrap true`"


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--large", type=int, default=28_000, help="files of the large layer")
    parser.add_argument("--without-egress", action="store_true")
    options = parser.parse_args()
    began = os.getloadavg()[0]
    samples: Samples = defaultdict(list)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as home:
        sandboxes = LocalSandboxes(Path(home, "sandboxes"), uid=64200)
        try:
            layers = {files: await _layer(sandboxes, files) for files in (SMALL, options.large)}
            for number in range(options.rounds):
                await _round(sandboxes, layers, samples)
                print(f"\rround {number + 1} of {options.rounds}", end="", file=sys.stderr, flush=True)
            print("\r", end="", file=sys.stderr, flush=True)
            _copies(Path(home), layers, samples)
            words = [_runc(Path(home), samples), await _many(sandboxes), await _memory(sandboxes)]
        finally:
            await sandboxes.close()
    print(f"Load of the machine: {began:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} processors.\n")
    _print(samples)
    print("\n" + "\n".join(word for word in words if word))
    if not options.without_egress:
        # The way out of a sandbox has a benchmark of its own; its table belongs to this one too.
        print(flush=True)
        egress = [sys.executable, str(Path(__file__).with_name("egress.py")), "--rounds", "3"]
        subprocess.run(egress, check=True)  # noqa: ASYNC221 - nothing else runs


async def _layer(sandboxes: LocalSandboxes, files: int) -> str:
    sandbox = await sandboxes.start(SandboxSpec(name=f"layer of {files}"))
    script = (
        "i=0; while [ $i -lt $1 ]; do mkdir d$i; (cd d$i; for f in $(seq 100); do echo $i.$f >f$f; done); "
        "i=$((i+1)); done"
    )
    made = await sandbox.run(ExecRequest(argv=("sh", "-c", script, "sh", str(files // 100))))
    assert made.exit_code == 0, made.stderr
    return await sandbox.snapshot()


async def _timed(samples: Samples, what: str, doing: Callable[[], Awaitable[object]]) -> None:
    began = time.perf_counter()
    await doing()
    samples[what].append(time.perf_counter() - began)


async def _host(*argv: str) -> None:
    subprocess.run(argv, check=True, env={"PATH": os.environ["PATH"]})  # noqa: ASYNC221 - nothing else runs


async def _ready(sandboxes: LocalSandboxes) -> None:
    await sandboxes.warm()
    await asyncio.sleep(REST_SECONDS)


async def _round(sandboxes: LocalSandboxes, layers: dict[int, str], samples: Samples) -> None:
    await _ready(sandboxes)
    await _timed(samples, HOST, lambda: _host("true"))
    await _timed(samples, BARE, lambda: _host(*BARE_WALL))
    await _ready(sandboxes)
    sandbox = await _start(sandboxes, samples, "cold start to the end of the first command, a wall ready")
    for _ in range(5):
        await _timed(samples, "a warm command", lambda: sandbox.run(TRUE))
    await _timed(samples, "a file written", lambda: sandbox.write("/workspace/file", b"x" * 1000))
    await _timed(samples, "a file read", lambda: sandbox.read("/workspace/file"))
    await _timed(samples, "stop, idle", sandbox.stop)
    await _ready(sandboxes)
    others: list[Sandbox] = [await sandboxes.start(SandboxSpec(name="other")) for _ in range(SPARES)]
    others.append(await _start(sandboxes, samples, "cold start to the end of the first command, no wall ready"))
    for other in others:
        await other.stop()
    for files, layer in layers.items():
        await _ready(sandboxes)
        read = ExecRequest(argv=("cat", "/workspace/d1/f1"))
        fork = await _start(sandboxes, samples, f"fork of {files:,} files to the end of the first command", read, layer)
        await fork.write("/workspace/d1/new", b"x" * 1000)
        await _timed(samples, f"stop of that fork ({files:,} files)", fork.stop)
    await _stops(sandboxes, samples)


async def _start(
    sandboxes: LocalSandboxes, samples: Samples, what: str, first: ExecRequest = TRUE, *layers: str
) -> Sandbox:
    began = time.perf_counter()
    sandbox = await sandboxes.start(SandboxSpec(name="measured", layers=layers))
    result = await sandbox.run(first)
    samples[what].append(time.perf_counter() - began)
    assert result.exit_code == 0, result.stderr
    return sandbox


async def _stops(sandboxes: LocalSandboxes, samples: Samples) -> None:
    sandbox = await sandboxes.start(SandboxSpec(name="used"))
    for _ in range(100):
        await sandbox.run(TRUE)
    await _timed(samples, "stop, after 100 commands", sandbox.stop)
    sandbox = await sandboxes.start(SandboxSpec(name="busy"))
    busy = await sandbox.open(BUSY)
    assert await anext(busy.output()) == b"up\n"
    await _timed(samples, "stop, with 8 busy children", sandbox.stop)
    sandbox = await sandboxes.start(SandboxSpec(name="written"))
    await sandbox.run(TWENTY_MB)
    await _timed(samples, "stop, after writing 20 MB", sandbox.stop)


def _copies(home: Path, layers: dict[int, str], samples: Samples) -> None:
    """What others do for a tree of one's own: copy it, or have git lay it out."""
    for files, layer in layers.items():
        tree = home / "sandboxes/layers" / layer / "workspace"
        repository = home / f"repository-{files}"
        shutil.copytree(tree, repository)
        git = ("git", "-C", str(repository), "-c", "user.name=bench", "-c", "user.email=bench@localhost")
        for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
            subprocess.run([*git, *words], check=True)
        for number in range(COPIES):
            made = (home / f"copy-{number}", home / f"worktree-{number}")
            began = time.perf_counter()
            subprocess.run(["cp", "-a", tree, made[0]], check=True)
            copied = time.perf_counter()
            subprocess.run([*git, "worktree", "add", "-q", "--detach", made[1]], check=True)
            samples[f"`cp -a` of {files:,} files"].append(copied - began)
            samples[f"`git worktree add` of {files:,} files"].append(time.perf_counter() - copied)
            for path in made:
                subprocess.run(["rm", "-rf", path], check=True)
            subprocess.run([*git, "worktree", "prune"], check=True)


def _runc(home: Path, samples: Samples) -> str:
    """The same `true` in a container of runc's, with the host's /usr; gives why not, where it is left out."""
    if shutil.which("runc", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        return "runc is not installed here."
    bundle = home / "bundle"
    (bundle / "rootfs").mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            (bundle / "rootfs" / name).symlink_to(Path("/", name).readlink())
    subprocess.run(["runc", "spec", "-b", bundle], check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["true"]}
    usr = {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}
    config["mounts"].append(usr)
    (bundle / "config.json").write_text(json.dumps(config))
    for number in range(COPIES + 7):
        words = ["runc", "run", "-b", str(bundle), f"bench-{os.getpid()}-{number}"]
        began = time.perf_counter()
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            return f"runc is left out: it ended with {done.returncode}: {done.stderr.strip().splitlines()[-1][:200]}"
        samples["`runc run true`"].append(time.perf_counter() - began)
    return ""


async def _many(sandboxes: LocalSandboxes) -> str:
    await _ready(sandboxes)
    each: Samples = defaultdict(list)
    began = time.perf_counter()
    started = await asyncio.gather(*(_start(sandboxes, each, "one") for _ in range(MANY)))
    whole = time.perf_counter() - began
    middle, tail = _middle_and_tail(each["one"])
    began = time.perf_counter()
    await asyncio.gather(*(sandbox.stop() for sandbox in started))
    stopped = time.perf_counter() - began
    return (
        f"{MANY} at once: all had run their first command after {whole * 1e3:.0f} ms ({whole / MANY * 1e3:.1f} ms "
        f"each; from asking to that, median {middle * 1e3:.0f} ms, p95 {tail * 1e3:.0f} ms); all were stopped "
        f"{stopped * 1e3:.0f} ms after they were told to."
    )


async def _memory(sandboxes: LocalSandboxes) -> str:
    """Bytes that are an idle sandbox's alone (proc(5), smaps_rollup), over all its processes."""
    await _ready(sandboxes)
    spare = [_private(pid) for pid in _walls()]
    started = [await _start(sandboxes, defaultdict(list), "one") for _ in range(10)]
    used = [_private(pid) for pid in _walls()]
    used.sort(reverse=True)
    for sandbox in started:
        await sandbox.stop()
    return (
        f"Private memory of an idle sandbox, all its processes: median {statistics.median(used[:10]) / 1024:.0f} KiB, "
        f"most {max(used) / 1024:.0f} KiB; of a wall that waits: most {max(spare) / 1024:.0f} KiB."
    )


def _walls() -> list[int]:
    tasks = Path("/proc/self/task").iterdir()
    pids = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "bwrap\n"]


def _private(pid: int) -> int:
    below = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    fields = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    own = sum(int(field[1]) * 1024 for field in fields if field[0] in ("Private_Clean:", "Private_Dirty:"))
    return own + sum(_private(child) for child in below)


def _middle_and_tail(seconds: list[float]) -> tuple[float, float]:
    middle = statistics.median(seconds)
    return middle, statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else middle


def _print(samples: Samples) -> None:
    process, wall = (statistics.median(samples[name]) for name in (HOST, BARE))
    print("| what | median ms | p95 ms | least ms | / process | / `bwrap true` |\n|---|---|---|---|---|---|")
    for what, seconds in samples.items():
        middle, tail = _middle_and_tail(seconds)
        print(
            f"| {what} | {middle * 1e3:.1f} | {tail * 1e3:.1f} | {min(seconds) * 1e3:.1f} | {middle / process:.1f} "
            f"| {middle / wall:.1f} |"
        )


if __name__ == "__main__":
    asyncio.run(main())
