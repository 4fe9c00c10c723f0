"""What this machine offers, and the remedy for what is missing."""

import contextlib
import os
import re
import shutil
from pathlib import Path

import pullwright
from pullwright.sandbox.base import Finding
from pullwright.sandbox.limits import Cgroups

LAUNCHER = Path(pullwright.__file__).with_name("guest") / "bin/machine"

# Switches that forbid user namespaces to ordinary users: what they must not be, and how they are set.
_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
    ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
)
_DOCKER = (
    "Inside Docker, start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined"
)
OLDEST_KERNEL = (5, 12)


def bubblewrap() -> str:
    """Where bubblewrap is, or should be."""
    return shutil.which("bwrap") or "/usr/bin/bwrap"


def look_around(limits: Cgroups) -> list[Finding]:
    """What can be told without starting anything."""
    return [
        _present(
            "bubblewrap",
            Path(bubblewrap()),
            "Install the Debian package bubblewrap (as root: apt-get install bubblewrap)",
        ),
        _present("launcher", LAUNCHER, "Build it: scripts/demo does so from a clone, or python3 hatch_build.py"),
        _kernel(),
        _namespaces(),
        Finding("limits", True, limits.words()),
    ]


def remedy(said: str) -> str:
    """What to do about what a launcher said when it could not go on."""
    switch = _switch()
    if switch:
        return f"Ask for `{switch}` as root. {_DOCKER}"
    if "unshare" in said or "uid_map" in said or "Operation not permitted" in said:
        return f"This machine forbids user namespaces. {_DOCKER}"
    if "overlay" in said:
        return "The data directory's file system cannot carry layers; set PULLWRIGHT_HOME to one on ext4, xfs or tmpfs"
    return "`pullwright doctor` shows what this machine offers"


def _present(subject: str, path: Path, remedy: str) -> Finding:
    there = os.access(path, os.X_OK)
    return Finding(subject, there, str(path) if there else f"{path} is missing", "" if there else remedy)


def _kernel() -> Finding:
    release = os.uname().release
    numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    oldest = ".".join(str(part) for part in OLDEST_KERNEL)
    ok = numbers >= OLDEST_KERNEL
    return Finding("kernel", ok, f"Linux {release}", "" if ok else f"Layers need Linux {oldest} or newer")


def _switch() -> str | None:
    for name, forbidden, command in _SWITCHES:
        if os.geteuid() == 0 and name != "user/max_user_namespaces":
            continue
        with contextlib.suppress(OSError):
            if Path("/proc/sys", name).read_text().strip() == forbidden:
                return command
    return None


def _namespaces() -> Finding:
    if switch := _switch():
        return Finding(
            "namespaces", False, "user namespaces are forbidden here", f"Ask for `{switch}` as root. {_DOCKER}"
        )
    return Finding("namespaces", True, "user namespaces are allowed")
