"""The build hook and the C program that it compiles."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_cc
def test_the_program_compiles_without_a_warning() -> None:
    source = ROOT / "src/pullwright/guest/machine.c"
    flags = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
    subprocess.run(["cc", *flags, source], check=True)


def _zig(hook: ModuleType) -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else []


def test_a_compiler_that_cannot_link_statically_is_none(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert hook.compiler() == _zig(hook)
    monkeypatch.setenv("CC", str(tmp_path / "none"))
    assert hook.compiler() == _zig(hook)


@needs_cc
def test_it_is_compiled_once_and_again_when_its_source_changes(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hook.compiler():
        pytest.skip("no compiler here links statically")
    guest = tmp_path / hook.GUEST
    guest.mkdir(parents=True)
    (guest / "machine.c").write_text("int main(void) { return 7; }")
    program = hook.compile_machine(tmp_path)
    assert subprocess.run([program], check=False).returncode == 7
    first = program.stat().st_mtime_ns
    assert hook.compile_machine(tmp_path).stat().st_mtime_ns == first
    (guest / "machine.c").write_text("int main(void) { return 8; }")
    later = program.stat().st_mtime + 10
    os.utime(guest / "machine.c", (later, later))
    assert subprocess.run([hook.compile_machine(tmp_path)], check=False).returncode == 8
    assert [path.name for path in program.parent.iterdir()] == ["machine"]
