"""Which paths are tests, their configuration, or machinery that could subvert a run.

These decide over a change, so the judged tree has them as they are at the base. The rules go by names and, for
files that hold more than test configuration, by the sections that matter. They err on the side of protecting; what
they cannot see is a product's own code that changes how its tests run, since it runs in the same process.
"""

import configparser
import json
import re
import sys
import tomllib
from collections.abc import Collection
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Why a path is protected."""

    TEST = "test"  # a file of tests
    SUPPORT = "support"  # what lies beside tests: helpers, data, snapshots
    CONFIGURATION = "configuration"  # how the tests are found and run
    MACHINERY = "machinery"  # what Python, Node or a runner would pick up by itself


_TEST_NAME = re.compile(
    r"test_[^/]*\.py|[^/]*_tests?\.(?:py|go|rb|exs|cc|cpp|c|dart|rs)|tests\.(?:py|rs)"
    r"|[^/]*[.\-_](?:test|spec|tests|specs)\.[cm]?[jt]sx?|[^/]*_spec\.rb"
    r"|[^/]*(?:Test|Tests|TestCase|IT|Spec)\.(?:java|kt|cs|php|scala|groovy|swift)|[^/]*\.bats"
)
_SNAPSHOT = re.compile(r"[^/]*\.(?:snap|ambr)")
_STRONG = re.compile(
    r"(?:^|[_\-.])(?:tests|testcases?|testdata|testsuites?|unittests?|mocks__|snapshots__)(?:[_\-.]|$)"
)
_WEAK = re.compile(r"(?:^|[_\-.])(?:test|testing|specs?|e2e|fixtures)(?:[_\-.]|$)")

_CONFIGURATION = re.compile(
    r"conftest\.py|\.?pytest\.(?:ini|toml)|\.coveragerc|\.pullwright\.toml|(?:jest|vitest|vite|ava|playwright|cypress"
    r"|karma|babel|wtr|web-test-runner|nyc|tap|jasmine)\.(?:config|conf|setup|workspace)[.\w-]*|\.mocharc[.\w]*"
    r"|mocha\.opts|\.(?:nyc|c8|tap|babel|swc)rc[.\w]*|jasmine\.json|jest-setup[.\w]*|tsconfig\.(?:test|spec)\.json"
    r"|phpunit\.xml[.\w]*|\.rspec|\.npmrc|\.yarnrc[.\w]*|\.pnpmfile\.cjs|\.pnp\.[.\w]+|bunfig\.toml|\.gitattributes"
)
_MACHINERY = re.compile(
    r"(?:^|/)(?:sitecustomize|usercustomize)(?:\.[^/]+|/.*)$|\.(?:pth|egg-link|pyc)$"
    r"|(?:^|/)(?:__pycache__|node_modules|\.pytest_cache|[^/]+\.(?:egg-info|dist-info|egg))(?:/|$)"
)
_BY_COMMAND = {
    "make": r"(?:GNUm|M|m)akefile|[^/]*\.mk",
    "just": r"\.?[Jj]ustfile",
    "task": r"[Tt]askfile\.ya?ml",
    "nox": r"noxfile\.py",
    "tox": r"tox\.(?:ini|toml)",
    "rake": r"Rakefile",
    "setup.py": r"setup\.py",
    "manage.py": r"manage\.py",
}
_RUNNABLE = re.compile(r"(?:.*/)?(?:[^/.]+|[^/]+\.(?:sh|bash|zsh|bats)|[^/]*(?:test|check|spec)[^/]*)")

_TOOLS = {
    *("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "exceptiongroup", "tomli", "pygments", "coverage"),
    *("pytest_cov", "xdist", "execnet", "hypothesis", "mock", "nose", "nose2", "tox", "nox", "py", "attr", "attrs"),
    *("pytest_mock", "pytest_asyncio", "pytest_timeout", "anyio", "testtools", "stestr", "twisted", "trial", "pip"),
}
_SHADOWED = frozenset(sys.stdlib_module_names) | _TOOLS
_ROOTS = ("", "src/", "lib/", "python/")

_PYPROJECT = ("pytest", "coverage", "tox", "hatch", "pdm", "poe", "taskipy", "nose2", "nox", "invoke")
_INI = re.compile(r"(?:tool:)?pytest|coverage:.*|tox.*|testenv.*|nosetests|aliases|unittest|.*:test")
_PACKAGE = ("jest", "mocha", "ava", "vitest", "nyc", "c8", "tap", "babel", "jasmine", "config")


def is_test_name(path: str) -> bool:
    """Whether a file's name is that of a test in its language."""
    return _TEST_NAME.fullmatch(path.rsplit("/", 1)[-1]) is not None


