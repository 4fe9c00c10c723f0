"""The only caller of git on the host.

Every call has a clean environment, no prompts, no hooks, no fsmonitor, no background work, a time limit and a bound on
its output; its process group dies with it. It runs in bare stores of ours, or, for a person's own repository, as the
owner of that repository.
"""

import asyncio
import contextlib
import os
import pwd
import re
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pullwright.domain.errors import DiskFull, RepositoryError

TIMEOUT = 120.0
OUTPUT_LIMIT = 256 * 1024 * 1024
_ERROR_KEPT = 64 * 1024
_END_SECONDS = 10.0
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded")

# What a repository's own configuration could use to start programs, to write more than was asked, or to reach out.
_SAFE = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "core.pager": "cat",
    "core.alternateRefsCommand": "true",
    "core.sshCommand": "ssh -o BatchMode=yes",
    "core.multiPackIndex": "true",
    "gc.auto": "0",
    "gc.autoDetach": "false",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "true",
    "protocol.ext.allow": "never",
    "log.showSignature": "false",
    # Ownership is settled before git runs: we run as the owner, and nothing that the configuration names is started.
    "safe.directory": "*",
    "safe.bareRepository": "all",
}


@dataclass(frozen=True)
class Owner:
    """The user to run as in a person's repository, when we are root."""

    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Finished:
    """How a git command ended."""

    code: int  # 128 + n: ended by signal n
    out: bytes
    error: str  # the last of its standard error


@dataclass(frozen=True)
class Call:
    """Where and how a git command runs."""

    directory: Path  # its working directory
    git_dir: Path | None = None  # None: found from the directory
    owner: Owner | None = None  # None: as ourselves
    variables: Mapping[str, str] = field(default_factory=dict)  # on top of the clean environment
    settings: Mapping[str, str] = field(default_factory=dict)  # configuration for this call alone
    ssh: bool = False  # run ssh with these arguments, not git
    personal: bool = False  # read the global configuration of who it runs as: credentials, ignore patterns
    umask: int = -1  # -1: ours
    timeout: float = TIMEOUT
    limit: int = OUTPUT_LIMIT


def owner_of(path: Path) -> Owner | None:
    """The owner of a path as someone to run as; None where that is us, or where we are not root and cannot."""
    if os.geteuid() != 0:
        return None
    status = path.stat()
    if status.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(status.st_uid)
    except KeyError:
        return Owner(status.st_uid, status.st_gid, "/nonexistent")
    return Owner(status.st_uid, entry.pw_gid, entry.pw_dir)


