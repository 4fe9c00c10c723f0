"""This host's git and bash, lent to images that hold none: each with its own loader and libraries.

Checkouts and checkpoints need git, setup scripts bash; many images have neither. A program that is started through its
own loader needs nothing of the system around it (ld.so(8)). What an image holds itself is found first.
"""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

PLACE = "/opt/pullwright/lent"
PROGRAMS = ("git", "bash")
_LIBRARY = re.compile(r"^\s*(\S+) => (/\S+) \(0x", re.M)
_LOADER = re.compile(r"^\s*(/\S*/ld\S*) \(0x", re.M)


def tools(root: Path) -> Path | None:
    """A directory to show at `PLACE`, made once below `root`; None where this host has none of the programs."""
    found = {name: path for name in PROGRAMS if (path := shutil.which(name, path="/usr/bin:/bin"))}
    if not found:
        return None
    facts = [(path, Path(path).stat().st_mtime_ns, Path(path).stat().st_size) for path in found.values()]
    made = root / "lent" / hashlib.sha256(repr((1, facts)).encode()).hexdigest()[:16]
    if not made.is_dir():
        aside = made.with_name(f".{made.name}.{os.getpid()}")
        shutil.rmtree(aside, ignore_errors=True)
        (aside / "bin").mkdir(parents=True)
        for name, path in found.items():
            _lend(Path(path), aside, name)
        root.joinpath("lent").chmod(0o755)
        try:
            aside.rename(made)
        except OSError:  # another process was faster
            shutil.rmtree(aside, ignore_errors=True)
    return made


def _lend(program: Path, directory: Path, name: str) -> None:
    said = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=30, check=False).stdout
    libraries, loader = _LIBRARY.findall(said), _LOADER.search(said)
    shutil.copy(program, directory / name)
    words = [f"{PLACE}/{name}"]
    if loader:
        (directory / "lib").mkdir(exist_ok=True)
        for library, path in (*libraries, ("loader", loader[1])):
            shutil.copy(path, directory / "lib" / library)
        words = [f"{PLACE}/lib/loader", "--library-path", f"{PLACE}/lib", *words]
    wrapper = directory / "bin" / name
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
    wrapper.chmod(0o755)
