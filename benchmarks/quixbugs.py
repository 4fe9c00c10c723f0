"""The repair engine on the 40 Python programs of QuixBugs, each a repository with its own tests as the only guide.

    python benchmarks/quixbugs.py CHECKOUT [NAME...]        a table: verdict, seconds, rank, exit status
    python benchmarks/quixbugs.py CHECKOUT --build FOLDER   only the repositories

CHECKOUT is a clone of jkoppel/QuixBugs. Nothing of it is kept: the repositories and the record of the runs live in a
folder that goes away at the end. The programs are measured one after the other, as a person would run them.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROMPT = "Fix the failing tests"
LIMIT = 120.0  # seconds of one whole task that count as in time
_STOP = 600.0  # seconds after which a run is ended


@dataclass(frozen=True)
class Row:
    """One program's run."""

    name: str
    verdict: str
    seconds: float
    rank: str
    exit_code: int | None
    reason: str


def names(checkout: Path) -> list[str]:
    """The programs that have tests."""
    tests = sorted((checkout / "python_testcases").glob("test_*.py"))
    if not tests:
        sys.exit(f"{checkout} is no checkout of QuixBugs: it has no python_testcases/test_*.py; clone jkoppel/QuixBugs")
    return [test.stem.removeprefix("test_") for test in tests]


def build(checkout: Path, name: str, folder: Path) -> Path:
    """A repository with one faulty program and its tests; the corrected programs are not in it."""
    root = folder / name
    programs, tests = root / "python_programs", root / "python_testcases"
    programs.mkdir(parents=True)
    tests.mkdir()
    source = checkout / "python_programs" / f"{name}.py"
    shutil.copy(source, programs)
    if re.search(r"\bnode\b", source.read_text()):
        shutil.copy(checkout / "python_programs" / "node.py", programs)
    for file in (f"test_{name}.py", "load_testdata.py", "node.py"):
        shutil.copy(checkout / "python_testcases" / file, tests)
    cases = checkout / "json_testcases" / f"{name}.json"
    if cases.exists():
        (root / "json_testcases").mkdir()
        shutil.copy(cases, root / "json_testcases")
    shutil.copy(checkout / "conftest.py", root)
    _git(root, "init", "--quiet")
    _git(root, "add", "--all")
    _git(root, "-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost", "commit", "--quiet", "-m", name)
    return root


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, stdin=subprocess.DEVNULL)


def measure(root: Path, home: Path) -> Row:
    """Run the task on one repository."""
    command = [sys.executable, "-m", "pullwright", "run", PROMPT, "--repo", str(root), "--engine", "repair", "--json"]
    environment = {**os.environ, "PULLWRIGHT_HOME": str(home)}
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_STOP, text=True
        )
    except subprocess.TimeoutExpired:
        return Row(root.name, "-", _STOP, "", None, f"did not end within {_STOP:.0f} s")
    seconds = time.perf_counter() - began
    try:
        task = json.loads(done.stdout)
        attempt = task["attempts"][0]
    except (ValueError, LookupError, TypeError):
        return Row(
            root.name, "-", seconds, "", done.returncode, (done.stderr.strip().splitlines() or ["no output"])[-1]
        )
    receipt = attempt["receipt"] or {}
    rank = _rank(task["id"], environment)
    return Row(root.name, receipt.get("verdict", "-"), seconds, rank, done.returncode, attempt["reason"] or "")


def _rank(task: str, environment: dict[str, str]) -> str:
    """The rank of the edit and the number of candidates, as the engine noted them."""
    command = [sys.executable, "-m", "pullwright", "task", "log", task, "--json"]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    found = ""
    for line in done.stdout.splitlines():
        event = json.loads(line)["event"]
        if event["kind"] == "engine-noted" and event["topic"] in ("found", "searched"):
            searched = event["data"]["searched"]
            rank = str(event["data"]["hit"]["index"] + 1) if event["topic"] == "found" else "-"
            found = f"{rank} of {searched['total']}, {searched['tried']} tried"
    return found


def show(row: Row) -> None:
    """One line of the table."""
    fixed = row.verdict == "fixed" and row.exit_code == 0
    status = "-" if row.exit_code is None else row.exit_code
    print(
        f"{row.name:<28} {row.verdict:<12} {row.seconds:>6.1f} {row.rank:<26} {status:>4}  "
        f"{'' if fixed else row.reason[:160]}",
        flush=True,
    )


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    chosen = options.names or names(options.checkout)
    if options.build:
        for name in chosen:
            build(options.checkout, name, options.build)
        return
    print(f"{'program':<28} {'verdict':<12} {'s':>6} {'rank':<26} exit  reason")
    rows = []
    # Readable by the uid that sandboxes run as, which is another one where this runs as root.
    with tempfile.TemporaryDirectory(prefix="quixbugs-") as folder:
        Path(folder).chmod(0o755)
        for name in chosen:
            row = measure(build(options.checkout, name, Path(folder) / "repositories"), Path(folder) / "home")
            rows.append(row)
            show(row)
    fixed = [row for row in rows if row.verdict == "fixed" and row.exit_code == 0]
    late = [row for row in fixed if row.seconds > LIMIT]
    seconds = sorted(row.seconds for row in fixed)
    median = f", median {seconds[len(seconds) // 2]:.1f} s" if seconds else ""
    print(f"{len(fixed)} of {len(rows)} fixed, {len(fixed) - len(late)} of them within {LIMIT:.0f} s{median}")


if __name__ == "__main__":
    main()
