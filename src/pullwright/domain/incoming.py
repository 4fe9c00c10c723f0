"""What a forge tells by itself: what is asked for, by whom, where; and what became of it."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from pullwright.domain.value import Value


class Fate(StrEnum):
    """What became of what a forge told."""

    QUEUED = "queued"  # a worker looks at it as soon as it can
    TAKEN = "taken"  # a task was started, or goes on, for it
    IGNORED = "ignored"  # nobody has to do anything, or whoever spoke may not ask for it
    FAILED = "failed"  # it could not be taken up; `note` says why


class Topic(Value):
    """Where somebody spoke: an issue or a pull request, and the comment there, if it was one."""

    number: int = Field(ge=1)
    issue: bool = Field(description="An issue; else a pull request.")
    remark: str | None = Field(None, description="KIND:NUMBER of the comment, as `Remark` has it.")


class Asked(Value):
    """What somebody asks for by an event."""

    wants: Literal["task", "follow-up"]
    by: str = Field(description="The forge's name for whoever did it; empty for what a check reports.")
    how: Literal["label", "mention", "review", "check"]
    repository: str = Field(description="PATH on the forge: OWNER/NAME.")
    clone: str = Field("", description="The URL to fetch the repository from.")
    topic: Topic | None = None
    commit: str = Field("", description="Of a check: the commit that it is about.")
    author: str = Field("", description="Who wrote the issue.")
    title: str = ""
    body: str = ""
    words: str = Field("", description="Of a mention: what was said.")
    url: str = ""


class Told(Value):
    """One delivery of a forge, and what became of it."""

    id: str = Field(description="The SHA-256 of what was sent: the same thing sent again is the same delivery.")
    delivery: str = Field(description="What the forge calls the delivery.")
    host: str
    event: str
    asked: Asked
    received: datetime
    due: datetime = Field(description="When it is looked at next.")
    tries: int = 0
    fate: Fate = Fate.QUEUED
    note: str = ""
    task: str | None = None


class Names(Value):
    """By what people call for this platform on a forge."""

    name: str = Field(
        "pullwright",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,38}$",
        description="`PULLWRIGHT_MENTION`: the name that people mention on a forge, without the @.",
    )
    label: str = Field("pullwright", description="`PULLWRIGHT_LABEL`: the label that starts a task on an issue.")

    def addressed(self, text: str) -> bool:
        """Whether somebody speaks to us: `@NAME` or `/NAME` in words of their own, not in quoted lines or code."""
        own = re.sub(r"(?ms)^\s*(```|~~~).*?(^\s*\1|\Z)", "", text)
        own = "\n".join(line for line in own.splitlines() if not line.lstrip().startswith(">"))
        own = re.sub(r"`[^`\n]*`", "", own)
        return re.search(rf"(?:^|[^\w@/.-])[@/]{re.escape(self.name)}(?![\w-]|\.\w)", own, re.IGNORECASE) is not None
