"""What a repository costs: the mirror, a fetch, a workspace; beside git's own ways to get there, in the same run.

    scripts/bench repos SOURCE [--rounds N] [--at-once N] [--skip-cold]

SOURCE is a bare repository with a long history (sympy, git, cpython), brought by hand and never committed:
`git clone --bare URL DIRECTORY`. Its branches and tags are served over `file://`, so that a network's mood is no part
of it. Git's clones check nothing (`transfer.fsckObjects` is off by default); ours check every object. Everything is
done in turn, each round does each thing once. A workspace is ready when the first command in it has ended.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.environment import Environment
from pullwright.domain.task import EngineChoice, RepositoryRef, TaskRequest
from pullwright.flow.environment import Environments, machine_spec
from pullwright.flow.platform import Platform
from pullwright.sandbox.base import ExecRequest, Sandbox
from pullwright.settings import Settings
from pullwright.wiring import build

NEW_COMMITS = 10
NEARBY = (1, 10, 100)  # commits away
LARGE = 28_000  # files of the tree that is made to show that its size does not matter
Samples = dict[str, list[float]]


def git(directory: Path, *words: str) -> str:
    """Plain git, as a person runs it."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@localhost", "-c", "safe.directory=*", *words]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr[-2000:])
    return done.stdout.strip()


def timed(directory: Path, *words: str) -> float:
    """How many seconds git takes for that."""
    began = time.perf_counter()
    git(directory, *words)
    return time.perf_counter() - began


async def timed_async(doing: Awaitable[object]) -> float:
    """How many seconds that takes."""
    began = time.perf_counter()
    await doing
    return time.perf_counter() - began


def serve(source: Path, served: Path) -> str:
    """The source's branches and tags in a repository of their own, over the same objects. Gives its main branch."""
    served.mkdir()
    git(served, "init", "-q", "--bare")
    (served / "objects/info/alternates").write_text(f"{(source / 'objects').resolve()}\n")
    refs = git(source, "for-each-ref", "--format=create %(refname) %(objectname)", "refs/heads/", "refs/tags/")
    subprocess.run(["git", "update-ref", "--stdin"], cwd=served, input=f"{refs}\n".encode(), check=True)
    head = git(source, "symbolic-ref", "HEAD")
    git(served, "symbolic-ref", "HEAD", head)
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(served, "config", key, "true")
    return head


@dataclass
class Bench:
    """One platform and git beside it, over one served repository."""

    platform: Platform
    served: Path
    ground: Path
    clone: Path  # what git's own workspaces are made from
    known: RepositoryRef | None = None

    async def locate(self) -> RepositoryRef:
        """The served repository; a worker has it from the task."""
        if self.known is None:
            self.known = await self.platform.repositories.locate(str(self.served), Path("/"))
        return self.known

    async def workspace(self, environments: Environments, commit: str) -> Sandbox:
        """A machine at a commit, its first command ended."""
        platform, ref = self.platform, await self.locate()
        request = TaskRequest(prompt="x", repository=ref, base_commit=commit, attempts=(EngineChoice(engine="repair"),))

        async def quiet(_: object) -> None:
            return None

        layers = await environments.layers(request, Environment(), "bench", quiet)
        spec = machine_spec(platform, platform.repositories.store(ref), Environment(), "bench", layers)
        sandbox = await platform.sandboxes.start(spec)
        result = await sandbox.run(ExecRequest(argv=("test", "-e", ".git/index")))
        assert result.exit_code == 0
        return sandbox


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a bare repository with at least 50,000 commits")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--skip-cold", action="store_true", help="leave out the first download")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as home:
        ground = Path(home)
        ground.chmod(0o755)
        served = ground / "served.git"
        head = serve(options.source, served)
        commits = int(git(served, "rev-list", "--count", head))
        files = len(git(served, "ls-tree", "-r", "--name-only", head).splitlines())
        print(f"{options.source.name}: {commits:,} commits on its main branch, {files:,} files\n")
        async with build(Settings(home=ground / "home")) as platform:
            bench = Bench(platform, served, ground, ground / "clone")
            await first_download(bench, head, skip=options.skip_cold)
            await new_commits(bench, head)
            await workspaces(bench, head, options.rounds)
            await nearby(bench, head, options.rounds)
            await many(bench, head, options.at_once)
            await sizes(bench, options.rounds)


