"""Which paths of a change are protected, and what only adds tests."""

import pytest

from pullwright.review.judged import only_adds_tests
from pullwright.review.protected import Kind, has_sections, kind, sections

BASE = {
    "calc.py",
    "pkg/__init__.py",
    "pkg/test/__init__.py",
    "pkg/test/client.py",
    "lib/core/test/test_core.py",
    "lib/core/test/data.json",
    "tests/test_calc.py",
    "python_testcases/test_gcd.py",
    "json_testcases/gcd.json",
    "web/button.tsx",
    "web/button.test.tsx",
    "Makefile",
    "scripts/build.py",
    "run-tests.js",
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("calc.py", None),
        ("pkg/test/client.py", None),  # a product's own package, as django.test
        ("testing_tools.py", None),
        ("docs/contest.md", None),
        ("src/latest/x.py", None),
        ("pkg/types.py", None),
        ("pkg/json/__init__.py", None),
        ("web/button.tsx", None),
        ("tests/test_calc.py", Kind.TEST),
        ("pkg/test_new.py", Kind.TEST),
        ("web/button.test.tsx", Kind.TEST),
        ("cmd/main_test.go", Kind.TEST),
        ("spec/models/user_spec.rb", Kind.TEST),
        ("src/test/java/AppTest.java", Kind.TEST),
        ("tests/data/big.json", Kind.SUPPORT),
        ("json_testcases/gcd.json", Kind.SUPPORT),
        ("lib/core/test/data.json", Kind.SUPPORT),
        ("web/__snapshots__/button.snap", Kind.SUPPORT),
        ("web/__mocks__/fs.js", Kind.SUPPORT),
        ("tests", Kind.SUPPORT),  # a link where the folder was
        ("conftest.py", Kind.CONFIGURATION),
        ("pkg/conftest.py", Kind.CONFIGURATION),
        ("pytest.ini", Kind.CONFIGURATION),
        (".pytest.toml", Kind.CONFIGURATION),
        ("jest.config.mjs", Kind.CONFIGURATION),
        ("vitest.workspace.ts", Kind.CONFIGURATION),
        (".mocharc.json", Kind.CONFIGURATION),
        (".pullwright.toml", Kind.CONFIGURATION),
        (".gitattributes", Kind.CONFIGURATION),
        ("Makefile", None),
        ("sitecustomize.py", Kind.MACHINERY),
        ("a/usercustomize/__init__.py", Kind.MACHINERY),
        ("evil.pth", Kind.MACHINERY),
        ("x.egg-info/entry_points.txt", Kind.MACHINERY),
        ("node_modules/.bin/jest", Kind.MACHINERY),
        ("__pycache__/calc.cpython-311.pyc", Kind.MACHINERY),
        ("pytest.py", Kind.MACHINERY),
        ("src/unittest/__init__.py", Kind.MACHINERY),
        ("json.cpython-311-x86_64-linux-gnu.so", Kind.MACHINERY),
        ("tests/random.py", Kind.MACHINERY),
    ],
)
def test_each_path_is_told_apart(path: str, expected: Kind | None) -> None:
    assert kind(path, BASE, BASE | {path, "src/unittest/__init__.py"}, "python -m pytest") is expected


def test_what_the_command_runs_is_configuration() -> None:
    assert kind("Makefile", BASE, BASE, "make -s test") is Kind.CONFIGURATION
    assert kind("ci/run", BASE, BASE, "sh ci/run") is Kind.CONFIGURATION
    assert kind("run-tests.js", BASE, BASE, "npm test\nnode run-tests.js") is Kind.CONFIGURATION
    assert kind("noxfile.py", BASE, BASE, "nox -s tests") is Kind.CONFIGURATION
    # A program that the command runs is the product itself.
    assert kind("scripts/build.py", BASE, BASE, "python scripts/build.py") is None


