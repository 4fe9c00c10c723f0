"""The calls of one answer are run: side by side where they do not mind, in order around those that do."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pullwright.domain.transcript import QuestionAsked, ToolCalled, ToolReturned
from pullwright.engines.native.tools.base import Context, Result, Tool
from pullwright.engines.native.tools.toolbox import Toolbox, arguments_of
from pullwright.models.base import ToolCall

_AT_ONCE = 8


@dataclass
class Acts:
    """What came of an answer's calls."""

    summary: str | None = None  # of a `finish` that counts
    asked: QuestionAsked | None = None  # what a person has to answer first
    writes: bool = False  # whether the workspace may have changed


async def act(toolbox: Toolbox, context: Context, calls: Sequence[ToolCall], offered: Mapping[str, Tool]) -> Acts:
    """Run the calls. Each is written down before it runs, and its result as soon as it is there.

    Neighbours whose tools are not `alone` run side by side. Raises `SandboxLost`.
    """
    acts = Acts()
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(call: ToolCall) -> None:
        async with slots:
            await _run(toolbox, context, call, offered, acts)

    for together in _groups(calls, offered):
        jobs = [asyncio.ensure_future(one(call)) for call in together]
        try:
            await asyncio.gather(*jobs)
        except BaseException:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            raise
    return acts


def _groups(calls: Sequence[ToolCall], offered: Mapping[str, Tool]) -> Iterator[list[ToolCall]]:
    def alone(call: ToolCall) -> bool:
        return call.name in offered and offered[call.name].alone

    for by_itself, group in groupby(calls, alone):
        if by_itself:
            yield from ([call] for call in group)
        else:
            yield list(group)


async def _run(toolbox: Toolbox, context: Context, call: ToolCall, offered: Mapping[str, Tool], acts: Acts) -> None:
    log, turn = context.work.log, context.turn
    arguments = arguments_of(call)
    shown = {"raw": call.arguments} if arguments is None else arguments
    await log.append(ToolCalled(turn=turn, call=call.id, name=call.name, arguments=shown))
    started = time.monotonic()
    result = await toolbox.run(context, call, arguments, offered)
    seconds = time.monotonic() - started
    if result.asks and acts.asked is None:
        acts.asked = QuestionAsked(turn=turn, call=call.id, text=result.text, choices=result.asks.choices)
        await log.append(acts.asked)
        return
    if result.asks:
        result = replace(_ONE_AT_A_TIME, writes=False)
    acts.writes = acts.writes or result.writes
    acts.summary = result.summary or acts.summary
    output = await log.output(result.text.encode("utf-8", "replace"), inline=result.shown)
    await log.append(
        ToolReturned(
            turn=turn,
            call=call.id,
            output=output,
            failed=result.failed,
            pictures=result.pictures,
            seconds=seconds,
        )
    )


_ONE_AT_A_TIME = Result("One question at a time: the other one has been asked. Ask this one after it.", failed=True)
