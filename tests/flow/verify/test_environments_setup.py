"""Detected setups, run in real sandboxes; dependencies come over the network."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from pullwright.code import setup_script
from pullwright.code.detect import choose, detect
from pullwright.domain.environment import Environment
from pullwright.domain.network import Internet, Reach
from pullwright.domain.transcript import EgressDecided
from pullwright.egress.base import Pass
from pullwright.egress.machine import Machine
from pullwright.egress.proxy import Proxy
from pullwright.repos.mirror import TreeEntry
from pullwright.sandbox.base import Bind, ExecRequest, ExecResult, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

UV = Bind(Path(find_uv_bin()), "/opt/pullwright/bin/uv")
TEST = "import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n"
CALC = "def add(a, b):\n    return a + b\n"
BUILD = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
PROJECT = '[project]\nname = "calc"\nversion = "1"\nrequires-python = ">=3.8"\n'


@pytest.fixture(scope="session")
def index() -> None:
    """Skips where the package index cannot be reached from here."""
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--no-cache", "-"]
    done = subprocess.run(command, input=b"iniconfig", capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        pytest.skip("the package index cannot be reached")


@pytest.fixture
async def sandboxes(tmp_path: Path) -> AsyncIterator[LocalSandboxes]:
    local = LocalSandboxes(tmp_path / "sandboxes", uid=64200)
    yield local
    await local.close()


async def detected(files: dict[str, str]) -> Environment:
    async def read(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    return await detect({path: TreeEntry("100644", "blob", path) for path in files}, read)


async def set_up(
    sandboxes: LocalSandboxes, files: dict[str, str], environment: Environment, internet: Internet = Internet.ON
) -> tuple[ExecResult, ExecResult | None]:
    """Run the setup over the files, and the check on what it left behind, the network gone."""
    spec: dict[str, Any] = {"binds": (UV,), "variables": environment.variables}
    proxy = Proxy(Machine.found(os.environ, Path.home()), Path(f"/tmp/egress-{os.getpid()}"))
    told: list[EgressDecided] = []

    async def reach() -> Reach:
        return Reach(internet=internet)

    async def tell(event: EgressDecided) -> None:
        told.append(event)

    door = await proxy.door(Pass("setup", reach, tell, str, setup=True))
    sandbox = await sandboxes.start(SandboxSpec(f"setup-{os.getpid()}", door=door, **spec))
    for name, text in files.items():
        await sandbox.write(f"/workspace/{name}", text.encode())
    script = environment.setup.command or ""
    done = await sandbox.run(ExecRequest(argv=setup_script.command(script), timeout=300, merge=True))
    if done.exit_code != 0:
        await sandbox.stop()
        return done, None
    layer = await sandbox.snapshot()
    assert all(decision.allowed and decision.port == 443 for decision in told)
    after = await sandboxes.start(SandboxSpec(f"check-{os.getpid()}", layers=(layer,), **spec))
    checked = await after.run(ExecRequest(argv=("bash", "-c", environment.check.command or "false"), merge=True))
    await after.stop()
    return done, checked


SHAPES = {
    "scripts": {"calc.py": CALC, "test_calc.py": TEST},
    "an installable project with an extra": {
        "pyproject.toml": BUILD + PROJECT + '[project.optional-dependencies]\ntest = ["iniconfig"]\n',
        "src/calc/__init__.py": CALC,
        "tests/test_calc.py": "import iniconfig\n" + TEST,
    },
    "requirements and modules under src": {
        "requirements.txt": "iniconfig\n",
        "src/calc.py": CALC,
        "tests/test_calc.py": "import iniconfig\n" + TEST,
    },
}


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_python_project_is_set_up_and_checked_without_a_network(sandboxes: LocalSandboxes, shape: str) -> None:
    files = SHAPES[shape]
    done, checked = await set_up(sandboxes, files, await detected(files))
    assert done.exit_code == 0, done.stdout.decode()
    assert checked is not None
    assert checked.exit_code == 0, checked.stdout.decode()
    assert b"1 passed" in checked.stdout


@pytest.mark.skipif(not Path("/usr/bin/npm").exists(), reason="the sandbox shows no npm")
@pytest.mark.usefixtures("index")
async def test_a_node_project_is_set_up(sandboxes: LocalSandboxes) -> None:
    files = {
        "package.json": '{"name": "a", "version": "1.0.0", "scripts": {"test": "node --test"}, '
        '"dependencies": {"is-number": "7.0.0"}}',
        "a.test.js": "require('node:test')('x', () => { if (!require('is-number')(1)) throw 1; });\n",
    }
    done, checked = await set_up(sandboxes, files, await detected(files))
    assert done.exit_code == 0, done.stdout.decode()
    assert checked is not None
    assert checked.exit_code == 0, checked.stdout.decode()


async def test_a_setup_without_a_network_says_so(sandboxes: LocalSandboxes) -> None:
    files = {"requirements.txt": "iniconfig\n", "test_a.py": TEST}
    environment = await detected(files)
    done, _ = await set_up(sandboxes, files, environment, Internet.OFF)
    assert done.exit_code != 0
    failure = setup_script.failure(environment.setup.command or "", done.stdout)
    assert failure.line == "uv pip install --requirement requirements.txt"
    assert "The network could not be reached" in failure.output


async def test_a_setup_of_ones_own_that_fails_names_its_line(sandboxes: LocalSandboxes) -> None:
    own = choose(await detected({"README": ""}), b'setup = """\necho ready\nno-such-tool --now\n"""', None, None)
    done, _ = await set_up(sandboxes, {}, own, Internet.OFF)
    failure = setup_script.failure(own.setup.command or "", done.stdout)
    assert (done.exit_code, failure.line) == (127, "no-such-tool --now")
    assert "`no-such-tool` is not installed" in failure.output