@pytest.mark.parametrize(
    ("path", "old", "new", "same"),
    [
        ("pyproject.toml", '[project]\nname="a"\n', '[project]\nname="b"\n', True),
        ("pyproject.toml", '[project]\nname="a"\n', '[tool.pytest.ini_options]\naddopts="-x"\n', False),
        ("pyproject.toml", "[project]\n", "[broken", False),
        ("setup.cfg", "[metadata]\nname=a\n", "[metadata]\nname=b\n", True),
        ("setup.cfg", "[metadata]\nname=a\n", "[tool:pytest]\naddopts=-x\n", False),
        ("tox.ini", "[flake8]\nx=1\n", "[flake8]\nx=2\n", True),
        ("tox.ini", "[testenv]\ndeps=a\n", "[testenv]\ndeps=b\n", False),
        ("package.json", '{"version": "1"}', '{"version": "2"}', True),
        ("package.json", '{"scripts": {"test": "a", "lint": "x"}}', '{"scripts": {"test": "a", "lint": "y"}}', True),
        ("package.json", '{"scripts": {"test": "a"}}', '{"scripts": {"test": "b"}}', False),
        ("package.json", '{"scripts": {"test": "a"}}', '{"scripts": {"test": "a", "pretest": "b"}}', False),
        (
            "package.json",
            '{"scripts": {"test": "npm run unit", "unit": "a"}}',
            '{"scripts": {"test": "npm run unit", "unit": "b"}}',
            False,
        ),
        ("package.json", "{}", '{"jest": {"testPathIgnorePatterns": ["."]}}', False),
        ("package.json", '{"scripts": {"ci": "a"}}', '{"scripts": {"ci": "b"}}', True),
        ("package.json", "{}", "[" * 100_000, False),
    ],
)
def test_only_the_sections_that_bear_on_tests_count(path: str, old: str, new: str, same: bool) -> None:
    assert has_sections(path)
    assert (sections(path, old.encode(), "npm test") == sections(path, new.encode(), "npm test")) is same


def test_a_script_named_by_the_command_counts() -> None:
    old, new = b'{"scripts": {"ci": "a"}}', b'{"scripts": {"ci": "b"}}'
    assert sections("package.json", old, "npm run ci") != sections("package.json", new, "npm run ci")


TESTS = (
    "import a\n\nX = 1\n\n\nclass TestA:\n    def test_x(self):\n        assert a.x\n\n\ndef test_y():\n    assert X\n"
)


@pytest.mark.parametrize(
    ("new", "adds"),
    [
        (TESTS, True),
        (TESTS.replace("import a", "import a, b"), True),
        (TESTS + "\n\ndef test_z():\n    assert a.z\n", True),
        (TESTS.replace("\n\n\ndef test_y", "\n\n    def test_w(self):\n        pass\n\n\ndef test_y"), True),
        ("# a comment\n" + TESTS + "\n\nclass TestB:\n    pass\n\n\nY = [1, 2]\n", True),
        (TESTS.replace("assert X", "pass"), False),
        (TESTS.replace("assert X", "return\n    assert X"), False),
        (TESTS.replace("def test_y", "def test_renamed"), False),
        (TESTS.replace("def test_y", "@skip\ndef test_y"), False),
        (TESTS.replace("X = 1", "X = 2"), False),
        (TESTS.replace("class TestA:", "class TestA:\n    __test__ = False\n"), False),
        (TESTS + "\npytestmark = skip\n", False),
        (TESTS + "\n\ndef test_y():\n    pass\n", False),
        (TESTS + "\nTestA.test_x = None\n", False),
        (TESTS + "\nY = a.patch()\n", False),
        (TESTS + "\n\ndef setup_module():\n    pass\n", False),
        (TESTS + "\n\n@fixture(autouse=True)\ndef patched():\n    pass\n", False),
        (TESTS + "\nif X:\n    raise SystemExit\n", False),
        ("not python(", False),
        ("\0", False),
    ],
)
def test_a_test_file_that_only_gained_tests(new: str, adds: bool) -> None:
    assert only_adds_tests(TESTS.encode(), new.encode()) is adds
