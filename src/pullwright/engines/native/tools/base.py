"""What a tool is, what it is given and what it gives.

A family of tools is a module that makes `Tool` values, with `tool(...)`, and hands them to the `Toolbox`. What a model
can mend is a `Result` that has failed; `SandboxLost` and faults of the platform are raised.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

from pullwright.domain.transcript import Picture
from pullwright.engines.base import Work
from pullwright.models.base import ToolSpec

SHOWN = 40_000  # bytes of a result that the model is shown where it does not ask for less: about 10,000 tokens

A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True)
class Context:
    """What a call is made with."""

    work: Work
    turn: int
    sees: bool = False  # whether the model can be shown pictures
    mark: str = ""  # sets what is data apart from what is not: this attempt's own, so that nobody can forge it
    call: str = ""  # the call's id


@dataclass(frozen=True)
class Asks:
    """That the result's text is a question to a person, and the answers it offers."""

    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """What a call gave.

    `text` is ours. `data` is what a sandbox, a repository or a server said: the toolbox fences it in.
    """

    text: str
    data: str | None = None
    failed: bool = False
    summary: str | None = None  # of a `finish` that counts
    asks: Asks | None = None  # the call returns what a person answers
    pictures: tuple[Picture, ...] = ()
    shown: int = SHOWN  # bytes of the text that the model is shown; the whole is kept
    writes: bool = True  # whether the workspace may have changed; the toolbox knows better where a tool never writes
    places: tuple[str, ...] = ()  # files and folders it worked at, relative to the workspace


@dataclass(frozen=True)
class Tool:
    """One tool: what the model is told of it, and what it does."""

    spec: ToolSpec
    run: Callable[[Context, dict[str, Any]], Awaitable[Result]]  # raises pydantic's `ValidationError` for arguments
    writes: bool  # whether it may change the workspace
    alone: bool  # whether no other call of its turn may run beside it: they are taken in order around it
    fits: Callable[[Context], bool]  # whether it is offered at all

    @property
    def name(self) -> str:
        """What it is called by."""
        return self.spec.name


def always(_: Context) -> bool:
    """Offered to every model in every mode."""
    return True


def tool(
    name: str,
    description: str,
    arguments: type[A],
    run: Callable[[Context, A], Awaitable[Result]],
    *,
    writes: bool = False,
    alone: bool = False,
    fits: Callable[[Context], bool] = always,
) -> Tool:
    """A tool whose arguments are a pydantic model; what the model is told of them is made from it."""

    async def checked(context: Context, given: dict[str, Any]) -> Result:
        return await run(context, arguments.model_validate(given))

    return Tool(ToolSpec(name, description, schema(arguments)), checked, writes, alone, fits)


@cache  # it takes milliseconds, and every turn offers its tools
def schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema in the few words that providers' models know: no titles, references or nulls."""
    whole = arguments.model_json_schema()
    plain = _plain(whole, whole.get("$defs", {}))
    plain.pop("$defs", None)
    plain.pop("description", None)
    return {**plain, "additionalProperties": False}


def _plain(given: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(given, list):
        return [_plain(one, definitions) for one in given]
    if not isinstance(given, dict):
        return given
    if "$ref" in given:
        given = definitions[given["$ref"].rpartition("/")[2]]
    kept = {}
    for key, value in given.items():
        if key == "properties":
            kept[key] = {name: _plain(one, definitions) for name, one in value.items()}
        elif key not in ("title", "$defs") and not (key == "default" and value is None):
            kept[key] = _plain(value, definitions)
    either = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if len(either) == 1:  # `X | None`
        del kept["anyOf"]
        kept = {**either[0], **kept}
    return kept


def text_of(given: str) -> str:
    """Without what is no Unicode text: half a surrogate pair can be spelled in JSON."""
    return given.encode("utf-8", "replace").decode()
