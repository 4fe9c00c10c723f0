"""`exec_command` and `write_stdin`: commands in the sandbox, and what the model is shown of them."""

import asyncio
import re
import shlex
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field

from pullwright.domain.limits import Limit
from pullwright.domain.task import Mode
from pullwright.engines.base import Piece
from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool
from pullwright.engines.native.tools.patching import patch
from pullwright.engines.native.tools.sessions import Session, Sessions, names
from pullwright.sandbox.base import WORKSPACE, ExecRequest, Sandbox

_LEAST_MS, _MOST_MS = 250, 30_000
_POLL_MOST_MS = 300_000  # waiting for a long command costs a question each time
_TOKENS = 10_000
_BYTES_PER_TOKEN = 4

# A directory that does not exist is the command's failure, not the sandbox's.
_ENTER = 'cd -- "$1" || exit 126; exec bash -c "$2"'

# What programs do for a person at a screen is in a model's way.
_VARIABLES = {"PAGER": "cat", "GIT_PAGER": "cat", "GIT_EDITOR": "true", "NO_COLOR": "1"}

_HEREDOC = re.compile(r"\s*apply_patch\b")


def _command(given: object) -> object:
    """Some models write a command as a list of words, some of them with a shell of its own."""
    if isinstance(given, list) and all(isinstance(word, str) for word in given):
        shell = len(given) == 3 and given[0].rpartition("/")[2] in ("bash", "sh") and given[1] in ("-c", "-lc")
        return given[2] if shell else shlex.join(given)
    return given


_Tokens = Annotated[int, Field(gt=0, description=f"How much output to show; default and most: {_TOKENS}.")]


class ExecArguments(BaseModel):
    """What `exec_command` takes."""

    cmd: Annotated[str, BeforeValidator(_command)] = Field(min_length=1, description="The command line, for bash.")
    workdir: str | None = Field(None, description="Where to run it; default: the repository's root.")
    tty: bool = Field(False, description="Give it a terminal; only then can it be written to.")
    yield_time_ms: int = Field(
        10_000, description=f"How long to wait for its end, {_LEAST_MS} to {_MOST_MS}; it then runs on as a session."
    )
    timeout_ms: int | None = Field(None, gt=0, description="Kill it after so long; default: the attempt's end.")
    max_output_tokens: _Tokens = _TOKENS


class WriteArguments(BaseModel):
    """What `write_stdin` takes."""

    session_id: int = Field(description="As `exec_command` gave it.")
    chars: str = Field("", description="What to type; \\u0003 interrupts, empty only waits.")
    yield_time_ms: int | None = Field(
        None,
        description=f"How long to wait: default {_LEAST_MS}, at most {_MOST_MS} after typing; "
        f"default {_MOST_MS}, at most {_POLL_MOST_MS} where `chars` is empty. Its end is told at once.",
    )
    end: bool = Field(False, description="Kill the command and everything it started.")
    max_output_tokens: _Tokens = _TOKENS