def as_owner(owner: Owner | None, program: str, settings: Mapping[str, str] | None = None) -> str:
    """A shell command that runs git's `program` (upload-pack, receive-pack) on a person's repository as its owner."""
    chosen = [word for key, value in {**_SAFE, **(settings or {})}.items() for word in ("-c", f"{key}={value}")]
    command = ["git", *chosen, program]
    if owner is not None:
        command = ["setpriv", f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups", *command]
    return shlex.join(command)


async def git(call: Call, *arguments: str | bytes, stdin: bytes = b"") -> bytes:
    """Run a git command that must succeed and give its standard output.

    Raises `RepositoryError` with what git said, `DiskFull` where there was no room.
    """
    finished = await attempt(call, *arguments, stdin=stdin)
    check(finished, arguments)
    return finished.out


def _too_slow(arguments: Sequence[str | bytes], timeout: float) -> str:
    return (
        f"git {_verb(arguments)} did not end within {timeout:.0f} s and was stopped. "
        "Look at the machine's load and at the repository's disk or network, then try again."
    )


def _verb(arguments: Sequence[str | bytes]) -> str:
    return next((word for word in arguments if isinstance(word, str) and not word.startswith("-")), "")


def check(finished: Finished, arguments: Sequence[str | bytes]) -> None:
    """Raise what a failed command stands for."""
    if finished.code == 0:
        return
    verb = _verb(arguments)
    said = finished.error.strip() or f"it ended with status {finished.code} and said nothing"
    if _NO_ROOM.search(said):
        raise DiskFull(f"git {verb} found no room left on the disk: {said}. Free some space, then try again.")
    raise RepositoryError(f"git {verb} failed: {said}")


async def attempt(
    call: Call,
    *arguments: str | bytes,
    stdin: bytes | IO[bytes] = b"",
    stdout: IO[bytes] | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run a git command to its end, whatever its exit status.

    `on_line` gets each line of standard error as it comes, a progress line whenever it is redrawn. Raises
    `RepositoryError` at the time limit or the output limit; the whole process group is killed then, and on cancelling.
    """
    process = await _start(call, arguments, stdin, stdout)
    tasks = (
        asyncio.ensure_future(_gather(process.stdout, call.limit)),
        asyncio.ensure_future(_listen(process.stderr, on_line)),
        asyncio.ensure_future(_feed(process.stdin, stdin if isinstance(stdin, bytes) else b"")),
    )
    try:
        async with asyncio.timeout(call.timeout):
            out, said, _ = await asyncio.gather(*tasks)
            code = await process.wait()
    except BaseException as error:
        await _end(process, tasks)
        if isinstance(error, TimeoutError):
            raise RepositoryError(_too_slow(arguments, call.timeout)) from None
        raise
    return Finished(code if code >= 0 else 128 - code, out, said)


async def _start(
    call: Call, arguments: Sequence[str | bytes], stdin: bytes | IO[bytes], stdout: IO[bytes] | None
) -> asyncio.subprocess.Process:
    options: dict[str, Any] = {}
    if call.owner is not None:
        options = {"user": call.owner.uid, "group": call.owner.gid, "extra_groups": []}
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *_command(call),
            *arguments,
            cwd=call.directory,
            env=_environment(call),
            stdin=asyncio.subprocess.PIPE if isinstance(stdin, bytes) else stdin,
            stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            umask=call.umask,
            **options,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Cancelled half way, asyncio would end the process but not what it has started.
        await _end(await starting, ())
        raise
    except FileNotFoundError as error:
        if not call.directory.is_dir():
            raise RepositoryError(f"{call.directory} is not there any more.") from error
        raise RepositoryError("git is not installed. On Debian: `apt install git`.") from error


def _command(call: Call) -> list[str]:
    if call.ssh:
        return ["ssh", "-o", "BatchMode=yes"]
    command = ["git"]
    if call.git_dir is not None:
        command.append(f"--git-dir={call.git_dir}")
    for key, value in {**_SAFE, **call.settings}.items():
        command += ["-c", f"{key}={value}"]
    return command


def _environment(call: Call) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
        "GIT_EDITOR": "false",
        "GIT_PAGER": "cat",
    }
    if call.personal:
        for name in ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL"):
            del environment[name]
        environment["HOME"] = call.owner.home if call.owner else os.environ.get("HOME", "/nonexistent")
        if call.owner is None:
            environment |= {name: os.environ[name] for name in _PERSONAL if name in os.environ}
    return {**environment, **call.variables}


# What reaching a person's remote may need of their own environment.
_PERSONAL = (
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
)


async def _gather(stream: asyncio.StreamReader | None, limit: int) -> bytes:
    if stream is None:
        return b""
    parts = bytearray()
    while piece := await stream.read(256 * 1024):
        parts += piece
        if len(parts) > limit:
            raise RepositoryError(f"git gave more than the {limit} bytes that were allowed for and was stopped.")
    return bytes(parts)


async def _listen(stream: asyncio.StreamReader | None, on_line: Callable[[str], None] | None) -> str:
    assert stream is not None
    kept = bytearray()
    line = b""
    while piece := await stream.read(16 * 1024):
        kept += piece
        del kept[:-_ERROR_KEPT]
        if on_line is not None:
            *lines, line = re.split(rb"[\r\n]+", line + piece)
            for one in lines:
                if one.strip():
                    on_line(one.decode("utf-8", "backslashreplace").strip())
    said = bytes(kept).decode("utf-8", "backslashreplace")
    # Of a progress line that was redrawn only the last state is news.
    return "\n".join(text.rsplit("\r", 1)[-1] for text in said.split("\n"))


async def _feed(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    # Not waited for: cancelling that wait breaks asyncio's own bookkeeping in Python 3.11.
    stream.close()


async def _end(process: asyncio.subprocess.Process, tasks: Sequence[asyncio.Future[Any]]) -> None:
    """Kill the process group and collect the process, whatever is left of them."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The end of a process shows only once its pipes are read empty.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            for stream in (process.stdout, process.stderr):
                while stream is not None and await stream.read(256 * 1024):
                    pass
            await process.wait()
