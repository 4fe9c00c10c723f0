"""The rules of the house that no other tool checks: what may be where, and that the pages say what is so."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pullwright"


def tracked() -> list[str]:
    """The paths under version control that exist."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def imports(path: Path) -> set[str]:
    """The modules that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


def test_only_git_sandboxes_and_egress_start_processes() -> None:
    allowed = ("repos/git.py", "sandbox/", "egress/", "guest/")
    itself = ("cli/worker.py",)  # starts this program once more, to work in the background
    offenders = []
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        source = path.read_text()
        starts = "subprocess" in {module.split(".")[0] for module in imports(path)} or re.search(
            r"create_subprocess_(exec|shell)|os\.(system|popen|fork|posix_spawn|exec[lv]p?e?)\(", source
        )
        if starts and not name.startswith(allowed) and name not in itself:
            offenders.append(name)
    assert offenders == []


def test_no_file_names_a_registry_or_somebodys_machine() -> None:
    # Spelt in halves, or this file would be the first to be found.
    hosts = [f"{name}.org" for name in ("py" + "pi", "python" + "hosted", "npm" + "js")]
    names = [*hosts, "npm" + "js.com", "/root/" + ".pyenv", "/work" + "/main"]
    found = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        found += [f"{name}: {word}" for word in names if word.encode() in data]
    assert found == []


@pytest.mark.parametrize("lock", sorted((ROOT / "locks").glob("*.txt")), ids=lambda path: path.name)
def test_locks_pin_every_package_by_hash_and_name_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+( ;.*)? \\\n", entry), entry[:60]
        assert "--hash=sha256:" in entry


def test_the_test_environment_holds_the_same_versions_as_a_run() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / "locks" / name).read_text(), re.MULTILINE))

    assert pins("run.txt") <= pins("dev.txt")
    assert pins("uv.txt") <= pins("run.txt")


def test_every_package_lists_its_files() -> None:
    missing = []
    for init in PACKAGE.rglob("__init__.py"):
        if init.parent == PACKAGE:
            continue
        said = ast.get_docstring(ast.parse(init.read_text())) or ""
        files = [path for path in init.parent.iterdir() if path.suffix in {".py", ".c", ".h", ".sh"} and path != init]
        missing += [path.relative_to(PACKAGE).as_posix() for path in files if path.name not in said]
    assert missing == []


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from pullwright.cli.main import main\n"
        "status = main(['--help'])\n"
        "heavy = {'openai', 'pydantic_ai', 'dbos', 'sqlalchemy', 'alembic', 'httpx', 'psycopg'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else status)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pullwright run" in done.stdout


def test_the_layout_in_the_readme_is_the_layout() -> None:
    section = re.search(r"^## Layout\n.*?^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert section
    said = [line.split()[0] for line in section[1].splitlines() if line.strip()]
    folders = {f"{name.split('/')[0]}/" for name in tracked() if "/" in name} - {"src/", ".ci/"}
    folders |= {"/".join(name.split("/")[:3]) + "/" for name in tracked() if re.match(r"src/pullwright/[^/]+/", name)}
    assert sorted(said) == sorted(folders)
    assert len(said) == len(set(said))


def test_every_link_in_the_pages_leads_somewhere() -> None:
    broken = []
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "tests/e2e/README.md",
    ]:
        links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        local = [target for target in links if "://" not in target]
        broken += [f"{page.name}: {target}" for target in local if not (page.parent / target).exists()]
    assert broken == []


@pytest.mark.parametrize("name", ["cli", "tools"])
def test_the_pages_about_commands_and_tools_are_what_these_say(name: str) -> None:
    script = ROOT / f"docs/{name}.py"
    done = subprocess.run([sys.executable, script, "--print"], capture_output=True, text=True, check=True)
    assert (ROOT / f"docs/{name}.md").read_text() == done.stdout, f"python docs/{name}.py writes it anew"


def test_the_commands_in_the_pages_are_commands_with_those_options() -> None:
    helps = dict(
        re.findall(r"^## (pullwright[^\n]*)\n\n```\n(.*?)```", (ROOT / "docs/cli.md").read_text(), re.M | re.S)
    )
    lines = []
    for page in ("README.md", "CONTRIBUTING.md", "scripts/demo"):
        lines += re.findall(r"\.venv/bin/(pullwright .*)", (ROOT / page).read_text())
    assert len(lines) > 10
    for line in lines:
        words = line.split(" -- ")[0].split()
        name = next(name for length in (3, 2) if (name := " ".join(words[:length])) in helps)
        for option in re.findall(r"(?<=\s)--[a-z-]+", line.split(" -- ")[0]):
            assert option in helps[name], f"{option} of {name}"


def test_every_decision_has_context_decision_and_cost() -> None:
    records = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        headings = re.findall(r"^## (.*)", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "What it costs"], path.name


def test_the_scripts_named_in_the_pages_exist() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(r"scripts/[a-z]+", page.read_text()):
            assert (ROOT / name).is_file(), name