class Commands:
    """The two tools, and the sessions of every living sandbox."""

    def __init__(self) -> None:
        self._sessions = Sessions()

    async def tools(self, _: Context) -> Sequence[Tool]:
        """`exec_command` and `write_stdin`."""
        return (
            tool(
                "exec_command",
                "Run a shell command. Gives exit code, wall time and output, of long output the head and the tail. A "
                "command that has not ended within `yield_time_ms` runs on as a session, whose id is given. Calls in "
                "one answer run side by side: join what depends on each other with `&&`.",
                ExecArguments,
                self._exec,
                writes=True,
            ),
            tool(
                "write_stdin",
                "Type into a session of `exec_command`, or wait for it, or end it. Gives what it has printed since.",
                WriteArguments,
                self._write,
                writes=True,
            ),
        )

    def busy(self, sandbox: Sandbox) -> bool:
        """Whether a command still runs there."""
        return any(session.running for session in self._sessions.living(sandbox).values())

    async def end(self, sandbox: Sandbox) -> None:
        """End all commands that still run there."""
        await self._sessions.end(sandbox)

    async def close(self) -> None:
        """End all commands anywhere."""
        await self._sessions.close()

    async def _exec(self, context: Context, asked: ExecArguments) -> Result:
        work = context.work
        command = text_of(asked.cmd).replace("\0", "")
        if work.request.mode is Mode.CODE and _HEREDOC.match(command) and "*** Begin Patch" in command:
            return await patch(context, command)
        folder = _folder(text_of(asked.workdir or ""))
        left = max(work.left(), 1.0)
        request = ExecRequest(
            argv=("bash", "-c", _ENTER, "bash", folder, command),
            variables=_VARIABLES if asked.tty else {**_VARIABLES, "TERM": "dumb"},
            timeout=min(asked.timeout_ms / 1000, left) if asked.timeout_ms else left,
        )
        session = await self._sessions.start(work.sandbox, context.turn, request, command, tty=asked.tty)
        seconds = min(max(asked.yield_time_ms, _LEAST_MS), _MOST_MS) / 1000
        return await self._look(context, session, seconds, asked.max_output_tokens, (_place(folder),))

    async def _write(self, context: Context, asked: WriteArguments) -> Result:
        sandbox = context.work.sandbox
        living = self._sessions.living(sandbox)
        session = living.get(asked.session_id)
        if session is None:
            return Result(
                f"There is no session {asked.session_id}: its end was told, or the machine it ran on was lost, and "
                f"everything running with it. Sessions here: {names(list(living.values()))}. "
                "Start the command again if it is still needed.",
                failed=True,
                writes=False,
            )
        chars = text_of(asked.chars)
        if asked.end or (chars == "\x03" and not session.tty):
            await session.end()
        elif chars and session.running:
            if not session.tty:
                return Result(
                    f"Session {session.number} has no terminal and reads nothing. Start the command with `tty` to "
                    "type into it, or feed it with `<<` or a file.",
                    failed=True,
                )
            await session.process.send(chars.encode())
        if chars:
            asked_for, default, most = asked.yield_time_ms, _LEAST_MS, _MOST_MS
        else:
            asked_for, default, most = asked.yield_time_ms, _MOST_MS, _POLL_MOST_MS
        seconds = min(max(asked_for or default, _LEAST_MS), most) / 1000
        return await self._look(context, session, seconds, asked.max_output_tokens, ())

    async def _look(
        self, context: Context, session: Session, seconds: float, tokens: int, places: tuple[str, ...]
    ) -> Result:
        """Wait for a session and tell what has come of it."""
        session.listen(lambda text: context.work.reveal(Piece("output", text, call=context.call)))
        try:
            output = await session.rest(seconds)
        finally:
            session.listen(None)
        if not session.running:
            self._sessions.forget(context.work.sandbox, session)
        hits = _hits(context.work.sandbox, session)
        return Result(
            f"{_state(session)}{hits}\nWall time: {session.seconds:.1f} seconds\nOutput:",
            data=output.decode(errors="replace"),
            failed=not session.running and session.exit_code != 0,
            shown=min(tokens, _TOKENS) * _BYTES_PER_TOKEN,
            places=places,
        )


def _folder(workdir: str) -> str:
    if not workdir:
        return WORKSPACE
    return workdir if workdir.startswith("/") else f"{WORKSPACE}/{workdir}"


def _place(folder: str) -> str:
    return folder.removeprefix(WORKSPACE).strip("/") if folder.startswith(WORKSPACE) else ""


# What a model can mend; of its own timeouts and of output that was left out it is told in other words.
_TOLD = (Limit.MEMORY, Limit.PROCESSES, Limit.DISK, Limit.INODES)


def _hits(sandbox: Sandbox, session: Session) -> str:
    """The sandbox's limits that were run into since the session was last looked at, one line each."""
    since, session.looked = session.looked, asyncio.get_running_loop().time()
    reasons = dict.fromkeys(hit.reason for hit in sandbox.limits_hit(since) if hit.limit in _TOLD)
    return "".join(f"\nA limit was reached: {reason}." for reason in reasons)


def _state(session: Session) -> str:
    if session.running:
        return f"Still running, as session {session.number}. `write_stdin` waits for it, types into it or ends it."
    if session.timed_out:
        return f"Timed out after {session.timeout:g} seconds; the command and everything it started was ended."
    code = session.exit_code or 0
    return f"Exit code: {code}" + (f" (ended by signal {code - 128})" if code > 128 else "")
