"""Questions to the model: each paid for from the budget, and written down before and after."""

import json
from dataclasses import dataclass, field, replace
from typing import Literal

from pullwright.domain.task import Usage
from pullwright.domain.transcript import ModelAsked, ModelSaid, Noticed
from pullwright.engines.base import Piece, Work
from pullwright.engines.native.budget import Reserved, Spent, reserve
from pullwright.engines.native.conversation import BYTES_PER_TOKEN, Conversation, size
from pullwright.models.base import Item, Listener, Model, Question, Reply, ToolSpec, Words

_REQUEST_INLINE = 2 * 1024  # the rest of a request is in its blob: each repeats all that came before
RESPONSE_INLINE = 64 * 1024  # read back by whoever folds the log anew

_UNKNOWN_WINDOW = 200_000  # tokens, where nobody says what the model takes
_FULL = 0.8  # of the window: the rest is for the answer, and for what a guess is wrong by


@dataclass
class Asker:
    """Asks one model for one turn of an attempt."""

    model: Model
    work: Work
    number: int
    instructions: str
    tools: tuple[ToolSpec, ...]
    _spent: Usage = field(default_factory=Usage)  # by this turn's own calls

    @property
    def beside(self) -> int:
        """Bytes that each question has beside its items."""
        tools = sum(len(json.dumps(dict(tool.parameters))) + len(tool.description) for tool in self.tools)
        return len(self.instructions) + tools

    @property
    def limit(self) -> int:
        """Tokens of conversation above which it is summed up."""
        window = self.model.window or _UNKNOWN_WINDOW
        return min(self.work.request.limits.context or window, int(window * _FULL))

    def tokens(self, talk: Conversation) -> int:
        """About how many tokens the turn would be asked with."""
        return talk.tokens(self.number, self.beside)

    async def turn(self, talk: Conversation) -> Words:
        """The turn's question and its answer. Raises `Spent` and what `Model.ask` raises."""
        question = self._question(talk.items(self.number))
        reply = await self._ask(question, self.tokens(talk), "turn")
        response = await self.work.log.output(reply.message, inline=RESPONSE_INLINE)
        await self.work.log.append(
            ModelSaid(
                turn=self.number,
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

    async def summary(self, items: tuple[Item, ...], most: int) -> Reply:
        """A question whose answer is no turn; the asker writes it down. Raises as `turn` does."""
        question = self._question(items)
        tokens = int((self.beside + size(items)) / BYTES_PER_TOKEN)
        reply = await self._ask(question, tokens, "summary", most)
        self._spent = self._spent.plus(reply.usage)
        return reply

    def _question(self, items: tuple[Item, ...]) -> Question:
        return Question(self.instructions, items, self.tools, cache_key=self.work.attempt.id)

    async def _ask(
        self, question: Question, tokens: int, purpose: Literal["turn", "summary"], most: int | None = None
    ) -> Reply:
        work = self.work
        reserved = self._reserve(tokens)
        limits = [limit for limit in (reserved.max_output, most) if limit is not None]
        question = replace(question, max_output=min(limits, default=None))

        async def before(body: bytes) -> None:
            request = await work.log.output(body, inline=_REQUEST_INLINE)
            await work.log.append(ModelAsked(turn=self.number, model=self.model.name, request=request, purpose=purpose))

        async def waits(why: str) -> None:
            await work.log.append(Noticed(text=why, level="warning"))

        silent = purpose == "summary"
        return await self.model.ask(
            question,
            Listener(
                before,
                reveal=lambda text: None if silent else work.reveal(Piece("text", text)),
                reveal_reasoning=lambda text: None if silent else work.reveal(Piece("reasoning", text)),
                waits=waits,
            ),
        )

    def _reserve(self, tokens: int) -> Reserved:
        limits = self.work.request.limits
        if self.work.left() <= 0:
            raise Spent(f"the time limit of {limits.minutes:g} minutes was reached")

        def price(asked: int, said: int) -> float | None:
            return self.model.cost(input_tokens=asked, cached_tokens=0, output_tokens=said)

        return reserve(limits, self.work.attempt.usage.plus(self._spent), tokens, price)
