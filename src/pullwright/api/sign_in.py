"""Signing in at somebody else's: where a browser is sent, and where it comes back to."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from pullwright.api.access import Whole, give_cookie
from pullwright.api.problems import Refused, not_found, problems
from pullwright.flow.callers import open_session
from pullwright.flow.oidc import CALLBACK, MINUTES, Issuer
from pullwright.flow.platform import Platform
from pullwright.flow.sign_in import known_as

_COOKIE = "pullwright-sign-in"

router = APIRouter(tags=["house"])


class Ways(BaseModel):
    """How a browser can sign in, besides with a token."""

    oidc: str | None = Field(description="The host that vouches for people; `/session/oidc` leads there. null: none.")


@router.get("/session/ways", summary="How a browser can sign in")
async def ways(whole: Whole) -> Ways:
    """For the page that asks for it; takes no token."""
    settings = whole.settings.sign_in
    return Ways(oidc=None if settings is None else urlsplit(settings.issuer).hostname)


_TOLD: dict[int | str, dict[str, Any]] = {302: {"description": "Where the browser goes on.", "content": {}}}


@router.get(
    "/session/oidc",
    status_code=302,
    response_class=Response,
    responses={**_TOLD, **problems(400, 404, 422, 502)},
    summary="Begin to sign in at the issuer",
)
async def begin_sign_in(
    request: Request,
    whole: Whole,
    back: Annotated[
        str,
        Query(max_length=500, pattern=r"^/([^/\\].*)?$", description="Where in the console to go afterwards."),
    ] = "/",
) -> Response:
    """A browser is sent there and comes back to `/session/oidc/callback`, within ten minutes."""
    redirect = _origin(request, whole) + CALLBACK
    address, known_by = await _issuer(request).begin(whole.record, redirect, back)
    response = RedirectResponse(address, status_code=302)
    response.set_cookie(
        _COOKIE,
        known_by,
        max_age=MINUTES * 60,
        path=CALLBACK,
        httponly=True,
        samesite="lax",  # it has to come with a browser that the issuer sends back
        secure=redirect.startswith("https:"),
    )
    return response


Sent = Annotated[str | None, Query(max_length=4096)]


@router.get(
    "/session/oidc/callback",
    status_code=302,
    response_class=Response,
    responses={**_TOLD, **problems(400, 403, 404, 422, 502)},
    summary="Where the issuer sends a browser back to",
)
async def end_sign_in(
    request: Request, whole: Whole, state: Sent = None, code: Sent = None, error: Sent = None, iss: Sent = None
) -> Response:
    """Once for each sign-in, in the browser that began it."""
    issuer = _issuer(request)
    if error is not None:
        said = "".join(character for character in error[:100] if character.isprintable())
        raise Refused(403, "Not signed in", f"{issuer.settings.issuer} says {said!r}; begin again at /session/oidc.")
    if not state or not code:
        raise Refused(400, "It cannot be meant so", "A sign-in comes back with `state` and `code`; begin it anew.")
    known_by = request.cookies.get(_COOKIE)
    claims, back = await issuer.finish(whole.record, state=state, browser=known_by, code=code, issuer=iss)
    user = await known_as(whole.record, issuer.settings, claims)
    response = RedirectResponse(back, status_code=302)
    give_cookie(request, response, await open_session(whole.record, user=user.id))
    response.delete_cookie(_COOKIE, path=CALLBACK)
    return response


def _issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        raise not_found("There is no issuer to sign in at; PULLWRIGHT_OIDC_ISSUER names one. A token signs in, too.")
    return issuer


def _origin(request: Request, whole: Platform) -> str:
    """Where the browser sees this server: as it was told, else as it asks, which only known hosts may."""
    return whole.settings.url or f"{request.url.scheme}://{request.url.netloc}"
