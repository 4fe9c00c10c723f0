"""Server-sent events that go on where they broke off (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from pullwright.domain.task import State
from pullwright.domain.value import Value


class Happened(Value):
    """That something happened, anywhere; what it was is in the log."""

    task: str
    log: str
    number: int
    kind: str
    state: State | None = Field(description="Where it moved to, if it moved.")
    at: datetime


@dataclass(frozen=True)
class Frame:
    """One event as it came."""

    kind: str
    data: str
    id: int | None


async def frames(lines: AsyncIterator[str]) -> AsyncIterator[Frame]:
    """The events that these lines hold; comments are left out."""
    kind, identity = "message", None
    data: list[str] = []
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "" if not line:
                if data:
                    yield Frame(kind, "\n".join(data), identity)
                kind, data, identity = "message", [], None
            case "event":
                kind = value
            case "data":
                data.append(value)
            case "id" if value.isdecimal():
                identity = int(value)
            case _:
                pass
