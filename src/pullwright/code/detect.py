"""How a repository becomes a working machine, read off its files; options and the repository file win.

Only the base commit is read, never a tree that an engine wrote, and only its root: in a monorepo a person says which
part is meant, with `--setup` and `--check`.
"""

from collections.abc import Awaitable, Callable, Mapping

from pullwright.code import node, python, repository_file
from pullwright.code.repository_file import RepositoryFile
from pullwright.code.tree import Tree
from pullwright.domain.environment import Environment, Origin, Setting, ToolServer
from pullwright.domain.image import NONE, Image
from pullwright.repos.mirror import TreeEntry

_PROJECT_FILES = ("pyproject.toml", "setup.py", "package.json", "requirements.txt", "Cargo.toml", "go.mod", "pom.xml")
_OTHER_LANGUAGES = {
    "Cargo.toml": "Rust",
    "go.mod": "Go",
    "pom.xml": "Java",
    "build.gradle": "Java",
    "build.gradle.kts": "Kotlin",
    "Gemfile": "Ruby",
    "composer.json": "PHP",
    "mix.exs": "Elixir",
    "CMakeLists.txt": "C or C++",
    "Makefile": "make",
}


async def detect(files: Mapping[str, TreeEntry], read: Callable[[str], Awaitable[bytes | None]]) -> Environment:
    """What the files of a commit say, each setting with the reason. Never fails: broken files say nothing."""
    tree = Tree(files, read)
    looks_python, looks_node = python.is_python(tree), node.is_node(tree)
    if looks_python and looks_node:
        return await _both(tree)
    if looks_python:
        return await python.environment(tree)
    if looks_node:
        return await node.environment(tree)
    return _unknown(tree)


async def _both(tree: Tree) -> Environment:
    """Python where it has a project file and tests, else Node where it has a test script."""
    found = await python.environment(tree)
    prefer_node = await node.has_tests(tree) and not (python.markers(tree) and found.check.command)
    if prefer_node:
        found = await node.environment(tree)
    other = "there is Python here too" if prefer_node else "package.json is here too"
    note = f" ({other}; only one language is set up: say otherwise with --setup and --check)"
    return found.model_copy(update={"check": found.check.model_copy(update={"why": found.check.why + note})})


def _unknown(tree: Tree) -> Environment:
    folders = sorted({path.rsplit("/", 1)[0] for path in tree.files if path.rsplit("/", 1)[-1] in _PROJECT_FILES})
    known = next((f"{path} speaks of {language}" for path, language in _OTHER_LANGUAGES.items() if path in tree), None)
    if known:
        seen = f"{known}, which is not detected in this version"
    elif folders:
        some = ", ".join(folders[:4]) + (" and more" if len(folders) > 4 else "")
        seen = f"only the root is looked at, and the projects are in {some}"
    else:
        seen = "no file of a known language was found at the root"
    why = f"{seen}; say how to install and test it with --setup and --check, or in {repository_file.NAME}"
    return Environment(setup=Setting(why=why), check=Setting(why=why))


def choose(
    detected: Environment,
    file_toml: bytes | None,
    setup: str | None,
    check: str | None,
    sparse: tuple[str, ...] = (),
    servers: Mapping[str, str] | None = None,
    images: tuple[str | None, str | None] = (None, None),
) -> Environment:
    """The environment to use: an option wins over `.pullwright.toml`, that over detection.

    `images` are what an option and the platform's own record name, in this order; both win over the file.

    An empty string as a setup or check means that there is none. Raises `UsageError` for a broken file.
    """
    said = repository_file.parse(file_toml) if file_toml is not None else RepositoryFile()
    chosen_check = _chosen(check, "--check", said.check, detected.check)
    chosen_setup = _chosen(setup, "--setup", said.setup, detected.setup)
    if detected.language == "python":
        chosen_setup = _with_python(chosen_setup, chosen_check)
    return detected.model_copy(
        update={
            "setup": chosen_setup,
            "maintenance": _chosen(None, "", said.maintenance, detected.maintenance),
            "check": chosen_check,
            "image": _image((*images, said.image)),
            "variables": {**detected.variables, **said.variables},
            "sparse": sparse or said.sparse,
            "services": said.services,
            "servers": said.servers | {name: ToolServer(command=text) for name, text in (servers or {}).items()},
        }
    )


def _image(named: tuple[str | None, ...]) -> Image | None:
    whys = ("given by --image", "decided for this repository", f"given by {repository_file.NAME}")
    for text, why in zip(named, whys, strict=True):
        if text is not None:
            return None if text == NONE else Image(reference=text, why=why)
    return None


def _chosen(option: str | None, name: str, said: str | None, detected: Setting) -> Setting:
    for text, origin, source in ((option, Origin.OPTION, name), (said, Origin.FILE, repository_file.NAME)):
        if text is not None:
            why = f"given by {source}" if text.strip() else f"{source} says that there is none"
            return Setting(command=text.strip() or None, origin=origin, why=why)
    return detected


def _with_python(setup: Setting, check: Setting) -> Setting:
    """A person's own script finds a virtual environment with pip; a check with pytest finds pytest."""
    if setup.command is None:
        return setup
    if setup.origin is not Origin.DETECTED:
        venv = f"{python.MAKE_VENV} --seed || {python.MAKE_VENV}"
        return setup.model_copy(
            update={"command": f"{venv}\n{setup.command}", "why": f"{setup.why}, after a virtual environment is made"}
        )
    if "pytest" in (check.command or "") and python.ENSURE_PYTEST not in setup.command:
        why = f"{setup.why}; pytest is added since the check uses it"
        return setup.model_copy(update={"command": f"{setup.command}\n{python.ENSURE_PYTEST}", "why": why})
    return setup