def kind(path: str, base: Collection[str], head: Collection[str], command: str) -> Kind | None:
    """Why a changed path is protected; None for the product's own files and for those with sections (`sections`)."""
    name = path.rsplit("/", 1)[-1]
    if _MACHINERY.search(path) or _shadows(path, base, head):
        return Kind.MACHINERY
    if _CONFIGURATION.fullmatch(name) or _run_by(path, name, command):
        return Kind.CONFIGURATION
    if is_test_name(path) or ("/" not in path and re.fullmatch(r"test\.[cm]?[jt]s", name)):
        return Kind.TEST
    if _SNAPSHOT.fullmatch(name) or _beside_tests(path, base):
        return Kind.SUPPORT
    return None


def _run_by(path: str, name: str, command: str) -> bool:
    """Whether the check command runs this file, itself or through a tool that reads it."""
    words = {word.removeprefix("./") for word in re.split(r"[\s;&|()<>\"'=]+", command)}
    if any(word in words and re.fullmatch(pattern, name) for word, pattern in _BY_COMMAND.items()):
        return True
    return path in words and _RUNNABLE.fullmatch(path) is not None


def _beside_tests(path: str, base: Collection[str]) -> bool:
    parts = path.split("/")
    for depth, part in enumerate(parts):
        if _STRONG.search(part) and (depth < len(parts) - 1 or "." not in part):
            return True
        if _WEAK.search(part) and (depth < len(parts) - 1 or "." not in part):
            folder = "/".join(parts[: depth + 1]) + "/"
            if depth == 0 or parts[:depth] == ["src"]:
                return True
            # Deeper down `test` may be a product's own package, as in Django; tests inside tell.
            if any(other.startswith(folder) and is_test_name(other) for other in base):
                return True
    return False


def _shadows(path: str, base: Collection[str], head: Collection[str]) -> bool:
    """Whether a new module takes the name of one of the standard library or of a test tool."""
    if path in base or not path.endswith((".py", ".so", ".pyd")):
        return False
    tests = {other.rsplit("/", 1)[0] + "/" for other in base if "/" in other and is_test_name(other)}
    for root in {*_ROOTS, *tests}:
        if not path.startswith(root):
            continue
        top, _, below = path.removeprefix(root).partition("/")
        if top.split(".")[0] not in _SHADOWED:
            continue
        package = f"{root}{top}/"
        if not below or (f"{package}__init__.py" in head and not any(other.startswith(package) for other in base)):
            return True
    return False


def has_sections(path: str) -> bool:
    """Whether a file holds test configuration among other things, so that its content decides."""
    return path.rsplit("/", 1)[-1] in ("pyproject.toml", "setup.cfg", "tox.ini", "package.json")


def sections(path: str, data: bytes | None, command: str) -> object:
    """The parts of such a file that bear on tests, to be compared; a file that cannot be read is all of itself."""
    if data is None:
        return None
    name = path.rsplit("/", 1)[-1]
    try:
        text = data.decode("utf-8-sig")
        if name == "pyproject.toml":
            tool = tomllib.loads(text).get("tool", {})
            found: Any = {key: tool[key] for key in _PYPROJECT if key in tool}
        elif name == "package.json":
            found = _package(json.loads(text), command)
        else:
            parser = configparser.RawConfigParser(strict=False)
            parser.read_string(text)
            found = {key: dict(parser[key]) for key in parser.sections() if _INI.fullmatch(key)}
    except (ValueError, RecursionError, configparser.Error, AttributeError, TypeError):
        return data
    return found or None


def _package(package: dict[str, Any], command: str) -> dict[str, Any]:
    """Runner settings, and the scripts that the test script reaches."""
    found = {key: package[key] for key in _PACKAGE if key in package}
    scripts = package.get("scripts") or {}
    reached: dict[str, Any] = {}
    queue = ["pretest", "test", "posttest", *(word for word in command.split() if word in scripts)]
    while queue:
        name = queue.pop()
        if name in reached or name not in scripts:
            continue
        reached[name] = scripts[name]
        words = set(re.split(r"[\s;&|\"']+", str(scripts[name])))
        queue += [other for other in scripts if {other, other.removeprefix("pre"), other.removeprefix("post")} & words]
    return {**found, **({"scripts": reached} if reached else {})}


def test_scripts(data: bytes | None, command: str) -> str:
    """The text of the package.json scripts that a check reaches, one a line."""
    try:
        package = json.loads((data or b"{}").decode("utf-8-sig"))
        return "\n".join(str(script) for script in _package(package, command).get("scripts", {}).values())
    except (ValueError, RecursionError, AttributeError, TypeError):
        return ""
