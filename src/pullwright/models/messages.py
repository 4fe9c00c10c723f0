"""A question as pydantic-ai's messages, and a reply as words: the same for every provider."""

from collections.abc import Sequence
from typing import Literal

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from pullwright.models.base import Question, Replied, Returned, Said, ToolCall, Words

RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


def parameters(question: Question) -> ModelRequestParameters:
    """The tools that a question offers."""
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=dict(tool.parameters),
                strict=False,  # else optional parameters would have to be required
            )
            for tool in question.tools
        ]
    )


def messages(question: Question) -> list[ModelMessage]:
    """The conversation.

    Images are part of the tool result that gave them; where a provider takes none there, pydantic-ai's model of it lets
    them follow, or says that there was one.
    """
    said: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []

    def close() -> None:
        if parts:
            said.append(ModelRequest(parts=list(parts), instructions=question.instructions or None))
            parts.clear()

    for item in question.items:
        match item:
            case Replied():
                close()
                said.append(RESPONSE.validate_json(item.message))
            case Returned():
                parts.append(_returned(item))
            case Said():
                parts.append(UserPromptPart(item.text))
    close()
    return said


def _returned(item: Returned) -> ToolReturnPart:
    content: str | Sequence[UserContent] = item.text
    if item.images:
        images = [BinaryContent(data=image.data, media_type=image.media_type) for image in item.images]
        content = [item.text, *images]
    return ToolReturnPart(tool_name=item.name, content=content, tool_call_id=item.call)


def words(response: ModelResponse) -> Words:
    """What a response says."""
    texts = [part.content for part in response.parts if isinstance(part, TextPart)]
    thoughts = [part.content for part in response.parts if isinstance(part, ThinkingPart)]
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
    return Words(_joined(texts), tuple(calls), _joined(thoughts), finish)


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(text for text in texts if text)
