"""One turn of the agent loop: load the log, ask the model, act on its answer; each thing written down around it."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from pullwright.domain.errors import ModelFailed, ModelPaused, ModelUnavailable, UsageError
from pullwright.domain.task import Mode, TaskRequest, Usage
from pullwright.domain.transcript import (
    Checkpointed,
    EngineNoted,
    ModelAsked,
    ModelSaid,
    Noticed,
    Recorded,
    ToolCalled,
    ToolReturned,
)
from pullwright.engines.base import Piece, TurnOutcome, Work
from pullwright.engines.native import conversation
from pullwright.engines.native.conversation import INTERRUPTED, Turn
from pullwright.engines.native.prompt import Opening, opening
from pullwright.engines.native.tools.base import Context, Tool
from pullwright.engines.native.tools.ending import FINISH
from pullwright.engines.native.tools.toolbox import Introduce, Toolbox, arguments_of
from pullwright.models.base import Listener, Model, Question, Words

_REQUEST_INLINE = 2 * 1024  # the rest of a request is in its blob: each repeats all that came before
_RESPONSE_INLINE = 64 * 1024  # read back at every later turn


class NativeEngine:
    """An agent over any model."""

    def __init__(self, model: Model, toolbox: Toolbox | None = None) -> None:
        self._model = model
        self._toolbox = toolbox or Toolbox.standard()

    async def ready(self, request: TaskRequest) -> None:
        """Raise where the model cannot be asked, or a cap on cost could not be held."""
        await self._model.check()
        if request.limits.cost is not None and not self._model.priced():
            raise UsageError(
                f"The price of {self._model.name} is not known, so a limit on cost cannot be held. Leave it out; "
                "turns, tokens and time are limited anyway."
            )

    async def turn(self, work: Work, number: int) -> TurnOutcome:
        """One response of the model and its tool calls."""
        events = await work.log.read()
        told = _noted(events) or await _open(work, number, self._toolbox.introduce)
        talk = await conversation.read(work.log, events, number, self._model.words)
        if begun := talk.turns.get(number):
            return await self._take_up(work, begun, talk, told)
        if reason := _over(work, number, talk.usage):
            return TurnOutcome("gave-up", reason)
        context = self._context(work, number, told)
        offered = await self._toolbox.offered(context)
        question = Question(
            instructions=told.instructions,
            items=talk.items(told.messages, number),
            tools=tuple(tool.spec for tool in offered.values()),
            cache_key=work.attempt.id,
        )
        try:
            words = await self._ask(work, number, question)
        except ModelPaused as pause:
            return TurnOutcome("waiting", str(pause), pause.until)
        except (ModelFailed, ModelUnavailable) as error:
            return TurnOutcome("gave-up", str(error))
        if not words.calls:
            return _without_calls(work, words, talk.turns.get(number - 1), events)
        return await self._act(context, words, offered)

    def _context(self, work: Work, number: int, told: Opening) -> Context:
        return Context(work, number, sees=self._model.sees(), mark=told.mark)

    async def _ask(self, work: Work, number: int, question: Question) -> Words:
        async def before(body: bytes) -> None:
            request = await work.log.output(body, inline=_REQUEST_INLINE)
            await work.log.append(ModelAsked(turn=number, model=self._model.name, request=request))

        async def waits(why: str) -> None:
            await work.log.append(Noticed(text=why, level="warning"))

        reply = await self._model.ask(
            question, Listener(before, lambda text: work.reveal(Piece("text", text)), waits=waits)
        )
        response = await work.log.output(reply.message, inline=_RESPONSE_INLINE)
        await work.log.append(
            ModelSaid(
                turn=number,
                response=response,
                text=reply.words.text,
                reasoning=reply.words.reasoning,
                model=reply.model,
                usage=reply.usage,
                time_to_first_token=reply.time_to_first_token,
                seconds=reply.seconds,
            )
        )
        return reply.words

    async def _act(self, context: Context, words: Words, offered: Mapping[str, Tool]) -> TurnOutcome:
        work, number = context.work, context.turn
        summary: str | None = None
        for call in words.calls:
            arguments = arguments_of(call)
            shown = {"raw": call.arguments} if arguments is None else arguments
            await work.log.append(ToolCalled(turn=number, call=call.id, name=call.name, arguments=shown))
            started = time.monotonic()
            result = await self._toolbox.run(context, call, arguments, offered)
            seconds = time.monotonic() - started
            output = await work.log.output(result.text.encode("utf-8", "replace"), inline=result.shown)
            await work.log.append(
                ToolReturned(
                    turn=number,
                    call=call.id,
                    output=output,
                    failed=result.failed,
                    pictures=result.pictures,
                    seconds=seconds,
                )
            )
            summary = result.summary or summary
        return TurnOutcome("continue") if summary is None else TurnOutcome("finished", summary)

    async def _take_up(self, work: Work, turn: Turn, talk: conversation.Conversation, told: Opening) -> TurnOutcome:
        """A turn whose answer is in the log: it is not asked, nor run, again."""
        if not turn.words.calls:
            return _without_calls(work, turn.words, talk.turns.get(turn.number - 1), await work.log.read())
        if all(call.name == FINISH for call in turn.words.calls):
            context = self._context(work, turn.number, told)  # it touches nothing outside the log
            return await self._act(context, turn.words, await self._toolbox.offered(context))
        output = await work.log.output(INTERRUPTED.encode())
        for call in turn.words.calls:
            known = turn.returned.get(call.id)
            if known is None or not known.interrupted:
                await work.log.append(
                    ToolReturned(
                        turn=turn.number, call=call.id, output=output, failed=True, interrupted=True, seconds=0.0
                    )
                )
        return TurnOutcome("continue")


async def _open(work: Work, number: int, introduce: Introduce) -> Opening:
    """What every question begins with, written down so that it stays the same."""
    told = await opening(work, introduce)
    for notice in told.notices:
        await work.log.append(Noticed(text=notice, level="warning"))
    data = {"instructions": told.instructions, "messages": list(told.messages), "mark": told.mark}
    given = "; ".join(message.split("\n")[0].partition(":")[0] for message in told.messages[:-1])
    await work.log.append(
        EngineNoted(turn=number, topic="opening", text=given or "The repository has no instructions", data=data)
    )
    return told


def _noted(events: Sequence[Recorded]) -> Opening | None:
    for recorded in events:
        if isinstance(recorded.event, EngineNoted) and recorded.event.topic == "opening":
            data = recorded.event.data
            return Opening(data["instructions"], tuple(data["messages"]), mark=data.get("mark", ""))
    return None


def _over(work: Work, number: int, usage: Usage) -> str | None:
    """Which limit has been reached, if one has."""
    limits = work.request.limits
    spent = usage.input_tokens + usage.output_tokens
    if number > limits.turns:
        return f"the limit of {limits.turns} turns was reached"
    if spent >= limits.tokens:
        return f"the limit of {limits.tokens} tokens was reached ({spent} used)"
    if limits.cost is not None and (usage.cost or 0.0) >= limits.cost:
        return f"the limit of ${limits.cost:.2f} was reached (${usage.cost or 0.0:.2f} spent)"
    if asyncio.get_running_loop().time() >= work.deadline:
        return f"the time limit of {limits.minutes:g} minutes was reached"
    return None


def _without_calls(work: Work, words: Words, before: Turn | None, events: Sequence[Recorded]) -> TurnOutcome:
    """An answer in words only ends the work if there is something to show for it, or at the second time in a row."""
    if words.finish == "filtered":
        return TurnOutcome("gave-up", "the model's provider withheld the answer (content filter)")
    text = words.text.strip()
    changed = any(isinstance(recorded.event, Checkpointed) for recorded in events)
    answered = text and words.finish == "stop" and (changed or work.request.mode is Mode.ASK)
    again = before is not None and not before.words.calls
    if not answered and not again:
        return TurnOutcome("continue")
    return (
        TurnOutcome("finished", text) if text else TurnOutcome("gave-up", "the model stopped without saying anything")
    )
