"""What Python projects say about their installation and their tests."""

import re
import shlex
from dataclasses import dataclass, field

from pullwright.code import requirements
from pullwright.code.tree import Tree, strings, table
from pullwright.domain.environment import Environment, Origin, Setting

VENV = "/opt/env/venv"
MAKE_VENV = f"uv venv --quiet --clear --python python3 {VENV}"
ENSURE_PYTEST = 'python -c "import pytest" 2>/dev/null || uv pip install pytest'
PYTEST = "python -m pytest"
UNITTEST = "python -m unittest discover -v"
DJANGO = "python manage.py test -v 2"

VARIABLES = {
    "VIRTUAL_ENV": VENV,
    "UV_PROJECT_ENVIRONMENT": VENV,
    "UV_PYTHON_INSTALL_DIR": "/opt/env/python",
    "UV_PYTHON_PREFERENCE": "system",
    "UV_CACHE_DIR": "/tmp/uv-cache",  # noqa: S108 - inside the sandbox, where it is fresh and goes away
    "UV_LINK_MODE": "copy",
    "UV_SYSTEM_CERTS": "1",
    "UV_NO_PROGRESS": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Tools that bring certificates of their own are told to use the machine's: companies intercept TLS.
_CERTIFICATES = (
    "certificates=/etc/ssl/certs/ca-certificates.crt\n"
    'if [ -f "$certificates" ]; then export REQUESTS_CA_BUNDLE="${REQUESTS_CA_BUNDLE:-$certificates}" '
    'PIP_CERT="${PIP_CERT:-$certificates}"; fi'
)

_MARKERS = (
    "uv.lock",
    "poetry.lock",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "Pipfile",
    "tox.ini",
    "pytest.ini",
    "manage.py",
)
_TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py$")
_PLACES_OF_TESTS = re.compile(r"(?:^|/)tests?(?:/[^/]+)*\.py$|(?:^|/)tests\.py$")
_NOT_OURS = re.compile(
    r"(?:^|/)(?:node_modules|vendor|third_party|site-packages|\.venv|venv|examples?|docs?|templates)/"
)
_READ_TESTS = 40


@dataclass
class _Plan:
    """The setup script as it grows, with the reasons."""

    lines: list[str] = field(default_factory=lambda: [MAKE_VENV])
    reasons: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def add(self, line: str, reason: str, *inputs: str) -> None:
        self.lines.append(line)
        self.reasons.append(reason)
        self.inputs.extend(inputs)


def markers(tree: Tree) -> list[str]:
    """The root's files that say that this is a Python project."""
    return tree.present((*_MARKERS, *requirements.candidates()))


def test_files(tree: Tree) -> list[str]:
    """The files that pytest and unittest find by their names."""
    return [path for path in tree.files if _TEST_FILE.search(path) and not _NOT_OURS.search(path)]


def is_python(tree: Tree) -> bool:
    """Whether the root holds a Python project, or only Python files."""
    return bool(
        markers(tree) or test_files(tree) or any("/" not in path and path.endswith(".py") for path in tree.files)
    )


async def environment(tree: Tree) -> Environment:
    """The environment of a Python project."""
    check = await _check(tree)
    plan = await _setup(tree)
    if check.command and check.command.startswith(PYTEST):
        plan.add(ENSURE_PYTEST, "pytest is added if nothing declares it")
    variables = dict(VARIABLES)
    if path := await _python_path(tree, plan):
        variables["PYTHONPATH"] = path
    why = "Python: " + "; ".join(plan.reasons or ["nothing to install"])
    return Environment(
        language="python",
        setup=Setting(command="\n".join(plan.lines), origin=Origin.DETECTED, why=why),
        check=check,
        variables=variables,
        lock_files=tree.ids([*markers(tree), ".python-version", *plan.inputs]),
    )


async def _setup(tree: Tree) -> _Plan:
    pyproject = await tree.toml("pyproject.toml")
    plan = _Plan(lines=[_make_venv(table(pyproject, "project").get("requires-python"))])
    if "uv.lock" in tree and table(pyproject, "project"):
        _with_uv(plan, pyproject)
    elif "poetry.lock" in tree or (table(pyproject, "tool", "poetry") and not table(pyproject, "project")):
        _with_poetry(plan, tree, pyproject)
    else:
        if "Pipfile" in tree:
            _with_pipenv(plan, tree)
        await _with_pip(plan, tree, pyproject)
    return plan


def _make_venv(wanted: object) -> str:
    """The virtual environment, of the system's Python where the project takes it, else of one that uv fetches."""
    if not isinstance(wanted, str) or not re.fullmatch(r"[<>=!~][\d.,<>=!~* ]{1,60}", wanted):
        return MAKE_VENV
    return MAKE_VENV.replace("--python python3", f"--python {shlex.quote(wanted.replace(' ', ''))}")


def _with_uv(plan: _Plan, pyproject: dict[str, object]) -> None:
    groups = [name for name in table(pyproject, "dependency-groups") if name in requirements.TEST_GROUPS]
    extras = [name for name in table(pyproject, "project", "optional-dependencies") if name in requirements.TEST_GROUPS]
    options = [f"--group {name}" for name in groups] + [f"--extra {name}" for name in extras]
    plan.add(
        " ".join(["uv sync --frozen", *options]),
        f"uv.lock is installed as it stands{_with(groups, extras)}",
        "uv.lock",
    )


def _with_poetry(plan: _Plan, tree: Tree, pyproject: dict[str, object]) -> None:
    groups = [name for name in table(pyproject, "tool", "poetry", "group") if name in requirements.TEST_GROUPS]
    extras = [name for name in table(pyproject, "tool", "poetry", "extras") if name in requirements.TEST_GROUPS]
    options = [f"--with {name}" for name in groups] + [f"--extras {name}" for name in extras]
    source = "poetry.lock" if "poetry.lock" in tree else "pyproject.toml has a [tool.poetry] section"
    plan.lines.append(_CERTIFICATES)
    plan.lines.append("export PYTHON_KEYRING_BACKEND=keyring.backends.null.Keyring")
    plan.add(
        " ".join(["uv tool run --quiet --python python3 poetry install --no-interaction --no-ansi", *options]),
        f"{source}, so poetry installs it{_with(groups, extras)}",
        "poetry.lock",
    )


def _with_pipenv(plan: _Plan, tree: Tree) -> None:
    if "Pipfile.lock" in tree:
        plan.lines.append("uv tool run --quiet --python python3 pipenv requirements --dev >/tmp/pipfile.txt")
        plan.add("uv pip install --requirement /tmp/pipfile.txt", "Pipfile.lock is installed", "Pipfile.lock")
    else:
        plan.lines.append(_CERTIFICATES)
        plan.add(
            "uv tool run --quiet --python python3 pipenv install --dev --skip-lock", "Pipfile is installed by pipenv"
        )


async def _with_pip(plan: _Plan, tree: Tree, pyproject: dict[str, object]) -> None:
    setup_cfg, tox_ini = await tree.ini("setup.cfg"), await tree.ini("tox.ini")
    tox = requirements.tox(tox_ini) if "tox.ini" in tree else requirements.tox(setup_cfg)
    project = table(pyproject, "project")
    groups = [
        name for name in table(pyproject, "dependency-groups") if name in (*requirements.TEST_GROUPS, *tox.groups)
    ]
    extras = [*table(project, "optional-dependencies")]
    if setup_cfg.has_section("options.extras_require"):
        extras += setup_cfg.options("options.extras_require")
    extras += re.findall(r"""["'](tests?|testing|dev|develop)["']\s*:""", await tree.text("setup.py"))
    extras = [name for name in dict.fromkeys(extras) if name in (*requirements.TEST_GROUPS, *tox.extras)]
    packaged = "setup.py" in tree or setup_cfg.has_section("metadata") or bool(table(pyproject, "build-system"))
    if packaged:
        target = shlex.quote(f".[{','.join(extras)}]") if extras else "."
        source = tree.first("setup.py", "setup.cfg") if not table(pyproject, "build-system") else "pyproject.toml"
        plan.add(f"uv pip install --editable {target}", f"{source} is installed in place{_with([], extras)}")
    elif strings(project.get("dependencies")) or extras:
        options = "".join(f" --extra {name}" for name in extras)
        why = f"the dependencies of pyproject.toml{_with([], extras)} (it names no build system)"
        plan.add(f"uv pip install --requirement pyproject.toml{options}", why)
    if groups:
        plan.add("uv pip install" + "".join(f" --group {name}" for name in groups), f"groups {', '.join(groups)}")
    listed = requirements.files([*tree.files])
    if packaged:  # a lock of the whole would undo what the project itself asks for; its tests' files are what it lacks
        listed = [
            path for path in listed if not path.endswith(("requirements.txt", "base.txt", "main.txt", "common.txt"))
        ]
        listed += tree.present(("test-requirements.txt", "tests/requirements.txt", "test/requirements.txt"))
    listed = list(dict.fromkeys([*listed, *tree.present(tox.files)]))
    if listed:
        options = "".join(f" --requirement {shlex.quote(path)}" for path in listed)
        plan.add("uv pip install" + options, " and ".join(listed), *listed)
    if tox.requirements and not (extras or groups or listed):
        quoted = " ".join(shlex.quote(requirement) for requirement in tox.requirements)
        plan.add(f"uv pip install {quoted}", "the deps of tox's testenv", "tox.ini")


def _with(groups: list[str], extras: list[str]) -> str:
    parts = [f"{kind} {', '.join(names)}" for kind, names in (("groups", groups), ("extras", extras)) if names]
    return f" with {' and '.join(parts)}" if parts else ""


async def _python_path(tree: Tree, plan: _Plan) -> str | None:
    """`src` where it holds modules that nothing installs and no configuration of pytest puts on the path."""
    installed = any("--editable" in line or "uv sync" in line or "poetry" in line for line in plan.lines)
    modules = [path for path in tree.files if re.fullmatch(r"src/[^/]+(?:/__init__)?\.py", path)]
    if not modules or (installed and table(await tree.toml("pyproject.toml"), "build-system")) or "setup.py" in tree:
        return None
    return None if "src/__init__.py" in tree else "/workspace/src"


async def _check(tree: Tree) -> Setting:
    tests = test_files(tree)
    odd = [path for path in tree.files if _PLACES_OF_TESTS.search(path) and not _NOT_OURS.search(path)]
    hint = await _pytest_hint(tree)
    texts = [await tree.text(path) for path in (tests or odd)[:_READ_TESTS]]
    uses_unittest = any(re.search(r"^\s*(?:import|from) unittest|TestCase\b", text, re.M) for text in texts)
    own_loading = any(re.search(r"^def load_tests\(", text, re.M) for text in texts)

    def found(command: str, why: str) -> Setting:
        return Setting(command=command, origin=Origin.DETECTED, why=why)

    if "manage.py" in tree and not hint:
        return found(DJANGO, "manage.py is Django's, and nothing speaks of pytest")
    if hint:
        return found(PYTEST, hint)
    if uses_unittest and (own_loading or not tests):
        what = "load their tests themselves" if own_loading else "have names that pytest would not find"
        where = _discovery(tree, tests or odd)
        return found(UNITTEST + where, f"the tests use unittest and {what}")
    if tests and uses_unittest:
        return found(PYTEST, f"{tests[0]} uses unittest; pytest runs such tests as they are and reports on each")
    if tests:
        return found(PYTEST, f"{tests[0]} is named as pytest expects")
    return Setting(why="no tests were found in this Python project; say how to check it with --check")


def _discovery(tree: Tree, tests: list[str]) -> str:
    """Where unittest has to look, and for which names; it enters folders that are packages by itself."""
    named = all(_TEST_FILE.search(path) for path in tests)
    pattern = "" if named else f" -p {tests[0].rsplit('/', 1)[-1] if _ends_in_tests(tests) else shlex.quote('*.py')}"
    folders = {path.split("/")[0] for path in tests if "/" in path}
    folder = folders.pop() if len(folders) == 1 and all("/" in path for path in tests) else None
    return f" -s {shlex.quote(folder)}{pattern}" if folder and f"{folder}/__init__.py" not in tree else pattern


def _ends_in_tests(tests: list[str]) -> bool:
    return all(path.rsplit("/", 1)[-1] == "tests.py" for path in tests)


async def _pytest_hint(tree: Tree) -> str | None:
    """What in the repository speaks of pytest."""
    if path := tree.first("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"):
        return f"{path} configures pytest"
    pyproject = await tree.text("pyproject.toml")
    if "[tool.pytest" in pyproject:
        return "pyproject.toml configures pytest"
    conftests = [path for path in tree.files if path.rsplit("/", 1)[-1] == "conftest.py"]
    if conftest := next((path for path in conftests if not _NOT_OURS.search(path)), None):
        return f"{conftest} belongs to pytest"
    for path in ("setup.cfg", "tox.ini", "pyproject.toml", "setup.py", "Pipfile", *requirements.candidates()):
        if path in tree and re.search(r"\bpy\.?test\b", await tree.text(path)):
            return f"{path} names pytest"
    for path in test_files(tree)[:_READ_TESTS]:
        if re.search(r"^\s*(?:import|from) pytest\b", await tree.text(path), re.M):
            return f"{path} imports pytest"
    return None
