"""Environments read off the shapes that repositories have, and the precedence of what people say."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from pullwright.code import python, setup_script
from pullwright.code.detect import choose, detect
from pullwright.code.repository_file import parse
from pullwright.domain.environment import Environment, Origin, ToolServer
from pullwright.domain.errors import UsageError
from pullwright.domain.image import Image, image_reference
from pullwright.repos.mirror import TreeEntry

PLAIN_TEST = "def test_x():\n    assert True\n"
UNITTEST = "import unittest\n\n\nclass TestX(unittest.TestCase):\n    def test_x(self):\n        pass\n"
PYTEST_TEST = "import pytest\n\n\n" + PLAIN_TEST
BUILD = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
PROJECT = '[project]\nname = "a"\nversion = "1"\n'


async def detected(files: Mapping[str, str]) -> Environment:
    entries = {path: TreeEntry("100644", "blob", f"id-{path}") for path in files}

    async def read(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    return await detect(entries, read)


PYTHON_SHAPES = {
    "uv": (
        {
            "uv.lock": "",
            "pyproject.toml": PROJECT
            + 'requires-python = ">=3.9"\n[project.optional-dependencies]\ntest = ["x"]\ndocs = ["y"]\n'
            + '[dependency-groups]\ndev = ["pytest"]\ntests = []\nlint = []\n',
            "tests/test_a.py": PLAIN_TEST,
        },
        ["uv venv --quiet --clear --python '>=3.9'", "uv sync --frozen --group dev --group tests --extra test"],
        "python -m pytest",
    ),
    "poetry": (
        {
            "poetry.lock": "",
            "pyproject.toml": '[tool.poetry]\nname = "a"\n[tool.poetry.group.dev.dependencies]\npytest = "*"\n',
            "tests/test_a.py": PLAIN_TEST,
        },
        ["poetry install --no-interaction --no-ansi --with dev", "PYTHON_KEYRING_BACKEND"],
        "python -m pytest",
    ),
    "pip and pyproject": (
        {
            "pyproject.toml": BUILD + PROJECT + '[project.optional-dependencies]\ntests = ["pytest"]\n',
            "src/a/__init__.py": "",
            "tests/test_a.py": PLAIN_TEST,
        },
        ["uv pip install --editable '.[tests]'"],
        "python -m pytest",
    ),
    "setup.py": (
        {"setup.py": "setup(extras_require={'dev': ['pytest'], 'docs': []})", "test_a.py": PLAIN_TEST},
        ["uv pip install --editable '.[dev]'"],
        "python -m pytest",
    ),
    "setup.cfg": (
        {
            "setup.cfg": "[metadata]\nname = a\n[options.extras_require]\ntesting = pytest\n[tool:pytest]\nx = y\n",
            "test_a.py": PLAIN_TEST,
        },
        ["uv pip install --editable '.[testing]'"],
        "python -m pytest",
    ),
    "requirements": (
        {"requirements.txt": "flask\n", "requirements-dev.txt": "pytest\n", "tests/test_a.py": PLAIN_TEST},
        ["uv pip install --requirement requirements.txt --requirement requirements-dev.txt"],
        "python -m pytest",
    ),
    "requirements of tests before those of development": (
        {"requirements/test.txt": "pytest\n", "requirements/dev.txt": "black\n", "test_a.py": PLAIN_TEST},
        ["uv pip install --requirement requirements/test.txt\n"],
        "python -m pytest",
    ),
    "a project and its tests' requirements": (
        {"setup.py": "setup()", "test-requirements.txt": "pytest\n", "requirements.txt": "x", "test_a.py": PLAIN_TEST},
        ["--editable .\n", "uv pip install --requirement test-requirements.txt\n"],
        "python -m pytest",
    ),
    "Pipfile": (
        {"Pipfile": "[dev-packages]\npytest = '*'\n", "Pipfile.lock": "{}", "test_a.py": PLAIN_TEST},
        ["pipenv requirements --dev >/tmp/pipfile.txt", "uv pip install --requirement /tmp/pipfile.txt"],
        "python -m pytest",
    ),
    "tox": (
        {
            "tox.ini": "[testenv]\ndeps =\n    pytest>=7\n    py38: old\n    {[base]deps}\n    mock # why\n"
            "commands = pytest {posargs}\n",
            "setup.py": "setup()",
            "tests/test_a.py": PLAIN_TEST,
        },
        ["--editable .\n", "uv pip install 'pytest>=7' mock\n"],
        "python -m pytest",
    ),
    "tox in setup.cfg": (
        {"setup.cfg": "[tox:testenv]\ndeps = -r{toxinidir}/deps.txt\n", "deps.txt": "pytest", "test_a.py": PLAIN_TEST},
        ["uv pip install --requirement deps.txt\n"],
        "python -m pytest",
    ),
    "dependencies without a build system": (
        {"pyproject.toml": PROJECT + 'dependencies = ["attrs"]\n', "a.py": "", "test_a.py": PLAIN_TEST},
        ["uv pip install --requirement pyproject.toml\n"],
        "python -m pytest",
    ),
    "scripts": ({"gcd.py": "", "test_gcd.py": PLAIN_TEST}, [python.MAKE_VENV], "python -m pytest"),
    "unittest by usual names": ({"a.py": "", "tests/test_a.py": UNITTEST}, [], "python -m pytest"),
    "unittest by other names": (
        {"a.py": "", "tests/basics.py": UNITTEST},
        [],
        "python -m unittest discover -v -s tests -p '*.py'",
    ),
    "unittest that loads itself": (
        {"a.py": "", "tests/test_a.py": UNITTEST + "\n\ndef load_tests(*_):\n    pass\n"},
        [],
        "python -m unittest discover -v -s tests",
    ),
    "Django": ({"manage.py": "", "polls/tests.py": UNITTEST, "requirements.txt": "django"}, [], python.DJANGO),
    "Django with pytest": (
        {"manage.py": "", "polls/test_views.py": PYTEST_TEST, "requirements.txt": "django"},
        [],
        "python -m pytest",
    ),
}


@pytest.mark.parametrize("shape", PYTHON_SHAPES)
async def test_python_projects(shape: str) -> None:
    files, lines, check = PYTHON_SHAPES[shape]
    environment = await detected(files)
    assert environment.language == "python"
    assert environment.check.command == check, environment.check
    script = f"{environment.setup.command}\n"
    for line in lines:
        assert line in script, script
    assert (python.ENSURE_PYTEST in script) == check.startswith("python -m pytest")
    assert environment.setup.why.startswith("Python: ")
    assert environment.setup.origin is environment.check.origin is Origin.DETECTED
    assert environment.variables["VIRTUAL_ENV"] == environment.variables["UV_PROJECT_ENVIRONMENT"] == python.VENV
    for path in files:
        if not path.endswith(".py") or path == "setup.py":
            assert environment.lock_files.get(path) == f"id-{path}", path


async def test_scripts_under_src_are_found() -> None:
    loose = await detected({"src/a.py": "", "tests/test_a.py": PLAIN_TEST})
    assert loose.variables["PYTHONPATH"] == "/workspace/src"
    built = await detected({"src/a/__init__.py": "", "pyproject.toml": BUILD + PROJECT, "test_a.py": PLAIN_TEST})
    assert "PYTHONPATH" not in built.variables


NODE_SHAPES = {
    "npm": ({"package-lock.json": "{}"}, "npm ci", None),
    "npm without a lock": ({}, "npm install --no-package-lock", None),
    "pnpm": ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm install --frozen-lockfile", "pnpm@8"),
    "pnpm, new": ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "pnpm install --frozen-lockfile", "pnpm@9"),
    "yarn classic": ({"yarn.lock": "# yarn lockfile v1\n"}, "yarn install --frozen-lockfile", "yarn@1"),
    "yarn": ({"yarn.lock": "__metadata:\n  version: 8\n"}, "yarn install --immutable", "@yarnpkg/cli-dist@4"),
    "bun": ({"bun.lock": ""}, "bun install --frozen-lockfile", "bun@latest"),
}


@pytest.mark.parametrize("shape", NODE_SHAPES)
async def test_node_projects(shape: str) -> None:
    files, install, package = NODE_SHAPES[shape]
    manifest = '{"scripts": {"test": "vitest run"}, "devDependencies": {"vitest": "1"}}'
    environment = await detected({"package.json": manifest, **files})
    script = environment.setup.command or ""
    assert script.splitlines()[-1] == install
    assert package is None or f"npm install --global --prefix /opt/env {package}\n" in script
    assert (environment.language, environment.check.command) == ("node", "npm test")
    assert "vitest run" in environment.check.why
    assert environment.lock_files.keys() == {"package.json", *files}


async def test_the_named_package_manager_wins() -> None:
    manifest = '{"packageManager": "pnpm@9.1.2+sha512.abc", "dependencies": {"a": "1"}, "scripts": {"test": "x"}}'
    script = (await detected({"package.json": manifest, "package-lock.json": "", "pnpm-lock.yaml": ""})).setup.command
    assert "pnpm@9.1.2" in (script or "")
    evil = manifest.replace("9.1.2+sha512.abc", "9; rm -rf /")
    assert "rm -rf" not in ((await detected({"package.json": evil, "pnpm-lock.yaml": ""})).setup.command or "")


@pytest.mark.parametrize(
    ("files", "check"),
    [
        ({"package.json": "{}", "test/a.js": "import 'node:test'"}, "node --test"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, None),
        ({"package.json": '{"devDependencies": {"jest": "1"}}'}, "npx jest"),
        ({"package.json": "[broken"}, None),
    ],
)
async def test_node_without_a_test_script(files: dict[str, str], check: str | None) -> None:
    environment = await detected(files)
    assert environment.check.command == check
    assert check or "--check" in environment.check.why


async def test_nothing_to_install_needs_no_setup() -> None:
    environment = await detected({"package.json": '{"scripts": {"test": "node --test"}}'})
    assert environment.setup.command is None
    assert "nothing to install" in environment.setup.why


async def test_two_languages_at_once() -> None:
    package = '{"scripts": {"test": "jest"}}'
    python_first = await detected({"pyproject.toml": PROJECT, "tests/test_a.py": PLAIN_TEST, "package.json": package})
    assert python_first.language == "python"
    assert "package.json is here too" in python_first.check.why
    node_first = await detected({"scripts.py": "", "package.json": package})
    assert node_first.language == "node"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no file of a known language"),
        ({"README": "x"}, "no file of a known language"),
        ({"Cargo.toml": ""}, "Cargo.toml speaks of Rust"),
        (
            {"api/pyproject.toml": "", "web/package.json": "", "README": ""},
            "only the root is looked at, and the projects",
        ),
    ],
)
async def test_what_is_not_known_asks_for_both_options(files: dict[str, str], says: str) -> None:
    environment = await detected(files)
    assert environment.language == "unknown"
    for setting in (environment.setup, environment.check):
        assert setting.command is None
        assert says in setting.why
        assert "--setup" in setting.why
        assert "--check" in setting.why


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[[[broken"},
        {"setup.cfg": "no section\n", "tox.ini": "[testenv\n"},
        {"pyproject.toml": '[project]\nrequires-python = 3\noptional-dependencies = 4\n[tool]\npoetry = "x"\n'},
        {"package.json": '{"scripts": [], "dependencies": "x"}'},
        {"package.json": "\ufeff{}", "a.py": ""},
    ],
)
async def test_broken_files_break_nothing(files: dict[str, str]) -> None:
    assert await detected(files)


async def test_an_option_wins_over_the_file_and_the_file_over_detection() -> None:
    environment = await detected({"package.json": '{"scripts": {"test": "jest"}}'})
    file = b'setup = "from file"\ncheck = "check from file"\nmaintenance = "keep up"\n[variables]\nA = "1"\nCI = "0"\n'
    chosen = choose(environment, file, "from option", None)
    assert (chosen.setup.command, chosen.setup.origin) == ("from option", Origin.OPTION)
    assert (chosen.check.command, chosen.check.origin) == ("check from file", Origin.FILE)
    assert (chosen.maintenance.command, chosen.maintenance.origin) == ("keep up", Origin.FILE)
    assert (chosen.variables["A"], chosen.variables["CI"]) == ("1", "0")
    assert choose(environment, None, None, None) == environment
    assert choose(environment, b'check = ""', None, None).check.command is None


async def test_python_scripts_of_a_persons_own_find_what_they_expect() -> None:
    environment = await detected({"a.py": "", "b.py": ""})
    own = choose(environment, None, "pip install x", None).setup.command or ""
    assert own.splitlines()[0].startswith(python.MAKE_VENV)
    assert own.splitlines()[1:] == ["pip install x"]
    assert python.ENSURE_PYTEST in (choose(environment, None, None, "pytest -q").setup.command or "")
    assert choose(environment, None, "", None).setup.command is None


async def test_an_option_wins_over_a_persons_decision_and_that_over_the_file() -> None:
    environment = await detected({"a.py": ""})
    file = b'image = "docker://debian:12"'

    def image(option: str | None, decided: str | None) -> str | None:
        chosen = choose(environment, file, None, None, images=(option, decided)).image
        return chosen.reference if chosen else None

    assert image(None, None) == "docker://debian:12"
    assert image(None, "dir:/srv/tree") == "dir:/srv/tree"
    assert image("oci:/srv/x:1", "dir:/srv/tree") == "oci:/srv/x:1"
    assert image("host", "dir:/srv/tree") is None
    assert choose(environment, None, None, None).image is None
    bare = environment.key()
    of = environment.model_copy(update={"image": Image(reference="docker://debian:12", digest="sha256:" + "0" * 64)})
    assert len({bare, of.key(), environment.model_copy(update={"image": Image(reference="docker://x")}).key()}) == 3


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("host", None),
        ("docker://debian", "docker://debian"),
        ("docker://registry.example:5000/team/image:1.2", "docker://registry.example:5000/team/image:1.2"),
        ("oci:layout", "oci:/cwd/layout"),
        ("oci:/srv/layout:v1", "oci:/srv/layout:v1"),
        ("dir:tree", "dir:/cwd/tree"),
    ],
)
def test_references_of_images_are_kept_whole(text: str, kept: str | None) -> None:
    assert image_reference(text, cwd=Path("/cwd")) == kept


@pytest.mark.parametrize(
    "text",
    ["", "debian", "docker://", "docker://Debian", "docker://x y", "docker://a --b", "oci:/a:b:c", "docker:///etc"],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is none: write docker://"):
        image_reference(text, cwd=Path("/cwd"))


def test_a_pinned_image_is_asked_for_by_its_digest() -> None:
    digest = "sha256:" + "a" * 64
    assert (
        Image(reference="docker://r.example:5000/a/b:1", digest=digest).pinned
        == f"docker://r.example:5000/a/b@{digest}"
    )
    image = Image(reference="oci:/srv/layout:v1", digest=digest)
    assert (image.place, image.tag, image.is_directory) == (Path("/srv/layout"), "v1", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'image = "x"', "write docker://NAME"),
        (b"image = 3", "`image` must be a string"),
        (b'image = "dir:/etc"', "a branch cannot name directories of this host"),
        (b'image = "oci:images/base"', "a branch cannot name directories of this host"),
        (b'services = "postgres"', "`services` must be a list"),
        (b'services = ["db"]', "services.db is not known by name"),
        (b'services = ["A b"]', "'A b' is no name of a service"),
        (b"[services.postgres]\nfast = 1", "services.postgres: unknown key 'fast'"),
        (b"[services.own]\ncommand = 3", "services.own.command: Input should be a valid string"),
        (b'[services.own]\ncommand = "x"\nseconds = 0', "services.own.seconds"),
        (b'setpu = "x"', "unknown key 'setpu'"),
        (b"setup = 3", "`setup` must be a string"),
        (b"setup = [", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b'variables = "x"', "must be a table"),
        (b"[variables]\nA = 1", "the variable A must be a string"),
        (b'[variables]\n"A B" = "1"', "no name of an environment variable"),
        (b'check = "a\\u0000b"', "`check` must be a string"),
        (b'mcp = "x"', "`mcp` must be a table"),
        (b'[mcp.Docs]\ncommand = "x"', "'Docs' is no name for an MCP server"),
        (b'[mcp.docs]\nurl = "https://example.com"', "a branch cannot name servers elsewhere"),
        (b'[mcp.docs]\ncommand = ""', "`command` must be a command line"),
        (b'[mcp.docs]\ncommand = "x"\ncwd = "/"', "unknown key 'cwd'"),
    ],
)
def test_a_broken_repository_file_says_what_to_mend(text: bytes, says: str) -> None:
    with pytest.raises(UsageError, match=r"pullwright\.toml") as raised:
        choose(Environment(), text, None, None)
    assert says in str(raised.value)


def test_mcp_servers_are_the_repository_s_and_the_person_s() -> None:
    text = b"""
