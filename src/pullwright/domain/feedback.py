"""What people and checks say about a pull request. All of it is data from outside."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from pullwright.domain.value import Value


class Remark(Value):
    """One comment, line comment or review of a pull request."""

    id: str = Field(description="Unique and lasting within the pull request: KIND:NUMBER.")
    kind: Literal["comment", "line", "review"]
    author: str
    trusted: bool = Field(description="Whether the author may write to the repository.")
    text: str
    path: str | None = Field(None, description="Of a line comment: the file.")
    line: int | None = Field(None, description="Of a line comment: the line, counted from 1; None: the whole file.")
    verdict: Literal["approved", "changes-requested", "commented"] | None = Field(None, description="Of a review.")
    url: str = ""
    created: datetime | None = None


class CheckResult(Value):
    """One check of a commit as the forge knows it."""

    id: str = Field(description="Unique and lasting within the commit.")
    name: str
    state: Literal["pending", "passed", "failed"]
    summary: str = Field("", description="What it says about itself, cut where long.")
    url: str = ""
