"""One turn of the agent loop: load the log, ask the model, act on its answer; each thing written down around it."""

from collections.abc import Mapping

from pullwright.domain.errors import ContextOverflow, ModelFailed, ModelPaused, ModelUnavailable, UsageError
from pullwright.domain.task import Mode, TaskRequest
from pullwright.domain.transcript import EngineNoted, Noticed, QuestionAsked, ToolReturned
from pullwright.engines.base import TurnOutcome, Work
from pullwright.engines.native import conversation, repetition
from pullwright.engines.native.acting import act
from pullwright.engines.native.asking import RESPONSE_INLINE, Asker
from pullwright.engines.native.budget import Spent
from pullwright.engines.native.compaction import NoRoom, compact, put_back
from pullwright.engines.native.conversation import INTERRUPTED, Conversation, Turn
from pullwright.engines.native.prompt import opening
from pullwright.engines.native.tools.base import Context, Tool
from pullwright.engines.native.tools.ending import FINISH
from pullwright.engines.native.tools.toolbox import Introduce, Toolbox
from pullwright.models.base import Model, Words

_NOBODY = "Nobody has answered. Go on with what seems best to you, and say what you assumed."


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
        talk = await self._load(work, number)
        assert talk.told is not None
        context = Context(work, number, sees=self._model.sees(), mark=talk.told.mark)
        offered = await self._toolbox.offered(context)
        if begun := talk.turns.get(number):
            return await self._take_up(context, begun, talk, offered)
        specs = tuple(tool.spec for tool in offered.values())
        try:
            words = await self._ask(Asker(self._model, work, number, talk.told.instructions, specs), context)
        except ModelPaused as pause:
            return TurnOutcome("waiting", f"the model: {str(pause).partition('. Asking again')[0]}", pause.until)
        except (ModelFailed, ModelUnavailable, Spent, NoRoom) as error:
            return TurnOutcome("gave-up", str(error))
        if not words.calls:
            return _without_calls(work, words, talk, number)
        return await self._act(context, words, offered)

    async def _load(self, work: Work, number: int) -> Conversation:
        """The log as the model is to see it, begun where it was not, a person's answer returned to its question."""
        talk = await conversation.read(work.log, self._model.words, afresh=True)
        if talk.told is None:
            await _open(work, number, self._toolbox.introduce)
            talk = await conversation.read(work.log, self._model.words)
        if talk.question and talk.question.turn < number:
            await _answer(work, talk, talk.question)
            talk = await conversation.read(work.log, self._model.words)
        return talk

    async def _ask(self, asker: Asker, context: Context) -> Words:
        """The model's answer; near its limit, to a conversation that was summed up first."""
        talk = await conversation.read(asker.work.log, self._model.words)
        limit = asker.limit
        if asker.tokens(talk) > limit:
            talk = await self._sum_up(asker, talk, context.mark, limit)
        try:
            return await asker.turn(talk)
        except ContextOverflow:
            if not talk.turns:
                raise
            # It takes less than is known of it, or than was guessed.
            talk = await self._sum_up(asker, talk, context.mark, min(limit, asker.tokens(talk) // 2))
            return await asker.turn(talk)

    async def _sum_up(self, asker: Asker, talk: Conversation, mark: str, limit: int) -> Conversation:
        log, words = asker.work.log, self._model.words
        if await put_back(asker, talk):
            talk = await conversation.read(log, words)
        if asker.tokens(talk) > limit:
            await compact(asker, talk, mark, limit)
            talk = await conversation.read(log, words)
        if (tokens := asker.tokens(talk)) > limit:
            raise NoRoom(
                f"the conversation comes to {tokens:,} tokens even after it was summed up; {limit:,} are too few for "
                "this task. Use a model that takes more, or hand in smaller parts."
            )
        return talk

    async def _act(self, context: Context, words: Words, offered: Mapping[str, Tool]) -> TurnOutcome:
        acts = await act(self._toolbox, context, words.calls, offered)
        if acts.asked:
            return _asks(acts.asked)
        if acts.summary is not None:
            return TurnOutcome("finished", acts.summary)
        talk = await conversation.read(context.work.log, self._model.words)
        turn = talk.turns[context.turn]
        now = [*talk.repeated, repetition.signature(words.calls, turn.returned)]
        if reason := repetition.stopped(now, words.calls):
            return TurnOutcome("gave-up", reason)
        return TurnOutcome("continue", touched=acts.writes)

    async def _take_up(
        self, context: Context, turn: Turn, talk: Conversation, offered: Mapping[str, Tool]
    ) -> TurnOutcome:
        """A turn whose answer is in the log: it is not asked, nor run, again."""
        work = context.work
        if not turn.words.calls:
            return _without_calls(work, turn.words, talk, turn.number)
        if all(call.name == FINISH for call in turn.words.calls):
            return await self._act(context, turn.words, offered)  # it touches nothing outside the log
        output = await work.log.output(INTERRUPTED.encode())
        for call in turn.words.calls:
            known = turn.returned.get(call.id)
            kept = (known and known.interrupted) or (turn.asked and turn.asked.call == call.id)
            if not kept:
                await work.log.append(
                    ToolReturned(
                        turn=turn.number, call=call.id, output=output, failed=True, interrupted=True, seconds=0.0
                    )
                )
        return _asks(turn.asked) if turn.asked else TurnOutcome("continue")


def _asks(asked: QuestionAsked) -> TurnOutcome:
    return TurnOutcome("waiting", f"an answer: {asked.text}")


async def _open(work: Work, number: int, introduce: Introduce) -> None:
    """What every question begins with is written down, so that it stays the same."""
    told = await opening(work, introduce)
    for notice in told.notices:
        await work.log.append(Noticed(text=notice, level="warning"))
    data = {"instructions": told.instructions, "messages": list(told.messages), "mark": told.mark}
    given = "; ".join(message.split("\n")[0].partition(":")[0] for message in told.messages[:-1])
    await work.log.append(
        EngineNoted(turn=number, topic="opening", text=given or "The repository has no instructions", data=data)
    )


async def _answer(work: Work, talk: Conversation, question: QuestionAsked) -> None:
    """What a person has said since the question is returned to its call."""
    said = "\n\n".join(talk.unread)
    text = f"The person answers:\n{said}" if said else _NOBODY
    output = await work.log.output(text.encode("utf-8", "replace"), inline=RESPONSE_INLINE)
    await work.log.append(
        ToolReturned(turn=question.turn, call=question.call, output=output, failed=not said, seconds=0.0)
    )


def _without_calls(work: Work, words: Words, talk: Conversation, number: int) -> TurnOutcome:
    """An answer in words only ends the work if there is something to show for it, or at the second time in a row."""
    if words.finish == "filtered":
        return TurnOutcome("gave-up", "the model's provider withheld the answer (content filter)")
    text = words.text.strip()
    answered = text and words.finish == "stop" and (talk.changed or work.request.mode is Mode.ASK)
    before = talk.before(number)
    again = before is not None and not before.words.calls
    if not answered and not again:
        return TurnOutcome("continue")
    return (
        TurnOutcome("finished", text) if text else TurnOutcome("gave-up", "the model stopped without saying anything")
    )
