"""The job that benchmarks give an agent, the model that says it, and what a process tree costs. Not a command.

A small repository (`examples/freetime`) has two failing tests. The job is to list its files, run pytest, make the right
edit and run pytest again.
"""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "freetime"
WRONG, RIGHT = "self.start <= other.end and", "self.start < other.end and"

SCENARIO = f"""
model = "scripted"

[[step]]
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "ls -R freetime tests" }}

[[step]]
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "python -m pytest -q" }}

[[step]]
[[step.call]]
tool = "apply_patch"
arguments.patch = '''
*** Begin Patch
*** Update File: freetime/interval.py
@@
-        return {WRONG} other.start < self.end
+        return {RIGHT} other.start < self.end
*** End Patch
'''

[[step]]
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = "python -m pytest -q" }}

[[step]]
[[step.call]]
tool = "finish"
arguments = {{ summary = "Meetings that only touch do not overlap." }}
"""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of the processor."""

    wall: float
    cpu: float


def descendants(root: int, leave_out: frozenset[int] = frozenset()) -> dict[int, list[str]]:
    """The living processes below one, itself included, each with its fields of proc(5)'s stat after the name."""
    fields: dict[int, list[str]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields[int(entry.name)] = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue

    def below(pid: int) -> bool:
        while pid > 1 and pid not in leave_out:
            if pid == root:
                return True
            pid = int(fields[pid][1]) if pid in fields else 0
        return False

    return {pid: values for pid, values in fields.items() if below(pid)}


def tree_cpu(leave_out: frozenset[int] = frozenset()) -> float:
    """Processor seconds of this process, of its living descendants and of those that were waited for."""
    me = os.getpid()
    living = sum(
        sum(int(value) for value in values[11:15]) for pid, values in descendants(me, leave_out).items() if pid != me
    )
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return living / os.sysconf("SC_CLK_TCK") + sum(each.ru_utime + each.ru_stime for each in usage)


def private_memory(root: int, leave_out: frozenset[int] = frozenset()) -> int:
    """Bytes that a process and everything below it have for themselves alone (`Private_*` of smaps_rollup)."""
    total = 0
    for pid in descendants(root, leave_out):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended, or is a zombie
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
    return total


def plain_pytest(python: str = sys.executable) -> tuple[list[str], dict[str, str]]:
    """The pytest command of the job outside a sandbox, and its variables: no plugins, as inside."""
    variables = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], variables


@contextmanager
def example_repository(scratch: Path) -> Iterator[Path]:
    """The example as a git repository of its own."""
    repository = scratch / "freetime"
    shutil.copytree(EXAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    git = ["git", "-C", str(repository), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for command in (["init", "--quiet", "-b", "main"], ["add", "--all"], ["commit", "--quiet", "-m", "A bug"]):
        subprocess.run([*git, *command], check=True)
    yield repository


@contextmanager
def scripted_model(scratch: Path, scenario: str = SCENARIO) -> Iterator[tuple[str, int]]:
    """The scripted model server's address and process id."""
    path = scratch / "scenario.toml"
    path.write_text(scenario)
    argv = [sys.executable, "-m", "pullwright.testing.model_server", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip(), server.pid
        finally:
            server.terminate()
