"""What `docs/attacks.py` attacks: files, processes and servers of its own, and what a host does with a workspace."""

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pullwright.domain.errors import PullwrightError
from pullwright.repos import checkpoints
from pullwright.repos.bare import BareStore
from pullwright.sandbox.base import ExecRequest, Sandbox

OUTPUT = 64 * 1024  # bytes that are kept of an endless one
SECONDS = 60.0
SETUID = "PULLWRIGHT_ATTACKS_ID"  # where root has left an id(1) of its own

Taken = str | None


@dataclass(frozen=True)
class World:
    """What is attacked."""

    folder: Path
    target: dict[str, str]
    inherited: int  # a descriptor that a careless program left open
    store: BareStore  # of a repository, with nothing in it but a commit
    base: str


@dataclass(frozen=True)
class Trick:
    """An attack on what the host does with a workspace: naively, and as the platform does it."""

    kind: str
    name: str
    without: Callable[[World, Path], Awaitable[Taken]]
    inside: Callable[[World, Sandbox], Awaitable[Taken]]


# ---- what is attacked


def set_user_id(folder: Path) -> Path:
    """A program that runs as its owner."""
    program = Path(shutil.copy("/usr/bin/id", folder / "id"))
    program.chmod(0o4755)
    return program


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """Files of somebody's, processes with secrets, servers; gone afterwards."""
    value = f"OF_VALUE={secrets.token_hex(8)}"
    for name in ("home/.ssh/id_ed25519", "home/notes.txt", "data/secrets.key", "others/workspace/main.py", "left-open"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    (folder / "outside").mkdir()
    setuid = os.environ.get(SETUID) or str(set_user_id(folder))
    ours, theirs = socket.socketpair()
    sleeping = {"env": {"OF_VALUE": value.partition("=")[2]}, "stdin": subprocess.DEVNULL}
    victim = subprocess.Popen(["sleep", "300"], **sleeping)  # type: ignore[call-overload]
    watcher = subprocess.Popen(["sleep", "300"], pass_fds=(theirs.fileno(),), **sleeping)  # type: ignore[call-overload]
    inherited = os.open(folder / "left-open", os.O_RDONLY)
    abstract = f"pullwright-{secrets.token_hex(4)}"
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, inherited)
        for process in (victim, watcher):
            stack.callback(process.wait)
            stack.callback(process.kill)
        stack.enter_context(ours)
        stack.enter_context(theirs)
        port = stack.enter_context(_serving(socket.AF_INET, ("127.0.0.1", 0), value)).getsockname()[1]
        stack.enter_context(_serving(socket.AF_UNIX, str(folder / "docker.sock"), value))
        stack.enter_context(_serving(socket.AF_UNIX, "\0" + abstract, value))
        with contextlib.suppress(OSError):  # only root has made the address
            stack.enter_context(_serving(socket.AF_INET, ("169.254.169.254", port), value))
        with contextlib.suppress(OSError):
            stack.enter_context(_answering(value))
        target = {
            "home": str(folder / "home"), "workspace": str(folder / "others/workspace/main.py"),
            "data": str(folder / "data/secrets.key"), "outside": str(folder / "outside"), "victim": str(victim.pid),
            "watcher": str(watcher.pid), "socket": str(folder / "docker.sock"), "abstract": abstract, "port": str(port),
            "setuid": setuid, "disk": _disk(), "tmp": str(folder), "hold": "0.2",
        }  # fmt: skip
        yield World(folder, target, inherited, *_store(folder))


