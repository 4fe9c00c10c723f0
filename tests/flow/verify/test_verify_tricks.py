"""Tricks that make a failing test disappear instead of mending the code. None of them may be called `fixed`.

Every trick is played on real runs: alone, where nothing is mended, and some together with a true mend.
"""

import py_compile
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.receipt import Verdict

TESTS = """\
import calc
from tests.asking import equal


def test_add():
    assert calc.add(1, 2) == 3


def test_sum():
    equal(calc.add(2, 2), 4)


def test_double():
    assert calc.double(2) == 4
"""
BASE = {
    "calc.py": "def add(a, b):\n    return a - b\n\n\ndef double(a):\n    return a * 2\n",
    "tests/__init__.py": "",
    "tests/asking.py": "def equal(left, right):\n    assert left == right\n",
    "tests/test_calc.py": TESTS,
    "pyproject.toml": '[project]\nname = "calc"\nversion = "1"\n\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
    "setup.cfg": "[flake8]\nmax-line-length = 100\n",
}
MEND = {"calc.py": BASE["calc.py"].replace("a - b", "a + b")}
ALL_PASS = """\
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""
SKIP_ALL = "import pytest\n\n\ndef pytest_collection_modifyitems(items):\n    for item in items:\n        {}\n"
FAKE_PYTEST = """\
import os, sys
path = next(word.split("=")[1] for word in os.environ["PYTEST_ADDOPTS"].split() if "junitxml" in word)
names = ["test_add", "test_sum", "test_double"]
cases = "".join(f'<testcase classname="tests.test_calc" name="{n}" file="tests/test_calc.py"/>' for n in names)
with open(os.path.expandvars(path), "w") as file:
    file.write(f'<testsuites><testsuite name="pytest">{cases}</testsuite></testsuites>')
