"""The build hook: compiles the launcher and agent of sandboxes, one static program, into the package.

With `cc` where there is one, else with `zig cc` from the PyPI package `ziglang`. Run as a program it does the same for
a checkout.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program, in an environment without hatchling
    BuildHookInterface = object

GUEST = Path("src/pullwright/guest")
PROGRAM = GUEST / "bin/machine"
# Warnings are for those who work on it (the tests make errors of them), not for whoever has another compiler.
FLAGS = ("-std=gnu11", "-O2", "-static", "-s")


def compiler() -> list[str]:
    """The C compiler of this machine as arguments, an empty list where there is none that links statically."""
    found = shutil.which(os.environ.get("CC") or "cc")
    if found and _links_statically(found):
        return [found]
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else []


def _links_statically(compiler: str) -> bool:
    """Whether the C library's static half is there too: some distributions keep it in a package of its own."""
    command = [compiler, "-static", "-x", "c", "-", "-o", os.devnull]
    source = b"#include <stdlib.h>\nint main(void) { return 0; }"
    return subprocess.run(command, input=source, capture_output=True, check=False).returncode == 0


def compile_machine(root: Path) -> Path:
    """Compile where the program is missing or older than its source. Gives its path."""
    source, program = root / GUEST / "machine.c", root / PROGRAM
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    command = compiler()
    if not command:
        raise SystemExit(
            "No C compiler that links statically: install the Debian packages gcc and libc6-dev, or the Python package "
            "ziglang."
        )
    # zig links musl when told to; there its static programs are whole.
    target = ["-target", f"{os.uname().machine}-linux-musl"] if "ziglang" in command else []
    program.parent.mkdir(exist_ok=True)
    aside = program.with_suffix(f".{os.getpid()}")
    subprocess.run([*command, *target, *FLAGS, "-o", str(aside), str(source)], check=True)
    aside.chmod(0o755)
    aside.replace(program)
    return program


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Hatchling's way in (https://hatch.pypa.io/latest/plugins/build-hook/custom/)."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: a compiler, where the machine has none."""
        return [] if compiler() else ["ziglang>=0.15"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and take the program into a wheel of this platform."""
        if self.target_name != "wheel":
            return
        compile_machine(Path(self.root))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{self._platform()}"
        if version != "editable":
            build_data["force_include"][str(Path(self.root) / PROGRAM)] = "pullwright/guest/bin/machine"

    @staticmethod
    def _platform() -> str:
        # The program is static, so it asks for no C library; the tag names the oldest that pip knows.
        return f"manylinux_2_17_{os.uname().machine}.manylinux2014_{os.uname().machine}"


if __name__ == "__main__":
    sys.stdout.write(f"{compile_machine(Path(__file__).parent)}\n")
