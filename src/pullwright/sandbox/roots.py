"""Trees that sandboxes have as their root: what must be in them to build a wall on, and the one for this host's tools.

Such a tree was written by somebody else: an image, or a setup. A mount point that is a link would lead the wall out of
it. So the places of mount points are plain directories before anything is mounted, and no link is followed on the way.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from pullwright.domain.errors import ImageUnavailable
from pullwright.sandbox import etc
from pullwright.sandbox.base import HOME

PLACES = (
    "etc", "usr", "dev", "proc", "run", "tmp", "var/tmp", "var/lib", "workspace", "home/agent", "opt/env",
    "opt/pullwright",
)  # fmt: skip
_FIRST_PERSON = 1000  # below are the ids of services (Debian policy, 9.2.2)
_MOST_PEOPLE = 1024 * 1024  # bytes of a passwd or group file
_AGENT = {"passwd": f"agent:x:1000:1000:agent:{HOME}:", "group": "agent:x:1000:"}
_SHELLS = ("bin/bash", "usr/bin/bash")

# Of this host's /etc, what package managers and the scripts of packages need besides; nothing that names people.
_PACKAGES = (
    "apt/apt.conf", "apt/apt.conf.d", "apt/keyrings", "apt/preferences", "apt/preferences.d", "apt/sources.list",
    "apt/sources.list.d", "apt/trusted.gpg", "apt/trusted.gpg.d", "dpkg", "debconf.conf", "adduser.conf",
    "deluser.conf", "login.defs", "pam.conf", "pam.d", "security", "shells", "skel", "default/useradd", "dnf",
    "yum.conf", "yum.repos.d", "pacman.conf", "pacman.d", "apk", "zypp",
)  # fmt: skip
_EMPTY = (
    "root", "srv", "mnt", "media", "var/log/apt", "var/cache/apt/archives/partial", "var/cache/debconf",
    "var/lib/apt/lists/partial", "var/lib/pam", "var/spool", "var/backups", "var/lib/misc",
)  # fmt: skip
# Host directories that setup's root may write to, each through an overlay of its own, and the layers' part for it.
HOST_TREES = {"usr": Path("/usr"), "dpkg": Path("/var/lib/dpkg"), "rpm": Path("/var/lib/rpm")} | {
    name: Path("/", name) for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
}


def host_trees() -> dict[str, Path]:
    """Those of them that this host has as directories of their own."""
    return {part: path for part, path in HOST_TREES.items() if path.is_dir() and not path.is_symlink()}


def fit(root: Path) -> None:
    """Make a tree fit to be a root: places for what is mounted, and the few files that the sandbox has of its own.

    Nothing runs in it any more. Raises `ImageUnavailable` where it holds no shell.
    """
    if not any(_lexists(root, place) for place in ("bin/sh", "usr/bin/sh")):
        raise ImageUnavailable("the image has no /bin/sh, without which nothing can be set up or checked in it")
    root.chmod(0o755)
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for place in PLACES:
            os.close(_directory(top, place))
        config = _directory(top, "etc")
        try:
            for name, agent in _AGENT.items():
                _write(config, name, _people(_read(config, name), agent + (_shell(root) if name == "passwd" else "")))
            for name, text in etc.OWN.items():
                if name not in _AGENT and not (name == "nsswitch.conf" and _read(config, name)):
                    _write(config, name, text)
        finally:
            os.close(config)
    finally:
        os.close(top)


def check(root: Path) -> None:
    """Raise `ImageUnavailable` where a layer upon such a tree has put something else in the place of a mount point."""
    for place in PLACES:
        path = root
        for name in place.split("/"):
            path /= name
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                break
            if not stat.S_ISDIR(mode):
                raise ImageUnavailable(
                    f"setup has replaced /{path.relative_to(root)}, where the sandbox mounts its own"
                )


def host_root(make: Callable[[str, Callable[[Path], None]], str], host: Path = Path("/etc")) -> str:
    """The tree that lies above this host's own tools where setup is root; `make` gives a layer its name and content."""
    names = [*etc.names(host), *(name for name in _PACKAGES if (host / name).exists())]
    facts = [(name, (host / name).stat().st_mtime_ns) for name in (*names, *_AGENT)]
    digest = hashlib.sha256(repr((2, facts, sorted(host_trees()))).encode()).hexdigest()

    def fill(root: Path) -> None:
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if Path("/", name).is_symlink():
                (root / name).symlink_to(Path("/", name).readlink())
        for place in (*PLACES, *_EMPTY, *(str(path).lstrip("/") for path in host_trees().values())):
            (root / place).mkdir(parents=True, exist_ok=True)
        (root / "var/run").symlink_to("/run")
        for name in names:
            _copy(host / name, root / "etc" / name)
        for name, text in etc.OWN.items():
            kept = _services(host / name, _AGENT[name]) if name in _AGENT else text
            (root / "etc" / name).write_text(kept)

    return make(digest[:24], fill)


