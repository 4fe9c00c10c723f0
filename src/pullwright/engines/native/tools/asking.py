"""`ask_person`: a question that only a person can answer. The attempt waits for it without a sandbox."""

from typing import Annotated

from pydantic import BaseModel, Field

from pullwright.engines.native.tools.base import Asks, Context, Result, Tool, text_of, tool

ASK = "ask_person"
_MOST_CHOICES = 9

_Choice = Annotated[str, Field(min_length=1, max_length=300)]


class AskArguments(BaseModel):
    """What `ask_person` takes."""

    question: str = Field(min_length=1, description="With all that is needed to answer it.")
    choices: list[_Choice] = Field(
        default_factory=list, max_length=_MOST_CHOICES, description="Likely answers, if there are; any other may come."
    )


async def _ask(_: Context, asked: AskArguments) -> Result:
    choices = tuple(text_of(choice).strip() for choice in asked.choices)
    return Result(text_of(asked.question).strip(), asks=Asks(choices), writes=False)


def asking() -> Tool:
    """`ask_person`."""
    return tool(
        ASK,
        "Ask the person whose task it is, where going on without an answer would waste the work: it may take hours to "
        "come, and commands that run are ended meanwhile. What you can find out or decide yourself, do not ask.",
        AskArguments,
        _ask,
        alone=True,
    )
