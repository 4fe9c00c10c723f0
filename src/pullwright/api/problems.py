"""Errors as problem details (RFC 9457): a fact, then the remedy, as everywhere."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pullwright.domain.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    ForgeError,
    IllegalMove,
    MachineError,
    NotAllowed,
    PullwrightError,
    RepositoryError,
    SignInUnavailable,
    UsageError,
)

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong and what to do about it."""

    title: str = Field(description="The kind of problem, always the same words for it.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="The fact, then the remedy.")


class Refused(Exception):
    """A request is answered with a problem."""

    def __init__(self, status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.headers = status, title, detail, headers


def not_found(what: str) -> Refused:
    """There is nothing of that name."""
    return Refused(404, "Not found", what)


MEANT = {
    400: "The request cannot be meant as it stands.",
    401: "Nobody is signed in, or the token is not known.",
    403: "The token does not allow this.",
    404: "There is nothing of that name.",
    409: "It cannot be done in the state that things are in.",
    412: "The thing has changed since it was read.",
    416: "The range asked for lies outside of the text.",
    422: "The request does not have the form that is described.",
    502: "A repository, a forge or a model could not be reached.",
    503: "This machine cannot do it at present.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route may fail, for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": MEANT[status], "content": content} for status in sorted(statuses)}


def answer(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    body = Problem(title=title, status=status, detail=detail).model_dump()
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def meaning(error: PullwrightError) -> tuple[int, str]:
    """The status and the title of an error of ours."""
    match error:
        case NotAllowed():
            return 403, "Not allowed"
        case UsageError() if str(error).startswith("There is no "):
            return 404, "Not found"
        case DatabaseUnavailable():
            return 503, "This machine cannot"
        case UsageError() | ConfigurationError():
            return 400, "It cannot be meant so"
        case IllegalMove():
            return 409, "Not in this state"
        case RepositoryError() | ForgeError() | SignInUnavailable():
            return 502, "Out of reach"
        case MachineError():
            return 503, "This machine cannot"
        case _:
            return 503, "It failed"


def answer_errors(app: FastAPI) -> None:
    """Let every error of ours, and every request that does not fit, be answered with a problem."""

    @app.exception_handler(PullwrightError)
    async def _ours(_: Request, error: PullwrightError) -> JSONResponse:
        status, title = meaning(error)
        return answer(status, title, str(error))

    @app.exception_handler(Refused)
    async def _refused(_: Request, error: Refused) -> JSONResponse:
        return answer(error.status, error.title, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _unfit(_: Request, error: RequestValidationError) -> JSONResponse:
        said = [(".".join(map(str, one["loc"][1:])) or str(one["loc"][0]), one["msg"]) for one in error.errors()]
        wrong = "; ".join(f"{where}: {what}" for where, what in said)
        return answer(422, "It does not fit", f"{wrong}. The document at /api/v1/openapi.json says what does.")

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return answer(error.status_code, error.detail, "See /api/v1/openapi.json for what there is.", headers)
