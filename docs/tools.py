"""Writes `docs/tools.md` from the tools themselves: `python docs/tools.py`; `--print` only prints it."""

import asyncio
import sys
from pathlib import Path
from typing import Any, cast

from pullwright.domain.environment import Environment
from pullwright.domain.task import Attempt, EngineChoice, Mode, RepositoryRef, TaskRequest
from pullwright.engines.base import Work
from pullwright.engines.native.tools.base import Context, Tool
from pullwright.engines.native.tools.navigating import Navigation
from pullwright.engines.native.tools.toolbox import Toolbox

INTRODUCTION = """# The native agent's tools

Written by `python docs/tools.py` from the tools themselves; a test keeps it true.

A model is told of each tool in the words below, and of its arguments as a JSON schema. Calls of one answer run side
by side, but for those of tools that run *alone*: these are taken in order, with nothing beside them. *Writes* says
which may have changed files. What a command, a file, a page or a server says comes back between `<data-MARK>` and
`</data-MARK>`, where MARK is drawn by lot for each attempt: nobody who plants text can know it, and text that holds
it anyway cannot close it. A result is cut to head and tail, 10,000 tokens together; the whole is in the log.

**Sessions.** A command that has not ended when `exec_command` returns runs on: `write_stdin` waits for it, types
into it (with `tty`) or ends it, with everything that it started. At most 16 run at once. They end with the work,
and with the machine: after a crash a session's number is unknown, and the model is told why.

**Patches** have their own page: [apply_patch.md](apply_patch.md).

**Instructions.** At the root and in every folder the first of `AGENTS.override.md`, `AGENTS.md` and `CLAUDE.md`
counts. The root's are given at the beginning, a folder's with the first result from below it; together those of a
folder and of the folders above it may have 32 KiB, and a cut is said. Skills (`.agents/skills/*/SKILL.md`) are
listed by name and purpose.

**MCP servers** are named by the repository, in `.pullwright.toml` at the base commit, or with `pullwright run --mcp
NAME=COMMAND`:

```toml
[mcp.docs]
command = "npx -y some-docs-server"
variables = { LEVEL = "2" }
```

They run inside the agent's sandbox, where its own commands run, with no more rights and no more internet: what they
need is installed by the environment's setup. Their tools are called `mcp__NAME__TOOL`; which ones there are is
asked once, when the attempt begins. A server that dies is a result that says so, and is started again at the next
call, three times at most.
"""


async def offered(mode: Mode) -> list[Tool]:
    """All tools of a mode, for a model that sees."""
    request = TaskRequest(
        prompt="x",
        repository=RepositoryRef(location="/x", key="x", name="x"),
        base_commit="0" * 40,
        mode=mode,
        attempts=(EngineChoice(engine="native"),),
    )
    nothing = cast("Any", None)
    attempt = Attempt(id="x-1", task="x", ordinal=1, engine="native", model=None)
    work = Work(request, attempt, Environment(), sandbox=nothing, log=nothing, left=lambda: 0.0)
    toolbox = Toolbox.standard((Navigation(nothing, nothing).tool(),))
    return list((await toolbox.offered(Context(work, 1, sees=True))).values())


def rows(parameters: dict[str, Any]) -> list[str]:
    """The arguments of a tool."""
    needed = parameters.get("required", [])
    said = ["| argument | what |", "|---|---|"]
    for name, about in parameters["properties"].items():
        kind = " or ".join(map(repr, about["enum"])) if "enum" in about else about.get("type", "")
        mark = "" if name in needed else ", optional"
        said.append(f"| `{name}` | {kind}{mark}. {about.get('description', '')} |".replace(". |", ". |"))
    return said


async def page() -> str:
    """The whole page."""
    tools = await offered(Mode.CODE)
    asked = {tool.name for tool in await offered(Mode.ASK)}
    parts = [INTRODUCTION, "| tool | writes | alone | for a question too |", "|---|---|---|---|"]
    for tool in tools:
        marks = ["yes" if mark else "" for mark in (tool.writes, tool.alone, tool.name in asked)]
        parts.append(f"| `{tool.name}` | {' | '.join(marks)} |")
    for tool in tools:
        parts += ["", f"## {tool.name}", "", "```", tool.spec.description, "```", "", *rows(dict(tool.spec.parameters))]
    return "\n".join([*parts, ""])


if __name__ == "__main__":
    text = asyncio.run(page())
    if "--print" in sys.argv:
        sys.stdout.write(text)
    else:
        Path(__file__).with_suffix(".md").write_text(text)