def table(title: str, rows: list[tuple[str, float]], against: str, note: str = "") -> None:
    """One table: what, seconds, and how often the baseline goes into it."""
    base = dict(rows)[against]
    print(f"### {title}\n\n| what | s | / {against} |\n|---|---|---|")
    for what, seconds in rows:
        print(f"| {what} | {seconds:.3f} | {seconds / base:.2f} |")
    print(f"\n{note}\n" if note else "", flush=True)


async def first_download(bench: Bench, head: str, *, skip: bool) -> None:
    """The mirror, from nothing, beside git's clones; without the newest commits, which come later."""
    tip = git(bench.served, "rev-parse", head)
    git(bench.served, "update-ref", head, f"{tip}~{NEW_COMMITS}")
    url = f"file://{bench.served}"
    rows: list[tuple[str, float]] = []
    if not skip:
        for what, options in (("`--depth 1`", ("--depth=1",)), ("`--filter=blob:none`", ("--filter=blob:none",))):
            target = bench.ground / "thrown-away"
            rows.append((what, timed(bench.ground, "clone", "-q", *options, url, str(target))))
            shutil.rmtree(target)
    whole = timed(bench.ground, "clone", "-q", url, str(bench.clone))
    rows.insert(0, ("`git clone`", whole))
    reference = await bench.locate()
    rows.append(("our mirror, every object checked", await timed_async(bench.platform.repositories.fetch(reference))))
    table("The first download", rows, "`git clone`")
    git(bench.served, "update-ref", head, tip)


async def new_commits(bench: Bench, head: str) -> None:
    """A few new commits, and then nothing new."""
    reference = await bench.locate()
    rows = [
        ("`git fetch`", timed(bench.clone, "fetch", "-q")),
        ("our mirror", await timed_async(bench.platform.repositories.fetch(reference))),
        ("`git fetch`, nothing new", timed(bench.clone, "fetch", "-q")),
        ("our mirror, nothing new", await timed_async(bench.platform.repositories.fetch(reference))),
    ]
    many_at_once = asyncio.gather(*(bench.platform.repositories.fetch(reference) for _ in range(32)))
    rows.append(("our mirror, nothing new, 32 ask at once", await timed_async(many_at_once)))
    table(f"A fetch of {NEW_COMMITS} new commits", rows, "`git fetch`")
    git(bench.clone, "reset", "-q", "--hard", f"origin/{head.removeprefix('refs/heads/')}")


async def workspaces(bench: Bench, head: str, rounds: int) -> None:
    """A workspace at a commit whose checkout is kept, beside git's."""
    commit = git(bench.served, "rev-parse", head)
    environments = Environments(bench.platform)
    began = time.perf_counter()
    await (await bench.workspace(environments, commit)).stop()
    first = time.perf_counter() - began
    samples: Samples = defaultdict(list)
    for number in range(rounds):
        tree = bench.ground / f"tree-{number}"
        add = ("worktree", "add", "-q", "--detach", str(tree), commit)
        samples["`git worktree add`"].append(timed(bench.clone, *add))
        git(bench.clone, "worktree", "remove", "--force", str(tree))
        shared = ("clone", "-q", "--shared", str(bench.clone), str(tree))
        samples["`git clone --shared`"].append(timed(bench.ground, *shared))
        shutil.rmtree(tree)
        # The kernel takes network namespaces down after their last process: whoever makes one meanwhile waits.
        await asyncio.sleep(0.05)
        began = time.perf_counter()
        sandbox = await bench.workspace(environments, commit)
        samples["ours, warm"].append(time.perf_counter() - began)
        status = ExecRequest(argv=("git", "status", "--porcelain"))
        samples["the first `git status` in it"].append(await timed_async(sandbox.run(status)))
        await sandbox.stop()
    rows = [("ours, the first of this commit", first), *medians(samples)]
    table("A workspace", rows, "`git worktree add`", f"Medians of {rounds} rounds; the first was made once.")


def medians(samples: Samples) -> list[tuple[str, float]]:
    """The middle of each."""
    return [(what, statistics.median(seconds)) for what, seconds in samples.items()]