[mcp]
short = "run me"
[mcp.docs]
command = ["npx", "-y", "a server"]
variables = { KEY = "1" }
"""
    servers = choose(Environment(), text, None, None, servers={"docs": "mine", "other": "x"}).servers
    assert servers == {
        "short": ToolServer(command="run me"),
        "docs": ToolServer(command="mine"),
        "other": ToolServer(command="x"),
    }
    docs = choose(Environment(), text, None, None).servers["docs"]
    assert docs == ToolServer(command="npx -y 'a server'", variables={"KEY": "1"})


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("script", "line", "text"),
    [
        ("echo one\nfalse\necho never", 2, "false"),
        ("f() {\n  false\n}\nf", 2, "false"),
        ("true\n(exit 3)", 2, "(exit 3)"),
        ("if true; then\n  no-such-program --x\nfi", 2, "no-such-program --x"),
        ("a=1\nb=$(false)\n", 2, "b=$(false)"),
        ("true\nif then", 2, "if then"),
        ("true || false\nexit 4\n", 2, "exit 4"),
        ("cat <<X\nhi\nX\nfalse", 4, "false"),
        ("set -x\ntrue\nfalse", 3, "false"),
    ],
)
def test_a_failed_setup_names_its_line(script: str, line: int, text: str) -> None:
    done = subprocess.run(setup_script.command(script), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode != 0
    failure = setup_script.failure(script, done.stdout)
    assert (failure.number, failure.line) == (line, text)
    assert "::" not in failure.output.replace("::setup", "") or "set -x" in script


def test_a_setup_that_works_ends_with_status_0() -> None:
    script = "set -u\ncd /\nfalse || true\n[ -d /none ] || echo none\nfor i in 1 2; do echo $i; done"
    done = subprocess.run(setup_script.command(script), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"none\n1\n2\n", b"")


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        (b"error: Failed to fetch: dns error", "network could not be reached"),
        (b"npm error code ENOTFOUND", "network could not be reached"),
        (b"invalid peer certificate: UnknownIssuer", "certificate was not trusted"),
        (b"/tmp/x/setup: line 3: poetry: command not found", "`poetry` is not installed"),
        (b"it broke", ""),
    ],
)
def test_the_usual_causes_are_named(output: bytes, hint: str) -> None:
    failure = setup_script.failure("a\nb\nc", output)
    assert hint in failure.hint
    assert failure.output.endswith(failure.hint)
    assert bool(failure.hint) == bool(hint)


def test_services_by_name_and_of_ones_own() -> None:
    postgres, redis = parse(b'services = ["postgresql", "redis"]').services
    assert (postgres.name, redis.name) == ("postgres", "redis")
    assert postgres.prepare
    assert not postgres.setup
    said = b'[services.postgres]\nsetup = true\nvariables.DATABASE_URL = "mine"\n[services.own]\ncommand = "serve"\n'
    changed, own = parse(said).services
    assert (changed.command, changed.setup) == (postgres.command, True)
    assert changed.variables == {**postgres.variables, "DATABASE_URL": "mine"}
    assert (own.command, own.ready, own.prepare) == ("serve", None, None)
    (other,) = parse(b'[services.redis]\ncommand = "valkey-server"').services
    assert (other.command, other.ready, other.package) == ("valkey-server", None, None)


@pytest.mark.parametrize(
    ("said", "wants"),
    [
        (
            b"E: Could not open lock file /var/lib/dpkg/lock (13: Permission denied)\nare you root?",
            True,
        ),
        (b"mkdir: cannot create directory '/usr/local/x': Read-only file system", True),
        (b"dpkg: error: requested operation requires superuser privilege", True),
        (b"1 failed, 3 passed", False),
    ],
)
def test_a_setup_that_lacks_roots_rights_is_known(said: bytes, wants: bool) -> None:
    assert setup_script.failure("x", said).wants_root is wants