def has_bash(root: Path) -> bool:
    """Whether the tree seems to hold bash."""
    return any(_lexists(root, place) for place in _SHELLS)


def _shell(root: Path) -> str:
    return "/bin/bash" if has_bash(root) else "/bin/sh"


def _copy(source: Path, target: Path) -> None:
    """What anybody may read of it; links are copied as links."""
    target.parent.mkdir(parents=True, exist_ok=True)

    def closed(directory: str, names: list[str]) -> list[str]:
        return [name for name in names if not _open_to_all(Path(directory, name))]

    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, ignore=closed, dirs_exist_ok=True)
    elif _open_to_all(source):
        shutil.copy2(source, target, follow_symlinks=True)


def _open_to_all(path: Path) -> bool:
    facts = path.lstat()
    kind = stat.S_IFMT(facts.st_mode)
    return kind == stat.S_IFLNK or (kind in (stat.S_IFREG, stat.S_IFDIR) and bool(facts.st_mode & stat.S_IROTH))


def _lexists(root: Path, place: str) -> bool:
    """Whether there is something, where directories on the way may be links within the tree."""
    path, names = root, place.split("/")
    for name in names[:-1]:
        path /= name
        if path.is_symlink():
            path = root / os.readlink(path).lstrip("/")  # noqa: PTH115 - it may begin with a slash
    return os.path.lexists(path / names[-1])


def _directory(top: int, place: str) -> int:
    """A directory below `top`, open; whatever else has its name is taken away. The caller closes it."""
    at = os.dup(top)
    for name in place.split("/"):
        try:
            mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
            if not stat.S_ISDIR(mode):
                os.unlink(name, dir_fd=at)
                os.mkdir(name, 0o755, dir_fd=at)
            elif mode & 0o700 != 0o700:
                os.chmod(name, mode | 0o700, dir_fd=at)
        except FileNotFoundError:
            os.mkdir(name, 0o755, dir_fd=at)
        below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
        os.close(at)
        at = below
    return at


def _read(directory: int, name: str) -> str:
    """A plain file's text; nothing where it is no plain file."""
    with contextlib.suppress(OSError):
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        with os.fdopen(file, "rb") as opened:
            if stat.S_ISREG(os.fstat(file).st_mode):
                return opened.read(_MOST_PEOPLE).decode("utf-8", "replace")
    return ""


def _write(directory: int, name: str, text: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            raise ImageUnavailable(f"the image has a directory /etc/{name}")
        os.unlink(name, dir_fd=directory)
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=directory)
    with os.fdopen(file, "w") as opened:
        opened.write(text)


def _services(file: Path, agent: str) -> str:
    """The users or groups of a host that packages have made, for whom package managers look; no person among them."""
    kept = []
    for line in file.read_text().splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdecimal() and int(fields[2]) < _FIRST_PERSON:
            kept.append(":".join(fields[:3] + ([""] if len(fields) == 4 else fields[3:])))
    return _people("\n".join(kept), agent + ("/bin/bash" if "/" in agent else ""))


def _people(text: str, agent: str) -> str:
    """A passwd or group file in which `agent` is who has 1000."""
    kept = []
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= 3 and fields[0] != "agent" and fields[2] != "1000":
            kept.append(line)
    if not any(line.startswith("root:") for line in kept):
        kept.insert(0, "root:x:0:0:root:/root:/bin/sh" if "/" in agent else "root:x:0:")
    return "\n".join([*kept, agent]) + "\n"
