"""Responses and Chat Completions at any address, through pydantic-ai's models."""

import contextlib
import time
from dataclasses import replace
from typing import Literal

import httpx2
from openai import AsyncOpenAI
from pydantic import TypeAdapter
from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
)
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model as ProviderModel
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.tools import ToolDefinition

from pullwright.domain.errors import ContextOverflow, ModelFailed
from pullwright.domain.task import Usage
from pullwright.models.base import Listener, Question, Replied, Reply, Returned, Said, ToolCall, Words
from pullwright.models.check import check, said, spoken, used_up, wrong_key, wrong_name
from pullwright.models.client import Connection, connect, showing
from pullwright.models.known import Target
from pullwright.models.price import cost
from pullwright.models.retry import PassingFault, Retries, with_retries

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)
_PASSING = (408, 409, 425, 429)  # and everything from 500


class OpenAICompatible:
    """A model behind OpenAI's protocol."""

    def __init__(self, target: Target, retries: Retries | None = None) -> None:
        self._target = target
        self._retries = retries or Retries()
        self._connection: Connection = connect(target)
        self._model: ProviderModel[AsyncOpenAI] | None = None
        self._checked = False

    @property
    def name(self) -> str:
        """`PROVIDER:NAME`."""
        return self._target.full_name

    async def close(self) -> None:
        """End the connections."""
        await self._connection.close()

    def priced(self) -> bool:
        """Whether a price is known."""
        return self.cost(input_tokens=1, cached_tokens=0, output_tokens=1) is not None

    @property
    def window(self) -> int | None:
        """Tokens that question and answer may have together; None where it is not known."""
        return None

    def sees(self) -> bool:
        """Whether it can be shown images."""
        return True

    def cost(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
        """US dollars that so many tokens cost; None where the price is not known."""
        where = self._target
        return cost(
            where.name,
            where.base_url,
            input_tokens=input_tokens,
            cached_tokens=cached_tokens,
            output_tokens=output_tokens,
        )

    async def check(self) -> None:
        """Raise `ModelUnavailable` where the key, the name or the address is wrong; asked once, if all is well."""

        async def smallest() -> None:
            with contextlib.suppress(PassingFault, ModelFailed):  # then it is there, and has other troubles
                await self._once(Question("", (Said("Say ok."),)), Listener(), limit=16)

        if not self._checked:
            await check(self._connection, smallest)
            self._checked = True

    def words(self, message: bytes) -> Words:
        """Read a `Reply.message` back."""
        return _words(_RESPONSE.validate_json(message))

    async def ask(self, question: Question, listener: Listener) -> Reply:
        """One turn, tried again on passing faults."""
        told = False

        async def before(body: bytes) -> None:
            nonlocal told
            if not told:  # a further try sends the same body
                told = True
                await listener.before(body)

        once = replace(listener, before=before)
        return await with_retries(lambda: self._once(question, once), self._retries, listener.waits)

    async def _once(self, question: Question, listener: Listener, limit: int | None = None) -> Reply:
        model = await self._provider_model()
        tools = [
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=dict(tool.parameters),
                strict=False,  # else optional parameters would have to be required
            )
            for tool in question.tools
        ]
        parameters = ModelRequestParameters(function_tools=tools)
        settings = self._settings(question.cache_key, limit)
        started = time.monotonic()
        first: float | None = None
        try:
            with showing(listener.before):
                async with model.request_stream(_messages(question), settings, parameters) as stream:
                    async for event in stream:
                        if first is None:
                            first = time.monotonic() - started
                        match event:
                            case PartStartEvent(part=TextPart(content=text)) if text:
                                listener.reveal(text)
                            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                                listener.reveal(text)
                            case _:
                                pass
                    response = stream.get()
        except (AgentRunError, httpx2.TransportError) as error:
            raise self._fault(error) from error
        if response.finish_reason in (None, "error"):
            raise PassingFault(f"{self._target.base_url} broke off in the middle of its answer")
        return self._reply(response, first, time.monotonic() - started)

    async def _provider_model(self) -> ProviderModel[AsyncOpenAI]:
        if self._model is None:
            api = self._target.api or ("responses" if self._target.official else await spoken(self._connection))
            provider = OpenAIProvider(openai_client=self._connection.openai)
            name = self._target.name
            self._model = (
                OpenAIResponsesModel(name, provider=provider)
                if api == "responses"
                else OpenAIChatModel(name, provider=provider)
            )
        return self._model

    def _settings(self, cache_key: str | None, limit: int | None) -> OpenAIChatModelSettings:
        settings: OpenAIChatModelSettings
        if isinstance(self._model, OpenAIResponsesModel):
            # The log is the only memory of a conversation: nothing is left at the provider.
            settings = OpenAIResponsesModelSettings(openai_store=False)
        else:
            settings = OpenAIChatModelSettings()
        # Other servers than OpenAI's refuse fields of Chat Completions that they do not know.
        if cache_key and (self._target.official or isinstance(self._model, OpenAIResponsesModel)):
            settings["openai_prompt_cache_key"] = cache_key
        if limit is not None:
            settings["max_tokens"] = limit
        return settings

    def _reply(self, response: ModelResponse, first: float | None, seconds: float) -> Reply:
        used = response.usage
        counts = {
            "input_tokens": used.input_tokens,
            "cached_tokens": used.cache_read_tokens,
            "output_tokens": used.output_tokens,
        }
        return Reply(
            message=_RESPONSE.dump_json(response),
            words=_words(response),
            model=self._target.full_name,
            usage=Usage(requests=1, **counts, cost=self.cost(**counts)),
            time_to_first_token=first,
            seconds=seconds,
        )

    def _fault(self, error: Exception) -> Exception:
        """What the provider's fault means to the asker."""
        where = self._target
        status = error.status_code if isinstance(error, ModelHTTPError) else None
        why = said(error.body) if isinstance(error, ModelAPIError) else ""
        match error:
            case ModelAuthenticationError() | ModelHTTPError(status_code=401 | 403):
                return wrong_key(where, why)
            case ModelContextWindowExceededError():
                return ContextOverflow(f"{where.full_name} takes no conversation this long ({why or status}).")
            case ModelQuotaExceededError():
                return used_up(where, why)
            case ModelNotFoundError() | ModelHTTPError(status_code=404):
                return wrong_name(where, why)
            case ModelRateLimitError():
                return PassingFault(f"{where.base_url} limits the rate of requests", error.retry_after)
            case ModelHTTPError() if status is not None and status < 500 and status not in _PASSING:
                return ModelFailed(f"{where.base_url} refused the request with status {status}: {why or error}.")
            case ModelHTTPError():
                return PassingFault(f"{where.base_url} failed with status {status}", error.retry_after)
            case ModelConnectionError() | httpx2.TransportError():
                return PassingFault(f"the connection to {where.base_url} failed")
            case _:
                return PassingFault(f"{where.base_url} gave no usable answer ({why or str(error)[:200]})")


def _messages(question: Question) -> list[ModelMessage]:
    messages: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []

    def close() -> None:
        if parts:
            messages.append(ModelRequest(parts=list(parts), instructions=question.instructions or None))
            parts.clear()

    for item in question.items:
        if isinstance(item, Replied):
            close()
            messages.append(_RESPONSE.validate_json(item.message))
        else:
            parts.append(_part(item))
    close()
    return messages


def _part(item: Said | Returned) -> ModelRequestPart:
    if isinstance(item, Said):
        return UserPromptPart(item.text)
    return ToolReturnPart(tool_name=item.name, content=item.text, tool_call_id=item.call)


def _words(response: ModelResponse) -> Words:
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    calls = [
        ToolCall(
            id=part.tool_call_id,
            name=part.tool_name,
            arguments=part.args if isinstance(part.args, str) else part.args_as_json_str(),
        )
        for part in response.parts
        if isinstance(part, ToolCallPart)
    ]
    finish: Literal["stop", "length", "filtered"] = "stop"
    if response.finish_reason == "length":
        finish = "length"
    elif response.finish_reason == "content_filter":
        finish = "filtered"
    return Words("\n\n".join(text for text in texts if text), tuple(calls), finish=finish)
