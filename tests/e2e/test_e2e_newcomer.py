"""What a newcomer does: a clean clone, a new HOME, an empty environment, and the README's two commands."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# An ordinary user where the tests run as root: one that owns nothing on this machine.
STRANGER = 61001
# Root's own turn is among the long ones: whoever runs the tests as root has just seen the scripts set themselves up.
PEOPLE = [pytest.param(None, marks=pytest.mark.long), STRANGER] if os.geteuid() == 0 else [None]


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a clean clone."""

    home: Path
    clone: Path
    uid: int | None  # None: whoever runs the tests

    def type(
        self, *argv: str, cwd: Path | None = None, path: str = "/usr/bin:/bin"
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as `env -i` would."""
        variables = {"HOME": str(self.home), "PATH": path}
        if self.uid is None and os.geteuid() == 0:
            variables["PULLWRIGHT_HOME"] = str(self.home / "data")  # not this machine's own record
        return subprocess.run(
            argv,
            cwd=cwd or self.clone,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            user=self.uid,
            group=self.uid,
            extra_groups=None if self.uid is None else [],
        )


@pytest.fixture(scope="module", params=PEOPLE, ids=lambda uid: "self" if uid is None else "ordinary-user")
def newcomer(request: pytest.FixtureRequest) -> Iterator[Newcomer]:
    """The files under version control as they stand here, committed in a repository of their own."""
    place = Path(tempfile.mkdtemp(prefix="newcomer-", dir="/tmp"))
    place.chmod(0o755)
    person = Newcomer(home=place / "home", clone=place / "clone", uid=request.param)
    person.home.mkdir()
    person.clone.mkdir()
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (person.clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, person.clone / name)
    pages = Path("src/pullwright/web")
    if (ROOT / pages).is_dir():  # building the console takes npm's packages from the network: a long test does that
        shutil.copytree(ROOT / pages, person.clone / pages)
    if person.uid is not None:
        subprocess.run(["chown", "-R", f"{person.uid}:{person.uid}", str(place)], check=True)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "As it stands"]):
        done = person.type("git", "-c", "user.name=n", "-c", "user.email=n@localhost", *command)
        assert done.returncode == 0, done.stderr
    yield person
    if os.geteuid() != 0:  # root removes what is closed to its owner, too
        subprocess.run(["chmod", "-R", "u+rwx", str(place)], check=False)
    shutil.rmtree(place)


def failing(newcomer: Newcomer, branch: str, name: str) -> int:
    """How many of the example's tests fail on a branch, checked out elsewhere with plain git."""
    elsewhere = newcomer.home / name
    cloned = newcomer.type("git", "clone", "-q", "--branch", branch, ".demo/freetime", str(elsewhere))
    assert cloned.returncode == 0, cloned.stderr
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(pytest_run, cwd=elsewhere, capture_output=True, text=True, check=False)
    counted = re.search(r"(\d+) failed", done.stdout)
    assert counted or done.returncode == 0, done.stdout
    return int(counted[1]) if counted else 0


def test_the_demo_ends_in_a_pull_request_that_mends_what_failed(newcomer: Newcomer) -> None:
    first = newcomer.type("scripts/demo")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "fixed" in first.stdout
    assert "+        return self.start < other.end and" in first.stdout

    again = newcomer.type("scripts/demo")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Installing" not in again.stderr

    branches = re.findall(r"log -1 (pullwright/\S+)", first.stdout + again.stdout)
    assert len(set(branches)) == 2
    assert failing(newcomer, "main", "base") == 2
    for number, branch in enumerate(branches):
        assert failing(newcomer, branch, f"change-{number}") == 0

    repository = newcomer.clone / ".demo" / "freetime"
    assert {path.lstat().st_uid for path in repository.rglob("*")} == {newcomer.clone.stat().st_uid}
    assert newcomer.type("git", "status", "--short").stdout == ""


@pytest.mark.long
def test_the_test_command_sets_itself_up_and_shows_how_it_ended(newcomer: Newcomer) -> None:
    done = newcomer.type("scripts/test", "-q", "tests/unit/test_domain_properties.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^\d+ passed", done.stdout, re.MULTILINE)


def test_who_lacks_a_package_is_told_what_to_ask_for(newcomer: Newcomer) -> None:
    if newcomer.uid is None and os.geteuid() == 0:
        pytest.skip("root installs what is missing")
    programs = newcomer.home / "programs"
    programs.mkdir()
    for folder in (Path("/bin"), Path("/usr/bin")):
        for program in folder.iterdir():
            if program.name != "bwrap" and not (programs / program.name).is_symlink():
                (programs / program.name).symlink_to(program)
    done = newcomer.type("scripts/demo", path=str(programs))
    assert done.returncode == 1
    assert "sudo apt-get install bubblewrap\n" in done.stderr


def test_another_person_s_clone_is_used_but_not_written(newcomer: Newcomer) -> None:
    if newcomer.uid is None:
        pytest.skip("needs root, to be two people")
    outsider = Newcomer(home=Path(tempfile.mkdtemp(dir="/tmp")), clone=newcomer.clone, uid=STRANGER + 1)
    os.chown(outsider.home, STRANGER + 1, STRANGER + 1)
    assert newcomer.type("bash", "-c", ". scripts/bootstrap run").returncode == 0
    assert outsider.type("bash", "-c", ". scripts/bootstrap run && pullwright --version").returncode == 0
    (newcomer.clone / ".venv" / "stamp-run").unlink()
    done = outsider.type("bash", "-c", ". scripts/bootstrap run")
    shutil.rmtree(outsider.home)
    assert done.returncode == 1
    assert "Work in a clone of your own" in done.stderr
