"""Which ids of this host stand for those of a setup's machine, where its root is to be one."""

import os
import pwd
import shutil
from pathlib import Path

from pullwright.sandbox.findings import LAUNCHER

# A root maps what it likes: ids that neither people, services nor containers are given (systemd.io, UIDS-GIDS).
_ROOTS = "1900000000:1900000000:65535"
_FEWEST = 1000  # system users and groups that packages make
_GRANTS = (Path("/etc/subuid"), Path("/etc/subgid"))


def granted() -> str | None:
    """What may be mapped, as FIRST-UID:FIRST-GID:COUNT; None where nothing is."""
    if os.geteuid() == 0:
        return _ROOTS
    grants = [_grant(path) for path in _GRANTS]
    if None in grants or not (shutil.which("newuidmap") and shutil.which("newgidmap")):
        return None
    (uid, uids), (gid, gids) = (grant for grant in grants if grant)
    count = min(uids, gids, 65535)
    return f"{uid}:{gid}:{count}" if count >= _FEWEST else None


def remedy() -> str:
    """What to do where nothing may be mapped."""
    who = _name()
    install = "" if shutil.which("newuidmap") else "Install the Debian package uidmap, and grant"
    return (
        f"{install or 'Grant'} {who} a range of ids, as root: usermod --add-subuids 100000-165535 --add-subgids "
        f"100000-165535 {who}"
    )


def prefix() -> list[str]:
    """What runs a command as the owner of all that was mapped; nothing where that is not needed or not to be had."""
    ids = None if os.geteuid() == 0 else granted()
    return [str(LAUNCHER), "mapped", ids] if ids else []


def _grant(path: Path) -> tuple[int, int] | None:
    """The largest range that a line of subuid(5) grants this user."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    fields = [line.split(":") for line in lines]
    who = (_name(), str(os.getuid()))
    found = [
        (int(first), int(count))
        for owner, first, count in (line for line in fields if len(line) == 3)
        if owner in who and first.isdecimal() and count.isdecimal()
    ]
    return max(found, key=lambda grant: grant[1], default=None)


def _name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