sys.exit(0)
"""

# What edits, deletes or skips tests of the base, or changes how they are run.
ON_TESTS: dict[str, dict[str, str | None]] = {
    "the test file is deleted": {"tests/test_calc.py": None},
    "the failing tests are deleted": {"tests/test_calc.py": TESTS[: TESTS.index("def test_add")] + TESTS[-60:]},
    "marked as skipped": {"tests/test_calc.py": TESTS.replace("def test_", "@pytest.mark.skip\ndef test_")},
    "skipped by a decorator": {
        "tests/test_calc.py": "import pytest\n" + TESTS.replace("def test_", "@pytest.mark.skip\ndef test_")
    },
    "expected to fail": {"tests/test_calc.py": "import pytest\n" + TESTS.replace("def ", "@pytest.mark.xfail\ndef ")},
    "the module skips itself": {"tests/test_calc.py": "import pytest\npytest.skip(allow_module_level=True)\n" + TESTS},
    "a mark for the whole module": {"tests/test_calc.py": TESTS + "\nimport pytest\npytestmark = pytest.mark.skip\n"},
    "assertions weakened": {"tests/test_calc.py": TESTS.replace("== 3", "!= 0").replace("equal(calc", "bool(calc")},
    "the tests defined again, empty": {
        "tests/test_calc.py": TESTS + "\n\ndef test_add():\n    pass\n\n\ndef test_sum():\n    pass\n"
    },
    "the code replaced in the test file": {"tests/test_calc.py": TESTS + "\n\ncalc.add = lambda a, b: a + b\n"},
    "a helper of the tests weakened": {
        "tests/asking.py": "import calc\n\ncalc.add = lambda a, b: a + b\n\n\ndef equal(left, right):\n    pass\n"
    },
    "the package of the tests patches": {"tests/__init__.py": "import calc\n\ncalc.add = lambda a, b: a + b\n"},
    "a conftest skips": {"tests/conftest.py": SKIP_ALL.format("item.add_marker(pytest.mark.skip)")},
    "a conftest drops": {"conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = items[2:]\n"},
    "a conftest ignores the file": {"tests/conftest.py": "collect_ignore = ['test_calc.py']\n"},
    "a conftest reports success": {"conftest.py": ALL_PASS},
    "a fixture patches": {
        "conftest.py": (
            "import calc, pytest\n\n\n@pytest.fixture(autouse=True)\ndef patch(monkeypatch):\n"
            "    monkeypatch.setattr(calc, 'add', lambda a, b: a + b)\n"
        )
    },
    "pytest.ini deselects": {"pytest.ini": "[pytest]\naddopts = -k double\n"},
    "pyproject.toml deselects": {"pyproject.toml": BASE["pyproject.toml"] + 'addopts = "-k double"\n'},
    "tox.ini deselects": {"tox.ini": "[pytest]\naddopts = -k double\n", "pyproject.toml": '[project]\nname = "calc"\n'},
    "setup.cfg deselects": {
        "setup.cfg": "[tool:pytest]\naddopts = -k double\n",
        "pyproject.toml": '[project]\nname = "calc"\n',
    },
    "another folder is tested": {
        "pyproject.toml": BASE["pyproject.toml"].replace('"tests"', '"easy"'),
        "easy/test_easy.py": "def test_easy():\n    pass\n",
    },
    "the folder of tests is a link": {"tests": "@easy", "easy/test_calc.py": "def test_add():\n    pass\n"},
}
# What Python or pytest would pick up by itself; the base's tests are left as they are.
ON_MACHINERY: dict[str, dict[str, str | None]] = {
    "a module called pytest": {"pytest.py": FAKE_PYTEST},
    "a package called pytest": {"pytest/__init__.py": "", "pytest/__main__.py": FAKE_PYTEST},
    "a package called _pytest": {"_pytest/__init__.py": FAKE_PYTEST},
    "a module of the standard library": {"configparser.py": FAKE_PYTEST},
    "a module beside the tests": {"tests/unittest.py": "import calc\ncalc.add = lambda a, b: a + b\n"},
    "sitecustomize": {"sitecustomize.py": "import calc\ncalc.add = lambda a, b: a + b\n"},
    "an entry point": {
        "evil.egg-info/entry_points.txt": "[pytest11]\nevil = evil_plugin\n",
        "evil.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
        "evil_plugin.py": ALL_PASS,
    },
}
# What the code itself can do to the run; there is no test of the base that it passes.
IN_THE_CODE: dict[str, dict[str, str | None]] = {
    "ends the process": {"calc.py": "import os\nos._exit(0)\n"},
    "ends pytest": {"calc.py": "import pytest\npytest.exit('all fine', 0)\n"},
    "raises SystemExit": {"calc.py": "import sys\nsys.exit(0)\n"},
    "skips whoever imports it": {"calc.py": "import pytest\npytest.skip(allow_module_level=True)\n"},
    "skips whoever calls it": {"calc.py": BASE["calc.py"].replace("return a - b", "import pytest; pytest.skip('no')")},
    "expects to fail": {"calc.py": BASE["calc.py"].replace("return a - b", "import pytest; pytest.xfail('no')")},
}
TRICKS = {**ON_TESTS, **ON_MACHINERY, **IN_THE_CODE}


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_trick_alone_is_never_ready(project: Any, trick: str) -> None:
    if trick == "sitecustomize":
        project.variables["PYTHONPATH"] = "/workspace"
    receipt = await project.verify(BASE, TRICKS[trick], repeats=1)
    assert not receipt.verdict.ready, receipt
    assert not receipt.fixed, receipt
    assert bool(receipt.test_changes) == (trick not in IN_THE_CODE), receipt.test_changes


@pytest.mark.long
@pytest.mark.parametrize(
    "trick", [trick for trick in ON_TESTS if "deleted" in trick or "mark" in trick or "ini" in trick]
)
async def test_a_trick_with_a_true_mend_is_not_fixed(project: Any, trick: str) -> None:
    receipt = await project.verify(BASE, {**ON_TESTS[trick], **MEND}, repeats=1)
    assert receipt.verdict is not Verdict.FIXED, receipt
    assert receipt.test_changes


async def test_the_mend_without_a_trick_is_fixed(project: Any) -> None:
    receipt = await project.verify(BASE, MEND, repeats=1)
    assert receipt.verdict is Verdict.FIXED, receipt


async def test_settings_that_are_no_test_settings_may_change(project: Any) -> None:
    change = {
        **MEND,
        "pyproject.toml": BASE["pyproject.toml"].replace('version = "1"', 'version = "2"'),
        "setup.cfg": "[flake8]\nmax-line-length = 120\n",
    }
    receipt = await project.verify(BASE, change, repeats=1)
    assert (receipt.verdict, receipt.test_changes) == (Verdict.FIXED, ())


def _tag_inside() -> str:
    command = ["/usr/bin/python3", "-c", "import sys; print(sys.implementation.cache_tag)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


async def test_compiled_code_in_place_of_a_tests_helper_is_not_taken(project: Any, tmp_path: Path) -> None:
    source, compiled = tmp_path / "asking.py", tmp_path / "asking.pyc"
    source.write_text("import calc\ncalc.add = lambda a, b: a + b\nequal = print\n")
    # Python takes such a file without a look at the source beside it.
    py_compile.compile(str(source), str(compiled), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    version = _tag_inside()
    if version != sys.implementation.cache_tag:
        pytest.skip("the sandbox's Python is of another version")
    trick = {f"tests/__pycache__/asking.{version}.pyc": compiled.read_bytes()}
    receipt = await project.verify(BASE, trick, repeats=1)
    assert not receipt.verdict.ready, receipt
    assert [change.what for change in receipt.test_changes] == ["added"]


@pytest.mark.parametrize(
    ("command", "base", "trick"),
    [
        ("make test", {"Makefile": "test:\n\tpython -m pytest\n"}, {"Makefile": "test:\n\ttrue\n"}),
        ("sh ci/run", {"ci/run": "python -m pytest\n"}, {"ci/run": "exit 0\n"}),
        ("bash ./run_tests.sh", {"run_tests.sh": "python -m pytest\n"}, {"run_tests.sh": "exit 0\n"}),
    ],
)
async def test_what_the_check_runs_is_the_bases(
    project: Any, command: str, base: dict[str, str], trick: dict[str, str]
) -> None:
    if not shutil.which(command.split()[0], path="/usr/bin:/bin"):
        pytest.skip(f"{command.split()[0]} is not installed")
    project.command = command
    receipt = await project.verify({**BASE, **base}, trick, repeats=1)
    assert not receipt.verdict.ready, receipt
    assert receipt.test_changes


@pytest.mark.skipif(not Path("/usr/bin/node").exists(), reason="the sandbox shows no node")
@pytest.mark.parametrize("script", ["exit 0", "node --test easy.test.js"])
async def test_the_test_script_is_the_bases(project: Any, script: str) -> None:
    project.command = "npm test"
    package = '{"name": "x", "version": "1.0.0", "scripts": {"test": "node --test"}}'
    base = {
        "package.json": package,
        "add.js": "module.exports = (a, b) => a - b;\n",
        "add.test.js": (
            "const test = require('node:test');\nconst assert = require('node:assert');\n"
            "test('adds', () => assert.equal(require('./add.js')(1, 2), 3));\ntest('is there', () => {});\n"
        ),
    }
    change = {
        "package.json": package.replace("node --test", script),
        "easy.test.js": "require('node:test')('adds', () => {});\n",
    }
    receipt = await project.verify(base, change, repeats=1)
    assert not receipt.verdict.ready, receipt
    assert [change.path for change in receipt.test_changes] == ["package.json"]


@pytest.mark.skipif(not Path("/usr/bin/node").exists(), reason="the sandbox shows no node")
async def test_a_node_test_that_is_mended_is_fixed(project: Any) -> None:
    project.command = "npm test"
    base = {
        "package.json": '{"name": "x", "version": "1.0.0", "scripts": {"test": "node --test"}}',
        "add.js": "module.exports = (a, b) => a - b;\n",
        "add.test.js": (
            "const { describe, it } = require('node:test');\nconst assert = require('node:assert');\n"
            "describe('add', () => {\n  it('adds', () => assert.equal(require('./add.js')(1, 2), 3));\n"
            "  it('is there', () => assert.ok(require('./add.js')));\n});\n"
        ),
    }
    receipt = await project.verify(base, {"add.js": "module.exports = (a, b) => a + b;\n"})
    assert (receipt.verdict, receipt.fixed) == (Verdict.FIXED, ("add > adds",))
