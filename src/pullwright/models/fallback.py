"""Models that stand in for each other: while one is out, the next goes on, and the first is come back to."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pullwright.domain.errors import ModelPaused, ModelUnavailable, ModelUnreachable
from pullwright.domain.value import now
from pullwright.models.base import Listener, Model, Question, Reply, Words

_REST = timedelta(minutes=5)  # until a model that could not be asked is asked again


class Warmable(Model, Protocol):
    """A model that can be made ready ahead of its first question."""

    async def warm(self) -> None:
        """Do what the first question would have to do."""
        ...


class Fallbacks:
    """The first of several models that can be asked. All of them read each other's turns."""

    def __init__(self, models: Sequence[Warmable]) -> None:
        self._models = tuple(models)
        self._out: dict[int, datetime] = {}  # by place, until when

    @property
    def name(self) -> str:
        """The first one's."""
        return self._models[0].name

    async def warm(self) -> None:
        """Get the first one ready; the others are rarely needed."""
        await self._models[0].warm()

    async def check(self) -> None:
        """Raise where one of them is configured wrongly, or none answers."""
        silent: list[ModelUnreachable] = []
        for model in self._models:
            try:
                await model.check()
            except ModelUnreachable as error:
                silent.append(error)
        if len(silent) == len(self._models):
            raise silent[0]

    def priced(self) -> bool:
        """Whether the price of each is known."""
        return all(model.priced() for model in self._models)

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
        """What the dearest takes, so that a cap holds whoever answers; None where one's price is not known."""
        costs = [
            model.cost(input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens)
            for model in self._models
        ]
        known = [one for one in costs if one is not None]
        return max(known) if len(known) == len(costs) else None

    @property
    def window(self) -> int | None:
        """The smallest that is known, so that any of them can go on."""
        return min((model.window for model in self._models if model.window is not None), default=None)

    def sees(self) -> bool:
        """Whether the first can be shown images; one that cannot is told that there was one."""
        return self._models[0].sees()

    async def ask(self, question: Question, listener: Listener) -> Reply:
        """One turn of the first that is not out. Raises like the last of them where all are."""
        rested = [place for place in range(len(self._models)) if self._out.get(place, now()) <= now()]
        for turn, place in enumerate(rested, 1):
            try:
                reply = await self._models[place].ask(question, listener)
            except (ModelPaused, ModelUnavailable) as error:
                self._out[place] = error.until if isinstance(error, ModelPaused) else now() + _REST
                if turn == len(rested):
                    raise self._paused(error) from error
                following = self._models[rested[turn]]
                await listener.waits(f"{error} Going on with {following.name} meanwhile.")
            else:
                self._out.pop(place, None)
                return reply
        raise self._paused(None)

    def _paused(self, error: ModelPaused | ModelUnavailable | None) -> ModelPaused:
        """All are out, until the first of them may be back."""
        until = min(self._out.values())
        names = ", ".join(model.name for model in self._models)
        why = f" {error}" if error else ""
        return ModelPaused(f"None of {names} can be asked now.{why}", until=until)

    def words(self, message: bytes) -> Words:
        """Read a `Reply.message` back, whoever wrote it."""
        return self._models[0].words(message)

    async def close(self) -> None:
        """End the connections."""
        for model in self._models:
            await model.close()