def _store(folder: Path) -> tuple[BareStore, str]:
    store = BareStore(folder / "store.git", "attacked")
    who = ("-c", "user.name=A", "-c", "user.email=a@localhost")

    def git(*words: str, text: str = "") -> str:
        done = subprocess.run(["git", *who, *words], input=text, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    git("init", "-q", "--bare", str(store.path))
    at = ("-C", str(store.path))
    blob = git(*at, "hash-object", "-w", "--stdin", text="first\n")
    tree = git(*at, "mktree", text=f"100644 blob {blob}\tfile.txt\n")
    return store, git(*at, "commit-tree", "-m", "x", tree)


@contextlib.contextmanager
def _serving(family: int, address: str | tuple[str, int], value: str) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(address)
        server.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    client.sendall(value.encode())
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server
        server.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _answering(value: str) -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    _, client = server.recvfrom(512)
                    server.sendto(value.encode(), client)

        threading.Thread(target=answer, daemon=True).start()
        yield


def _disk() -> str:
    """The block device below the root directory, where it has a name."""
    for line in Path("/proc/mounts").read_text().splitlines():
        device, place = line.split()[:2]
        if place == "/" and device.startswith("/dev/"):
            return device
    return "/dev/vda"


# ---- attacks on what the host does with a workspace

_PLANT = r"""
set -e
git init -q -b main . 2>/dev/null
git config user.name A; git config user.email a@localhost
printf '#!/bin/sh\necho planted >>"%s"\nexit 0\n' "$1" >.git/run; chmod +x .git/run
case $2 in
configuration) git config core.fsmonitor "$PWD/.git/run" ;;
attributes) git config filter.x.clean "$PWD/.git/run; cat"; echo '* filter=x' >.gitattributes ;;
hooks) mkdir -p .git/hooks; cp .git/run .git/hooks/post-index-change; cp .git/run .git/hooks/pre-commit ;;
esac
echo text >file.txt
"""


def _planted(how: str) -> Trick:
    async def without(at: World, tree: Path) -> Taken:
        marker = at.folder / f"ran-{how}"
        await _host("sh", "-c", _PLANT, "sh", str(marker), how, cwd=tree)
        for words in (("status",), ("add", "-A"), ("commit", "-qm", "x")):
            await _host("git", *words, cwd=tree)
        return "it ran" if marker.exists() else None

    async def inside(at: World, sandbox: Sandbox) -> Taken:
        marker = at.folder / f"ran-{how}-inside"
        await _inside(sandbox, *checkpoints.checkout_command(at.base))
        await _inside(sandbox, "sh", "-c", _PLANT, "sh", str(marker), how)
        captured = await _inside(sandbox, *checkpoints.capture_command())
        taken = await checkpoints.take_in(at.store, f"{how}/1", captured, at.base, "x")
        assert await at.store.read(taken.commit, "file.txt") == b"text\n"
        return "it ran" if marker.exists() else None

    return Trick("git", f"run a program on the host by planted git {how}", without, inside)


async def _host(*words: str, cwd: Path) -> str:
    environment = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    process = await asyncio.create_subprocess_exec(
        *words, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    return said.decode().strip()


async def _write_naively(at: World, tree: Path) -> Taken:
    (tree / "link").symlink_to(at.folder / "outside")
    (tree / "link/written").write_text("x")
    return "written" if (at.folder / "outside/written").exists() else None


async def _write_inside(at: World, sandbox: Sandbox) -> Taken:
    place = at.folder / "outside/written-inside"
    await sandbox.run(ExecRequest(argv=("ln", "-sfn", str(place.parent), "link")))
    for path in ("/workspace/link/written-inside", f"/workspace/../{place}"):
        with contextlib.suppress(PullwrightError):
            await sandbox.write(path, b"x")
    return "written" if place.exists() else None


async def _read_naively(at: World, tree: Path) -> Taken:
    (tree / "notes").symlink_to(at.folder / "home/notes.txt")
    return (tree / "notes").read_text()


async def _read_inside(at: World, sandbox: Sandbox) -> Taken:
    await sandbox.run(ExecRequest(argv=("ln", "-sfn", str(at.folder / "home/notes.txt"), "notes")))
    for path in ("/workspace/notes", "/workspace/../../../.." + str(at.folder / "home/notes.txt")):
        with contextlib.suppress(PullwrightError, FileNotFoundError):
            return (await sandbox.read(path)).decode()
    return None


async def _submodule_naively(at: World, tree: Path) -> Taken:
    """Whether plain git takes in a tree whose submodule's name leads out of `.git/modules`."""
    await _evil_tree(tree)
    await _host("git", "clone", "-q", "--bare", str(tree), str(at.folder / "clone.git"), cwd=at.folder)
    return await _host("git", "show", "HEAD:.gitmodules", cwd=at.folder / "clone.git") or None


async def _evil_tree(tree: Path) -> None:
    await _host("git", "init", "-q", "-b", "main", ".", cwd=tree)
    (tree / ".gitmodules").write_text('[submodule "../../outside"]\n\tpath = m\n\turl = https://x.test/m\n')
    identity = ("-c", "user.name=A", "-c", "user.email=a@localhost")
    for words in (("add", "-A"), (*identity, "commit", "-qm", "x")):
        await _host("git", *words, cwd=tree)


async def _submodule_inside(at: World, sandbox: Sandbox) -> Taken:
    text = '[submodule "../../outside"]\\n\\tpath = m\\n\\turl = https://x.test/m\\n'
    await _inside(sandbox, *checkpoints.checkout_command(at.base))
    await _inside(sandbox, "sh", "-c", f"printf '{text}' >.gitmodules")
    captured = await _inside(sandbox, *checkpoints.capture_command())
    taken = await checkpoints.take_in(at.store, "submodule/1", captured, at.base, "x")
    return f"taken in as {taken.tree}"


async def _inside(sandbox: Sandbox, *argv: str) -> bytes:
    result = await sandbox.run(ExecRequest(argv=argv, output_limit=checkpoints.MAX_BYTES))
    if result.exit_code != 0:
        raise AssertionError(result.stderr.decode(errors="replace"))
    return result.stdout


_FLOOD = "head -c 20000000 /dev/zero"


async def _flood_naively(_: World, tree: Path) -> Taken:
    said = await _host("sh", "-c", _FLOOD, cwd=tree)
    return f"{len(said)} bytes kept" if len(said) > OUTPUT else None


async def _flood_inside(_: World, sandbox: Sandbox) -> Taken:
    result = await sandbox.run(ExecRequest(argv=("sh", "-c", _FLOOD), output_limit=OUTPUT))
    kept = len(result.stdout) + len(result.stderr)
    return f"{kept} bytes kept" if kept > 2 * OUTPUT else None


_OUTLIVE = "(setsid sh -c 'exec sleep 97.5' >/dev/null 2>&1 &) ; sleep 50"


async def _outlive_naively(_: World, tree: Path) -> Taken:
    process = await asyncio.create_subprocess_exec("sh", "-c", _OUTLIVE, cwd=tree, start_new_session=True)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.5)
    os.killpg(process.pid, 9)
    await process.wait()
    left = [pid for pid in _pids() if _words(pid) == b"sleep\x0097.5\0" and _owner(pid) == os.geteuid()]
    for pid in left:
        os.kill(pid, 9)
    return f"{len(left)} process lives on" if left else None


async def _outlive_inside(_: World, sandbox: Sandbox) -> Taken:
    await sandbox.run(ExecRequest(argv=("sh", "-c", _OUTLIVE), timeout=0.5))
    seen = await sandbox.run(ExecRequest(argv=("sh", "-c", "cat /proc/[0-9]*/cmdline | grep -c '[9]7.5'")))
    return None if seen.stdout.strip() == b"0" else "it lives on"


def _pids() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]


def _owner(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}").stat().st_uid
    return None


def _words(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


TRICKS = (
    Trick("files", "make the host write through a link of the workspace", _write_naively, _write_inside),
    Trick("files", "make the host read through a link of the workspace, or `..`", _read_naively, _read_inside),
    _planted("configuration"),
    _planted("attributes"),
    _planted("hooks"),
    Trick("git", "hand over a submodule whose name leads out", _submodule_naively, _submodule_inside),
    Trick("resources", "print without end", _flood_naively, _flood_inside),
    Trick("resources", "outlive the command's end", _outlive_naively, _outlive_inside),
)
