"""The tools that a model has, and what comes of its calls. What a model can mend goes back to it as a result."""

import asyncio
import json
import re
import shlex
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.domain.task import Mode
from pullwright.engines.base import Work
from pullwright.engines.native.edit import apply_patch
from pullwright.engines.native.patch import PatchError
from pullwright.engines.native.shell import DEFAULT_SECONDS, MOST_SECONDS, SHOWN, execute
from pullwright.models.base import ToolCall, ToolSpec

FINISH = "finish"


def _command(given: object) -> object:
    """Some models write a command as a list of words, some of them with a shell of its own."""
    if isinstance(given, list) and all(isinstance(word, str) for word in given):
        shell = len(given) == 3 and given[0].rpartition("/")[2] in ("bash", "sh") and given[1] in ("-c", "-lc")
        return given[2] if shell else shlex.join(given)
    return given


class ExecArguments(BaseModel):
    """What `exec_command` takes."""

    cmd: Annotated[str, BeforeValidator(_command)] = Field(min_length=1)
    workdir: str | None = None
    timeout_ms: int | None = Field(None, gt=0)


class PatchArguments(BaseModel):
    """What `apply_patch` takes."""

    patch: str


class FinishArguments(BaseModel):
    """What `finish` takes."""

    summary: str = Field(min_length=1)


_EXEC = ToolSpec(
    "exec_command",
    "Run a shell command (bash, not interactive) and wait for its end. Gives exit code, wall time and output; of long "
    f"output the head and the tail, {SHOWN // 1024} KiB together.",
    {
        "type": "object",
        "properties": {
            "cmd": {"type": "string", "description": "The command line."},
            "workdir": {"type": "string", "description": "Where to run it; default: the repository's root."},
            "timeout_ms": {
                "type": "integer",
                "description": f"Default {DEFAULT_SECONDS * 1000:.0f}, at most {MOST_SECONDS * 1000:.0f}.",
            },
        },
        "required": ["cmd"],
        "additionalProperties": False,
    },
)

_PATCH = ToolSpec(
    "apply_patch",
    """Change files. All or nothing; paths are relative to the repository's root. The format:
*** Begin Patch
*** Update File: path/of/file.py
@@ def function_above_the_change():
 a line of context
-a line to take out
+a line to put in
 a line of context
*** Add File: path/of/new.py
+every line of it
*** Delete File: path/of/old.py
*** End Patch
Give 3 lines of context around each change, exactly as in the file; `@@ line` names an earlier line where that is not \
unique. Several hunks per file go in the file's order. `*** Move to: path` right below `*** Update File` renames it.""",
    {
        "type": "object",
        "properties": {"patch": {"type": "string", "description": "From `*** Begin Patch` to `*** End Patch`."}},
        "required": ["patch"],
        "additionalProperties": False,
    },
)

_FINISH = ToolSpec(
    FINISH,
    "End the work, once the task is done or cannot be done.",
    {
        "type": "object",
        "properties": {"summary": {"type": "string", "description": "For the reviewer; or the answer to a question."}},
        "required": ["summary"],
        "additionalProperties": False,
    },
)

_HEREDOC = re.compile(r"\s*apply_patch\b")


@dataclass(frozen=True)
class Result:
    """What a call gave: text for the model, and the summary where it was a `finish` that counts."""

    text: str
    failed: bool = False
    summary: str | None = None


def offered(mode: Mode) -> tuple[ToolSpec, ...]:
    """The tools for a mode."""
    return (_EXEC, _FINISH) if mode is Mode.ASK else (_EXEC, _PATCH, _FINISH)


def arguments_of(call: ToolCall) -> dict[str, Any] | None:
    """A call's arguments; None where they are no JSON object."""
    try:
        parsed = json.loads(call.arguments or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


async def run(work: Work, call: ToolCall, arguments: dict[str, Any] | None) -> Result:
    """Run one call. Raises `SandboxLost`; whatever else goes wrong is a result."""
    names = [tool.name for tool in offered(work.request.mode)]
    if call.name not in names:
        return Result(f"There is no tool {call.name!r}. The tools are {', '.join(names)}.", failed=True)
    if arguments is None:
        return Result(
            f"The arguments of {call.name} are not one JSON object (perhaps they were cut short). Nothing was run. "
            "Send the call again with valid JSON; if it was long, in smaller parts.",
            failed=True,
        )
    try:
        return await _run(work, call.name, arguments)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}"
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        )
        return Result(f"The arguments of {call.name} do not fit: {wrong}. Nothing was run.", failed=True)
    except PatchError as error:
        return Result(f"The patch was not applied; no file was changed. {error}", failed=True)
    except SandboxLost:
        raise
    except SandboxError as error:
        return Result(f"It could not be run: {error}", failed=True)


async def _run(work: Work, name: str, arguments: dict[str, Any]) -> Result:
    if name == FINISH:
        return Result("Finished.", summary=_text(FinishArguments.model_validate(arguments).summary).strip() or "Done.")
    if name == "apply_patch":
        return Result(await apply_patch(work.sandbox, PatchArguments.model_validate(arguments).patch))
    asked = ExecArguments.model_validate(arguments)
    command = _text(asked.cmd).replace("\0", "")
    if work.request.mode is Mode.CODE and _HEREDOC.match(command) and "*** Begin Patch" in command:
        return Result(await apply_patch(work.sandbox, command))
    left = work.deadline - asyncio.get_running_loop().time()
    seconds = min((asked.timeout_ms or DEFAULT_SECONDS * 1000) / 1000, MOST_SECONDS, max(left, 1.0))
    text, failed = await execute(work.sandbox, command, _text(asked.workdir or ""), seconds)
    return Result(text, failed=failed)


def _text(given: str) -> str:
    """Without what is no Unicode text: half a surrogate pair can be spelled in JSON."""
    return given.encode("utf-8", "replace").decode()
