"""How answers are sent: as plain text, not at all where the client has them."""

import hashlib
import re
from typing import Annotated

from fastapi import Header, Request, Response
from pydantic import BaseModel

from pullwright.api.problems import Refused

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

Bytes = Annotated[str | None, Header(alias="Range", max_length=100, description="`bytes=FIRST-LAST`; one range.")]


class Unchanged(Exception):
    """The client has what it asks for."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


def unless_known(request: Request, response: Response, view: BaseModel) -> None:
    """Tag an answer by what it holds. Raises `Unchanged` where `If-None-Match` names that."""
    tag = f'"{hashlib.sha256(view.model_dump_json().encode("utf-8", "replace")).hexdigest()[:32]}"'
    if tag in (known.strip() for known in request.headers.get("if-none-match", "").split(",")):
        raise Unchanged(tag)
    response.headers["etag"] = tag
    response.headers["cache-control"] = "private, no-cache"


def text(data: bytes) -> Response:
    """Whatever a repository holds is shown as text and as nothing else."""
    headers = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox"}
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


def partial(data: bytes, part: str | None) -> Response:
    """All of it, or the range that was asked for (RFC 9110, section 14); other units and several ranges get all."""
    headers = {
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    match = _RANGE.fullmatch(part or "")
    if match is None or match.groups() == ("", ""):
        return Response(data, media_type="text/plain; charset=utf-8", headers=headers)
    first, last = match.groups()
    start = int(first) if first else max(len(data) - int(last), 0)
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > end:
        whole = {"content-range": f"bytes */{len(data)}"}
        raise Refused(416, "Out of range", f"The text has {len(data)} bytes.", whole)
    headers["content-range"] = f"bytes {start}-{end}/{len(data)}"
    return Response(data[start : end + 1], status_code=206, media_type="text/plain; charset=utf-8", headers=headers)
