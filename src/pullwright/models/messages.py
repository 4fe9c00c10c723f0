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

from pullwright.models.base import Image, Question, Replied, Returned, Said, ToolCall, Words

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


def messages(question: Question, *, images_in_results: bool = True) -> list[ModelMessage]:
    """The conversation. Where a provider takes no images in tool results, they follow as a message of their own."""
    said: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    images: list[Image] = []

    def close() -> None:
        if images:
            parts.append(UserPromptPart([_shown(len(images)), *map(_content, images)]))
            images.clear()
        if parts:
            said.append(ModelRequest(parts=list(parts), instructions=question.instructions or None))
            parts.clear()

    for item in question.items:
        match item:
            case Replied():
                close()
                said.append(RESPONSE.validate_json(item.message))
            case Returned():
                if item.images and not images_in_results:
                    images.extend(item.images)
                parts.append(_returned(item, images_in_results=images_in_results))
            case Said():
                parts.append(UserPromptPart(item.text))
    close()
    return said


def _shown(count: int) -> str:
    return "The image of the tool result above:" if count == 1 else f"The {count} images of the tool results above:"


def _content(image: Image) -> UserContent:
    return BinaryContent(data=image.data, media_type=image.media_type)


def _returned(item: Returned, *, images_in_results: bool) -> ToolReturnPart:
    content: str | Sequence[UserContent] = item.text
    if item.images and images_in_results:
        content = [item.text, *map(_content, item.images)]
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