async def nearby(bench: Bench, head: str, rounds: int) -> None:
    """Commits that have no checkout yet, some commits away from one that has."""
    rows: list[tuple[str, float]] = []
    commits = git(bench.served, "rev-list", "--first-parent", f"--max-count={max(NEARBY) + rounds + 1}", head).split()
    for away in NEARBY:
        samples: Samples = defaultdict(list)
        for number in range(min(rounds, 5)):
            # A house of its own each time, or the last round's checkout would be the nearest.
            place = bench.ground / f"near-{away}-{number}"
            async with build(Settings(home=place)) as platform:
                # Linked, not copied: a store's objects are never written to again.
                link = ["cp", "-al", str(bench.platform.settings.repositories), str(platform.settings.repositories)]
                subprocess.run(link, check=True)  # noqa: ASYNC221 - nothing else runs
                other = Bench(platform, bench.served, bench.ground, bench.clone)
                environments = Environments(platform)
                await (await other.workspace(environments, commits[number])).stop()
                began = time.perf_counter()
                sandbox = await other.workspace(environments, commits[number + away])
                samples[f"ours, {away} commits away"].append(time.perf_counter() - began)
                await sandbox.stop()
            shutil.rmtree(place)
            git(bench.clone, "checkout", "-q", "--detach", commits[number])
            switch = ("checkout", "-q", "--detach", commits[number + away])
            samples[f"`git checkout` in a clone, {away} commits away"].append(timed(bench.clone, *switch))
            tree = bench.ground / "tree"
            add = ("worktree", "add", "-q", "--detach", str(tree), commits[number + away])
            samples[f"`git worktree add`, {away} commits away"].append(timed(bench.clone, *add))
            git(bench.clone, "worktree", "remove", "--force", str(tree))
        rows += medians(samples)
    table("A workspace at a nearby commit, not laid out before", rows, "`git worktree add`, 10 commits away")


async def many(bench: Bench, head: str, count: int) -> None:
    """Many workspaces of one commit at the same time."""
    commit = git(bench.served, "rev-parse", head)
    environments = Environments(bench.platform)
    began = time.perf_counter()
    living = await asyncio.gather(*(bench.workspace(environments, commit) for _ in range(count)))
    ours = time.perf_counter() - began
    each = size(bench.platform.settings.sandboxes / "run") / count
    await asyncio.gather(*(sandbox.stop() for sandbox in living))

    trees = [bench.ground / f"many-{number}" for number in range(count)]

    def add(tree: Path) -> None:
        git(bench.clone, "worktree", "add", "-q", "--detach", str(tree), commit)

    began = time.perf_counter()
    # One after the other: git locks the repository, and at once some of them fail.
    for tree in trees:
        await asyncio.to_thread(add, tree)
    theirs = time.perf_counter() - began
    theirs_each = size(trees[0])
    print(f"### {count} workspaces at once\n\n| what | s | s each | KiB each | / worktree |\n|---|---|---|---|---|")
    for what, seconds, disk in (("`git worktree add`", theirs, theirs_each), ("ours", ours, each)):
        print(f"| {what} | {seconds:.2f} | {seconds / count:.3f} | {disk / 1024:,.0f} | {seconds / theirs:.3f} |")
    print(flush=True)
    for tree in trees:
        shutil.rmtree(tree)


def size(path: Path) -> float:
    """Bytes on the disk below a path."""
    return 1024.0 * int(subprocess.run(["du", "-sk", path], capture_output=True, check=True).stdout.split()[0])


async def sizes(bench: Bench, rounds: int) -> None:
    """Warm workspaces of trees of different sizes."""
    samples: Samples = defaultdict(list)
    made: list[tuple[int, Bench, str]] = []
    for files in (1_000, LARGE):
        path = bench.ground / f"files-{files}"
        path.mkdir()
        git(path, "init", "-q", "-b", "main")
        for number in range(files):
            file = path / f"d{number // 100}" / f"f{number}"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{number}\n")
        git(path, "add", "-A")
        git(path, "commit", "-q", "-m", "all")
        other = Bench(bench.platform, path, bench.ground, path)
        await bench.platform.repositories.fetch(await other.locate())
        made.append((files, other, git(path, "rev-parse", "HEAD")))
        await (await other.workspace(Environments(bench.platform), made[-1][2])).stop()
    for _ in range(rounds):
        for files, other, commit in made:
            tree = bench.ground / "sized"
            add = ("worktree", "add", "-q", "--detach", str(tree), commit)
            samples[f"`git worktree add`, {files:,} files"].append(timed(other.served, *add))
            git(other.served, "worktree", "remove", "--force", str(tree))
            await asyncio.sleep(0.05)
            began = time.perf_counter()
            sandbox = await other.workspace(Environments(bench.platform), commit)
            samples[f"ours, warm, {files:,} files"].append(time.perf_counter() - began)
            await sandbox.stop()
    table("The size of the tree", medians(samples), "ours, warm, 1,000 files", f"Medians of {rounds} rounds.")


if __name__ == "__main__":
    asyncio.run(main())
