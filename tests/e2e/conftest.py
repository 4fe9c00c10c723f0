"""A person at a terminal: the real command line in a process of its own, with a data directory of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pullwright.settings import Settings
from pullwright.testing.scenario import Scenario

SECONDS = 120  # how long a command may take before it counts as hanging; usual ones take a few

CALC = "def add(a, b):\n    return a - b\n"
MENDED = CALC.replace("a - b", "a + b")
TEST = """\
import unittest

from calc import add


class TestAdd(unittest.TestCase):
    def test_two(self):
        self.assertEqual(add(2, 3), 5)

    def test_zero(self):
        self.assertEqual(add(0, 0), 0)
"""

# No setup: the check runs on the machine's own Python, so that nothing is downloaded.
FILE = 'setup = ""\ncheck = "python3 -m unittest -v"\n'

SCENARIO = """
model = "scripted"
key = "sk-test"
loop = true

[[step]]
text = "The sign is wrong."
[[step.call]]
tool = "exec_command"
arguments = { cmd = "test ! -e wait.sh || sh wait.sh; sed -i 's/a - b/a + b/' calc.py" }

[[step]]
[[step.call]]
tool = "finish"
arguments = { summary = "add() subtracted. It adds now." }
"""


@dataclass
class Said:
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as a program reads it."""
        return json.loads(self.out)


@dataclass
class Person:
    """Somebody with a data directory and an environment."""

    folder: Path
    variables: dict[str, str]

    @property
    def home(self) -> Path:
        """The data directory."""
        return Path(self.variables["PULLWRIGHT_HOME"])

    def start(self, *words: str, before: tuple[str, ...] = ()) -> "Started":
        """Begin a command; `before` are the words of a program that starts it."""
        return Started(
            subprocess.Popen(
                [*before, sys.executable, "-m", "pullwright", *words],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )

    def type(self, *words: str, before: tuple[str, ...] = ()) -> Said:
        """A command from beginning to end. Nothing that goes wrong may be told as a traceback."""
        said = self.start(*words, before=before).ended()
        assert "Traceback" not in said.err, said.err
        assert "unexpected" not in said.err, said.err
        return said

    def only_task(self) -> Any:
        """The one task there is."""
        (task,) = self.type("task", "list", "--json").json
        return task


class Started:
    """A command that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._heard: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            threading.Thread(target=self._read, args=("out", process.stdout), daemon=True),
            threading.Thread(target=self._read, args=("err", process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: Any) -> None:
        with stream:
            for line in stream:
                self._heard[name].append(line)

    @property
    def err(self) -> str:
        """What it has said so far."""
        return "".join(self._heard["err"])

    def until(self, words: str) -> None:
        """Wait until it says so."""
        end = time.monotonic() + SECONDS
        while words not in self.err:
            if time.monotonic() > end or self.process.poll() is not None:
                self.kill()
                raise AssertionError(f"it never said {words!r}, but\n{self.err}")
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Press Ctrl-C: the terminal sends it to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End the command and everything in its session."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ended(self) -> Said:
        """Wait for its end."""
        try:
            self.process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end:\n{self.err}") from None
        finally:
            for reader in self._readers:
                reader.join(timeout=5)
        return Said(self.process.returncode, "".join(self._heard["out"]), self.err)


def git(repository: Path, *words: str) -> str:
    """What git says, as whoever runs the tests."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", *identity, "-C", str(repository), *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_repository(folder: Path, **files: str) -> Path:
    """A repository whose add() subtracts; `files` by name, dots written as `__`, come on top."""
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    whole = {"calc.py": CALC, "test_calc.py": TEST, ".pullwright.toml": FILE}
    for name, text in {**whole, **{name.replace("__", "."): text for name, text in files.items()}}.items():
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "As it stands")
    return folder


def somebody(folder: Path) -> Person:
    """Who has that folder, and no model."""
    # What Pullwright and providers read is left out: no test may reach a paid model.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULLWRIGHT_", "OPENAI_"))}
    kept |= {"PULLWRIGHT_HOME": str(folder / "data"), "HOME": str(folder), "PULLWRIGHT_LOCAL_MODELS": "off"}
    assert Settings.from_environment(kept).model.configured is False
    return Person(folder, kept)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody without a model."""
    return somebody(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a failing test and its commands in `.pullwright.toml`."""
    return make_repository(tmp_path / "repo")


@contextlib.contextmanager
def model_server(folder: Path, scenario: str) -> Iterator[str]:
    """A model's server in a process of its own; gives its address."""
    Scenario.parse(scenario)
    path = folder / "scenario.toml"
    path.write_text(scenario)
    process = subprocess.Popen(
        [sys.executable, "-m", "pullwright.testing.model_server", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The model's server of all tests that want add() mended."""
    with model_server(tmp_path_factory.mktemp("model"), SCENARIO) as url:
        yield url


def with_model(person: Person, url: str) -> Person:
    """The same person with a model."""
    ours = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-test", "PULLWRIGHT_MODEL": "openai:scripted"}
    return Person(person.folder, {**person.variables, **ours})


@pytest.fixture
def modelled(person: Person, model_url: str) -> Person:
    """Somebody with a model."""
    return with_model(person, model_url)


def processes(words: str) -> list[int]:
    """The processes whose command line has these words."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if line.strip() == words:
                    found.append(int(folder.name))
    return found


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until it holds."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def e2e() -> Any:
    """This module: test modules are not a package, so that they cannot import it."""
    return sys.modules[__name__]
