"""The tools on offer, and what comes of a call to one of them. What a model can mend goes back to it as a result."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import ValidationError

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.engines.base import Work
from pullwright.engines.native.fence import fenced
from pullwright.engines.native.instructions import Instructions
from pullwright.engines.native.tools.asking import asking
from pullwright.engines.native.tools.base import Context, Result, Tool
from pullwright.engines.native.tools.commands import Commands
from pullwright.engines.native.tools.ending import ending
from pullwright.engines.native.tools.patching import patching
from pullwright.engines.native.tools.pictures import pictures
from pullwright.engines.native.tools.planning import planning
from pullwright.engines.native.tools.searching import searching
from pullwright.engines.native.tools.servers import Servers
from pullwright.models.base import ToolCall
from pullwright.sandbox.base import Sandbox

Introduce = Callable[[Work, str], Awaitable[str]]
"""What the model is told of the repository before the task, data within the given mark; empty for nothing."""


async def _nothing(_: Work, __: str) -> str:
    return ""


class Family(Protocol):
    """Tools that share something that lives in a sandbox, or that are only known once one runs.

    They keep it by sandbox, in memory: after a crash it is gone, and the model is told so when it asks for it.
    """

    async def tools(self, context: Context) -> Sequence[Tool]:
        """Its tools for an attempt, the same at every turn: else a provider's cache of the conversation is lost."""
        ...

    def busy(self, sandbox: Sandbox) -> bool:
        """Whether something of it runs there by itself and may change files between two calls."""
        ...

    async def end(self, sandbox: Sandbox) -> None:
        """End what it has running there."""
        ...

    async def close(self) -> None:
        """End what it has running anywhere."""
        ...


class Toolbox:
    """All tools of the native engine; one for the whole process."""

    def __init__(
        self, tools: Sequence[Tool] = (), families: Sequence[Family] = (), introduce: Introduce | None = None
    ) -> None:
        self._tools = tuple(tools)
        self._families = tuple(families)
        self.introduce = introduce or _nothing
        self._instructions = Instructions()

    @classmethod
    def standard(
        cls, tools: Sequence[Tool] = (), families: Sequence[Family] = (), introduce: Introduce | None = None
    ) -> "Toolbox":
        """What every attempt has, and more tools before its end."""
        usual = (patching(), searching(), pictures(), planning(), *tools, asking(), ending())
        return cls(usual, (Commands(), Servers(), *families), introduce)

    async def offered(self, context: Context) -> dict[str, Tool]:
        """The tools for an attempt, by name."""
        found = [tool for family in self._families for tool in await family.tools(context)]
        return {tool.name: tool for tool in (*found, *self._tools) if tool.fits(context)}

    async def run(
        self, context: Context, call: ToolCall, arguments: dict[str, Any] | None, tools: Mapping[str, Tool]
    ) -> Result:
        """Run one call. Raises `SandboxLost`; whatever else goes wrong is a result.

        Calls of tools that are not `alone` may be run side by side.
        """
        tool = tools.get(call.name)
        if tool is None:
            return _refused(f"There is no tool {call.name!r}. The tools are {', '.join(tools)}.")
        if arguments is None:
            return _refused(
                f"The arguments of {call.name} are not one JSON object (perhaps they were cut short). Nothing was run. "
                "Send the call again with valid JSON; if it was long, in smaller parts."
            )
        try:
            result = await tool.run(replace(context, call=call.id), arguments)
        except ValidationError as error:
            return _refused(f"The arguments of {call.name} do not fit: {_wrong(error)}. Nothing was run.")
        except SandboxLost:
            raise
        except SandboxError as error:
            return _refused(f"It could not be run: {error}")
        if result.summary is not None:
            await self.end(context.work.sandbox)  # so that the last checkpoint is of files that nobody writes to
        writes = (tool.writes and result.writes) or self.busy(context.work.sandbox)
        text, shown = _whole(result, context.mark), result.shown
        if due := await self._instructions.due(context.work, context.mark, result.places):
            text, shown = f"{text}\n\n{due}", shown + 2 * len(due.encode())  # the tail is half of what is shown
        return replace(result, text=text, data=None, shown=shown, writes=writes)

    def busy(self, sandbox: Sandbox) -> bool:
        """Whether something runs there by itself and may change files between two calls."""
        return any(family.busy(sandbox) for family in self._families)

    async def end(self, sandbox: Sandbox) -> None:
        """End whatever tools have running there."""
        for family in self._families:
            await family.end(sandbox)

    async def close(self) -> None:
        """End whatever tools have running anywhere."""
        for family in self._families:
            await family.close()


def arguments_of(call: ToolCall) -> dict[str, Any] | None:
    """A call's arguments; None where they are no JSON object."""
    try:
        parsed = json.loads(call.arguments or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _whole(result: Result, mark: str) -> str:
    if result.data is None:
        return result.text
    if not result.data.strip():
        return f"{result.text} (none)"
    return f"{result.text}\n{fenced(result.data, mark)}"


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _wrong(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}"
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _refused(text: str) -> Result:
    return Result(text, failed=True, writes=False)
