"""How answers are sent: as plain text, not at all where the client has them."""

import hashlib

from fastapi import Request, Response
from pydantic import BaseModel


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
