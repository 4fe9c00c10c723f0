"""The code index of one repository, beside universal-ctags in the same run, and checked against jedi.

    scripts/bench index PATH [--ref REF] [--rounds N] [--queries N] [--jedi SECONDS]

PATH is a git repository, bare or not, of 2,000 files or more. Nothing is written there: a store that borrows its
objects is made in a folder that goes away. Building is measured from nothing, the parsers' processes and their start
included; CPU is that of this process and its children. ctags reads the same files, laid out. Queries are asked in a
warm process, each of another symbol, chosen at random from a fixed seed.

What is right is asked of jedi (`uv pip install jedi`, for this alone; without it that part is left out). Definitions of
a sample of Python files are compared with those that jedi names. For references, lines that hold a sampled symbol's
name anywhere are put to jedi's `goto`: those that lead to the definition are uses of it, those that lead elsewhere are
not, and those of which it knows nothing are left out and counted.
"""

import argparse
import asyncio
import importlib
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pullwright.code.index.codebase import Codebase
from pullwright.code.index.indexes import Indexes
from pullwright.code.index.shelf import size_of
from pullwright.code.index.touched import is_test
from pullwright.code.index.uses import Place
from pullwright.repos.bare import BareStore

Foreign = Any  # what jedi and parso give; they are no dependencies
SEED = 20261126
LANGUAGES = "Python,JavaScript,TypeScript,Go,Rust,Java,C,C++"
_GOTO_SECONDS = 5
_OCCURRENCES = 12  # lines of one symbol that are put to jedi


