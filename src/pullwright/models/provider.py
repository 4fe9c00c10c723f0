"""Any provider's model behind the port, through pydantic-ai's models."""

import asyncio
import contextlib
from dataclasses import replace

import httpx2
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import (
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)

from pullwright.domain.errors import ModelFailed
from pullwright.domain.task import Usage
from pullwright.models.base import Listener, Question, Reply, Said, Words
from pullwright.models.check import check, unreachable, window_of
from pullwright.models.connection import Connection, Showing, connect, showing
from pullwright.models.faults import fault
from pullwright.models.known import Target
from pullwright.models.messages import RESPONSE, messages, parameters, words
from pullwright.models.price import cost, listed_cost, listed_window
from pullwright.models.retry import PassingFault, Retries, with_retries
from pullwright.models.spoken import Spoken, speak


class ProviderModel:
    """One model of one provider."""

    def __init__(
        self, target: Target, retries: Retries | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._target = target
        self._retries = retries or Retries()
        self._connection: Connection = connect(target, transport)
        self._spoken: Spoken | None = None
        self._checked = False
        self._warmed = False
        self._window = target.window

    @property
    def name(self) -> str:
        """`PROVIDER:NAME`."""
        return self._target.full_name

    async def close(self) -> None:
        """End the connections."""
        await self._connection.close()

    async def learn(self) -> None:
        """Ask a server of this machine how long a conversation it takes, where nothing else says so."""
        if self._window is None and self._target.local:
            self._window = await window_of(self._connection)

    async def warm(self) -> None:
        """Do what the first question would have to do: find out how it is spoken to, and rehearse an answer."""
        spoken = await self._speak()
        if spoken.rehearsal and not self._warmed:
            self._warmed = True
            await asyncio.to_thread(_rehearse, self._target, spoken.rehearsal)
        self.priced()

    def priced(self) -> bool:
        """Whether a price is known."""
        return self.cost(input_tokens=1, cached_tokens=0, output_tokens=1) is not None

    @property
    def window(self) -> int | None:
        """Tokens that question and answer may have together; None where it is not known."""
        if self._window is None and not self._target.local:
            self._window = listed_window(self._target)
        return self._window

    def sees(self) -> bool:
        """Whether it can be shown images; true where nothing is known of it."""
        return self._spoken is None or bool(self._spoken.model.profile.get("supports_image_input", True))

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
        """US dollars that so many tokens cost; None where the price is not known."""
        return cost(self._target, input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens)

    async def check(self) -> None:
        """Raise `ModelUnavailable` where the key, the name or the address is wrong; asked once, if all is well."""

        async def smallest() -> None:
            with contextlib.suppress(ModelFailed):  # then it is there, and has other troubles
                try:
                    await self.once(Question("", (Said("Say ok."),)), Listener(), limit=16)
                except PassingFault as passing:
                    if not passing.reached:
                        raise unreachable(self._target, str(passing.__cause__)) from passing

        if not self._checked:
            await check(self._connection, smallest)
            await self.learn()
            self._checked = True

    def words(self, message: bytes) -> Words:
        """Read a `Reply.message` back."""
        return words(RESPONSE.validate_json(message))

    async def ask(self, question: Question, listener: Listener) -> Reply:
        """One turn, tried again on passing faults."""
        told = False

        async def before(body: bytes) -> None:
            nonlocal told
            if not told:  # a further try sends the same body
                told = True
                await listener.before(body)

        once = replace(listener, before=before)
        return await with_retries(lambda: self.once(question, once), self._retries, listener.waits)

    async def once(self, question: Question, listener: Listener, limit: int | None = None) -> Reply:
        """One try. Raises like `ask`, or `PassingFault`."""
        spoken = await self._speak()
        settings = spoken.settings.copy()
        if spoken.cache_key and question.cache_key:
            settings[spoken.cache_key] = question.cache_key  # type: ignore[literal-required]  # the provider's own
        if most := limit or question.max_output:
            settings["max_tokens"] = most
        said = messages(question)
        offered = parameters(question)
        faults: tuple[type[Exception], ...] = (AgentRunError, UserError, httpx2.HTTPError, httpx2.StreamError)
        with showing(listener) as shown:
            try:
                # Also makes another provider's turns, and images it does not take, fit for this one.
                prepared = spoken.model.prepare_messages(said, offered)
                async with spoken.model.request_stream(prepared, settings, offered) as stream:
                    async for event in stream:
                        _show(shown, event)
                    response = stream.get()
            except faults + spoken.faults as error:
                raise fault(self._target, error) from error
        if response.finish_reason in (None, "error"):
            raise PassingFault(f"{self._target.base_url} broke off in the middle of its answer")
        return self._reply(response, shown)

    async def _speak(self) -> Spoken:
        if self._spoken is None:
            self._spoken = await speak(self._connection)
        return self._spoken

    def _reply(self, response: ModelResponse, shown: Showing) -> Reply:
        used = response.usage
        counts = {
            "input_tokens": used.input_tokens,
            "cached_tokens": used.cache_read_tokens,
            "output_tokens": used.output_tokens,
        }
        spent = self.cost(**counts) if self._target.prices else listed_cost(self._target, used)
        return Reply(
            message=RESPONSE.dump_json(response),
            words=words(response),
            model=self._target.full_name,
            usage=Usage(requests=1, **counts, cost=spent),
            time_to_first_token=shown.first,
            seconds=shown.seconds,
        )


def _rehearse(where: Target, answer: bytes) -> None:
    """Let a provider's client read an answer that never was on a wire."""
    wire = where.wire or ("responses" if b"response.output" in answer else "chat")
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, content=answer))

    async def perform() -> None:
        model = ProviderModel(replace(where, wire=wire), transport=transport)
        with contextlib.suppress(Exception):  # what a rehearsal meets, the first question meets again, and tells
            await model.once(Question("", (Said("ok"),)), Listener())
        await model.close()

    asyncio.run(perform())


def _show(shown: Showing, event: object) -> None:
    """Show a piece, unless it was shown when it came over the wire."""
    if shown.on_wire:
        return
    match event:
        case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            shown.show("text", text)
        case PartStartEvent(part=ThinkingPart(content=text)):
            shown.show("reasoning", text)
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=str(text))):
            shown.show("reasoning", text)
        case PartStartEvent():
            shown.show("call", "")
        case _:
            pass