@dataclass
class Ground:
    """The repository as it is measured: a store of ours, and its files laid out."""

    folder: Path
    store: BareStore
    commit: str
    files: Path

    @classmethod
    def of(cls, path: Path, ref: str, folder: Path) -> "Ground":
        """Borrow a repository's objects."""
        common = git(path, "rev-parse", "--path-format=absolute", "--git-common-dir")
        commit = git(path, "rev-parse", "--verify", f"{ref}^{{commit}}")
        store = folder / "repos" / "measured.git"
        subprocess.run(["git", "init", "-q", "--bare", str(store)], check=True)
        (store / "objects/info/alternates").write_text(f"{common}/objects\n")
        files = folder / "files"
        files.mkdir()
        archive = subprocess.Popen(["git", f"--git-dir={store}", "archive", commit], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", str(files)], stdin=archive.stdout, check=True)
        archive.wait()
        return cls(folder, BareStore(store, path.name), commit, files)

    def with_edit(self, path: str, data: bytes) -> str:
        """A commit that differs in one file."""
        git_dir = (f"--git-dir={self.store.path}",)
        blob = subprocess.run(
            ["git", *git_dir, "hash-object", "-w", "--stdin"], input=data, capture_output=True, check=True
        ).stdout.decode()
        for words in (
            ("read-tree", self.commit),
            ("update-index", "--cacheinfo", f"100644,{blob.strip()},{path}"),
        ):
            subprocess.run(["git", *git_dir, *words], check=True)
        tree = subprocess.run(
            ["git", *git_dir, "write-tree"], capture_output=True, check=True, text=True
        ).stdout.strip()
        identity = ("-c", "user.name=b", "-c", "user.email=b@localhost")
        made = subprocess.run(
            ["git", *identity, *git_dir, "commit-tree", "-p", self.commit, "-m", "edit", tree],
            capture_output=True,
            check=True,
            text=True,
        )
        return made.stdout.strip()


def git(path: Path, *words: str) -> str:
    """What git says in a repository that may belong to somebody else."""
    command = ["git", "-c", "safe.directory=*", "-C", str(path), *words]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


@dataclass
class Spent:
    """Seconds of each round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @contextmanager
    def round(self) -> Iterator[None]:
        """Measure one."""
        wall, cpu = time.monotonic(), _cpu()
        yield
        self.wall.append(time.monotonic() - wall)
        self.cpu.append(_cpu() - cpu)

    def row(self, beside: "Spent | None" = None) -> str:
        """Medians, and their ratio to another's."""
        wall, cpu = statistics.median(self.wall), statistics.median(self.cpu)
        times = ""
        if beside is not None:
            times = f" {wall / statistics.median(beside.wall):.1f} / {cpu / statistics.median(beside.cpu):.1f}"
        return f"{wall:.2f} | {cpu:.2f} |{times or ' 1.0'}"


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def tag(files: Path, output: Path) -> None:
    """Run ctags."""
    command = ["ctags", "-R", f"--languages={LANGUAGES}", "-f", str(output), "--fields=+n", "."]
    subprocess.run(command, cwd=files, check=True, stderr=subprocess.DEVNULL)


async def build(ground: Ground, rounds: int) -> Codebase:
    """Building from nothing, beside ctags."""
    tags, ours = Spent(), Spent()
    output = ground.folder / "tags"
    for number in range(rounds):
        with tags.round():
            tag(ground.files, output)
        shutil.rmtree(ground.folder / "index", ignore_errors=True)
        with ours.round():
            indexes = Indexes(ground.folder / "index", uid=64200)
            codebase = await indexes.at(ground.store, ground.commit)
            indexes.close()
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    indexes = Indexes(ground.folder / "index", uid=64200)
    codebase = await indexes.at(ground.store, ground.commit)
    path = indexes.path(ground.store)
    snapshot = codebase.snapshot
    outlines = snapshot.shelf.outlines([one.id for one in snapshot.files.values()])
    definitions = sum(map(len, outlines.values()))
    with output.open("rb") as lines:
        tagged = sum(not line.startswith(b"!") for line in lines)
    megabytes = sum(file.stat().st_size for file in ground.files.rglob("*") if file.is_file()) / 1e6
    print(f"\n{len(snapshot.files):,} indexed files, {megabytes:.0f} MB of all files, commit {ground.commit[:12]}\n")
    print("| building from nothing | wall s | CPU s | times ctags, wall / CPU |\n|---|---:|---:|---:|")
    print(f"| universal-ctags: {tagged:,} definitions, {output.stat().st_size / 1e6:.1f} MB | {tags.row()} |")
    print(
        f"| the index: {definitions:,} definitions, uses of names, imports, {size_of(path) / 1e6:.1f} MB "
        f"| {ours.row(tags)} |"
    )
    await updates(ground, indexes, codebase)
    return codebase


async def updates(ground: Ground, indexes: Indexes, codebase: Codebase) -> None:
    """What one edit costs: laid over the commit, and as a commit of its own."""
    chosen = random.Random(SEED).sample(sorted(codebase.snapshot.files), 20)
    over, commits = [], []
    for number, path in enumerate(chosen):
        data = (ground.files / path).read_bytes() + b"\n"
        started = time.monotonic()
        edited, _ = await indexes.over(codebase, {path: data})
        await edited.outline(path)
        if number:  # the first one starts a process
            over.append(time.monotonic() - started)
        else:
            first = time.monotonic() - started
        commit = ground.with_edit(path, data + b"\n")
        started = time.monotonic()
        await (await indexes.at(ground.store, commit)).outline(path)
        commits.append(time.monotonic() - started)
    print("\n| after one edit, ms | median | slowest |\n|---|---:|---:|")
    for name, spent in (("laid over the commit", over), ("a commit that differs by it", commits)):
        print(f"| {name} | {statistics.median(spent) * 1e3:.0f} | {max(spent) * 1e3:.0f} |")
    print(f"| the first one, which starts a process | {first * 1e3:.0f} | |")


async def queries(codebase: Codebase, count: int) -> None:
    """How long answers take in a warm process."""
    chance = random.Random(SEED)
    snapshot = codebase.snapshot
    outlines = snapshot.shelf.outlines([one.id for one in snapshot.files.values()])
    names = sorted({one.name for found in outlines.values() for one in found})
    paths = sorted(snapshot.files)
    kinds: dict[str, tuple[Callable[[Any], Awaitable[object]], Sequence[Any]]] = {
        "find": (codebase.find, names),
        "references": (codebase.references, names),
        "outline": (codebase.outline, paths),
        "importers": (codebase.importers, paths),
        "tests touched by a file": (lambda path: codebase.tests_for([path]), paths),
        "map of 1,500 tokens": (lambda name: codebase.map(f"mend {name}", 1500), names),
    }
    print("\n| queries, ms | first | p50 | p95 | slowest |\n|---|---:|---:|---:|---:|")
    for kind, (ask, what) in kinds.items():
        spent = []
        for one in chance.sample(what, min(count if "map" not in kind else 20, len(what))):
            started = time.monotonic()
            await ask(one)
            spent.append((time.monotonic() - started) * 1e3)
        first, *rest = spent
        p95 = statistics.quantiles(rest, n=20)[-1]
        print(f"| {kind} | {first:.1f} | {statistics.median(rest):.1f} | {p95:.1f} | {max(rest):.1f} |")


async def correctness(ground: Ground, codebase: Codebase, seconds: float) -> None:
    """Precision and recall of a sample, jedi being right."""
    try:
        jedi: Foreign = importlib.import_module("jedi")
    except ImportError:
        print("\nNo jedi here: precision and recall are left out. `uv pip install jedi` brings it.")
        return
    jedi.settings.dynamic_params = False
    project = jedi.Project(str(ground.files), load_unsafe_extensions=False)
    chance = random.Random(SEED)
    python = [path for path in sorted(codebase.snapshot.files) if path.endswith(".py")]
    await _definitions(ground, codebase, jedi, chance.sample(python, min(150, len(python))))
    places = [
        Place(path, one)
        for path in chance.sample([path for path in python if not is_test(path)], min(120, len(python)))
        for one in await codebase.outline(path) or []
        if one.kind in ("class", "function", "method") and not one.name.startswith("__") and len(one.name) > 2
    ]
    chance.shuffle(places)
    texts = {path: (ground.files / path).read_text(errors="replace") for path in python}
    await _references(ground, codebase, (jedi, project), places, texts, seconds)


async def _definitions(ground: Ground, codebase: Codebase, jedi: Foreign, paths: Sequence[str]) -> None:
    ours: set[tuple[str, str, int]] = set()
    theirs: set[tuple[str, str, int]] = set()
    for path in paths:
        for one in await codebase.outline(path) or []:
            if not one.text.startswith("self."):
                ours.add((path, one.name, one.line))
        for name in jedi.Script(path=str(ground.files / path)).get_names(all_scopes=True, definitions=True):
            tree = name._name.tree_name
            statement = tree.get_definition() if tree else None
            if statement is None or tree.parent.type == "trailer":
                continue
            scope = statement.type in ("funcdef", "classdef") or _level(statement) in ("file_input", "classdef")
            if statement.type in ("funcdef", "classdef", "expr_stmt") and scope and _assigned(tree, statement):
                theirs.add((path, name.name, name.line))
    right = len(ours & theirs)
    print("\n| against jedi | sample | precision | recall |\n|---|---|---:|---:|")
    print(
        f"| definitions: functions, classes, names of modules and classes | {len(paths)} files, {len(theirs):,} "
        f"definitions | {right / len(ours):.3f} | {right / len(theirs):.3f} |"
    )


def _level(node: Foreign) -> str:
    """The scope that a statement of parso's tree stands in."""
    while node.parent is not None:
        node = node.parent
        if node.type in ("file_input", "classdef", "funcdef", "lambdef"):
            break
    return str(node.type)


def _assigned(name: Foreign, statement: Foreign) -> bool:
    """Whether a name of a definition is what it defines, and no part of a target like `a.b` or `a[b]`."""
    return name.parent.type not in ("trailer", "atom_expr", "power") or statement.type != "expr_stmt"


@dataclass
class _Tally:
    """Lines judged so far."""

    symbols: int = 0
    right: int = 0  # found by both
    wrong: int = 0  # ours alone
    missed: int = 0  # jedi's alone
    unknown: int = 0  # jedi knows nothing of them

    def judge(self, *, used: bool, told: bool) -> None:
        """Count one line."""
        self.right += used and told
        self.wrong += told and not used
        self.missed += used and not told

    def row(self, name: str) -> str:
        judged = self.right + self.wrong + self.missed
        precision = self.right / max(self.right + self.wrong, 1)
        recall = self.right / max(self.right + self.missed, 1)
        return (
            f"| references of {name} | {self.symbols} symbols, {judged:,} lines judged, {self.unknown:,} unknown to "
            f"jedi | {precision:.3f} | {recall:.3f} |"
        )


async def _references(
    ground: Ground,
    codebase: Codebase,
    oracle: tuple[Any, Any],
    places: Sequence[Place],
    texts: dict[str, str],
    seconds: float,
) -> None:
    jedi, project = oracle
    tallies = {"functions and classes": _Tally(), "methods": _Tally()}
    lenient = _Tally()
    chance, end = random.Random(SEED), time.monotonic() + seconds
    done = 0
    for place in places:
        if time.monotonic() > end:
            break
        one = place.definition
        kind = "methods" if one.kind == "method" else "functions and classes"
        tally = tallies[kind]
        if tally.symbols > 2 * min(other.symbols for other in tallies.values()) + 5:
            continue
        word = re.compile(rf"(?<!def )(?<!class )\b{re.escape(one.name)}\b")  # definitions are no uses
        spots = [
            (path, number, found.start())
            for path, text in texts.items()
            if one.name in text
            for number, line in enumerate(text.split("\n"), 1)
            for found in word.finditer(line)
            if (path, number) != (place.path, one.line)
        ]
        owner = f"{one.container}.{one.name}" if one.container else one.name
        answer = await codebase.references(f"{place.path}:{owner}")
        sites = {(str(ground.files / found.path), found.definition.line) for found in answer.places}
        sure = {(use.path, use.line) for use in answer.uses}
        possible = {(use.path, use.line) for use in answer.possible}
        tally.symbols += 1
        lenient.symbols += kind == "methods"
        for path, line, column in chance.sample(spots, min(_OCCURRENCES, len(spots))):
            leads = _goto(jedi, project, ground.files / path, line, column)
            if not leads:
                tally.unknown += 1
                continue
            used, where = bool(leads & sites), (path, line)
            tally.judge(used=used, told=where in sure)
            if kind == "methods":
                lenient.judge(used=used, told=where in sure or where in possible)
            done += 1
        print(f"{done} lines judged", end="\r", file=sys.stderr)
    lenient.unknown = tallies["methods"].unknown
    for name, tally in {**tallies, "methods, possible ones counted": lenient}.items():
        print(tally.row(name))


def _goto(jedi: Foreign, project: Foreign, path: Path, line: int, column: int) -> set[tuple[str, int]]:
    """Where jedi says that a name leads; nothing where it does not know, or not soon enough."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(_GOTO_SECONDS)
    try:
        names = jedi.Script(path=str(path), project=project).goto(line, column, follow_imports=True)
        return {(str(name.module_path), name.line) for name in names if name.module_path and name.line}
    except Exception:  # noqa: BLE001 - another program's faults are not what is measured
        return set()
    finally:
        signal.alarm(0)


async def run(arguments: argparse.Namespace) -> None:
    """All of it."""
    with tempfile.TemporaryDirectory(prefix="pullwright-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        ground = Ground.of(arguments.path.resolve(), arguments.ref, folder)
        codebase = await build(ground, arguments.rounds)
        await queries(codebase, arguments.queries)
        if arguments.jedi:
            await correctness(ground, codebase, arguments.jedi)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--ref", default="HEAD")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--jedi", type=float, default=240.0, metavar="SECONDS", help="0: leave that part out")
    arguments = parser.parse_args()
    if shutil.which("ctags") is None:
        sys.exit("ctags is missing: apt-get install universal-ctags")
    asyncio.run(run(arguments))


if __name__ == "__main__":
    main()
