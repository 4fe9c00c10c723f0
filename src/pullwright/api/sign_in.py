"""Signing in and out at somebody else's: where a browser is sent, and where it comes back to.

What goes wrong is a problem for programs; a browser is led to the console's way in with one word for it, which the page
explains: nothing that came with an address is ever shown there.
"""

import asyncio
import logging
import secrets
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from pullwright.api.access import Whole, give_cookie
from pullwright.api.problems import Refused, not_found, problems
from pullwright.domain.access import Session
from pullwright.domain.errors import PullwrightError, SignInRefused, SignInUnavailable, SignInWhy
from pullwright.flow.callers import open_session
from pullwright.flow.oidc import CALLBACK, ENDED, MINUTES, Issuer
from pullwright.flow.platform import Platform
from pullwright.flow.sign_in import known_as

_COOKIE = "pullwright-sign-in"
_LEAVING = "pullwright-sign-out"
_LEAVE_SECONDS = 3.0
_TELLING = ("misconfigured", "unfit", "unreachable")  # whose reasons an admin needs in full
_SAID: dict[str, SignInWhy] = {
    "access_denied": "denied",
    "server_error": "unreachable",
    "temporarily_unavailable": "unreachable",
    "invalid_request": "misconfigured",
    "invalid_scope": "misconfigured",
    "unauthorized_client": "misconfigured",
    "unsupported_response_type": "misconfigured",
}
"""What an issuer may answer instead of signing in (RFC 6749, section 4.1.2.1), in our words."""

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
    try:
        address, known_by = await _issuer(request).begin(whole.record, redirect, back)
    except (PullwrightError, Refused) as error:
        return _led_back(request, error)
    response = RedirectResponse(address, status_code=302)
    _remember(response, _COOKIE, known_by, redirect)
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
    """Once for each sign-in, in the browser that began it.

    A browser (one that accepts `text/html`) that is not let in goes on to the console, which says why.
    """
    try:
        issuer = _issuer(request)
        if error is not None:
            said = "".join(character for character in error[:100] if character.isprintable())
            raise SignInRefused(
                f"{issuer.settings.issuer} says {said!r}; begin again at /session/oidc", _SAID.get(error, "unfit")
            )
        if not state or not code:
            raise Refused(400, "It cannot be meant so", "A sign-in comes back with `state` and `code`; begin it anew.")
        known_by = request.cookies.get(_COOKIE)
        claims, back = await issuer.finish(whole.record, state=state, browser=known_by, code=code, issuer=iss)
        user = await known_as(whole.record, issuer.settings, claims)
    except (PullwrightError, Refused) as refusal:
        return _led_back(request, refusal)
    response = RedirectResponse(back, status_code=302)
    give_cookie(request, response, await open_session(whole.record, user=user.id, hint=claims.token))
    response.delete_cookie(_COOKIE, path=CALLBACK)
    return response


class SignedOut(BaseModel):
    """What is left to do once a browser is signed out here."""

    issuer: str | None = Field(description="The host that vouched for them and may still know the browser.")
    end: str | None = Field(description="Where a browser goes to be signed out there, too; null: it offers none.")


async def way_out(request: Request, response: Response, whole: Platform, ended: Session | None) -> SignedOut:
    """Where the browser of a session that has just ended goes on to; `response` lets it be known when it comes back."""
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None or ended is None or ended.user is None:
        return SignedOut(issuer=None, end=None)
    back, state = _origin(request, whole) + ENDED, secrets.token_urlsafe(32)
    end = None
    try:
        async with asyncio.timeout(_LEAVE_SECONDS):  # nobody waits long to be gone
            end = await issuer.way_out(ended.hint, back, state)
    except TimeoutError:
        pass
    except PullwrightError as error:
        _tell(error)
    if end is not None:
        _remember(response, _LEAVING, state, back)
    return SignedOut(issuer=urlsplit(issuer.settings.issuer).hostname, end=end)


@router.get(
    "/session/oidc/ended",
    status_code=302,
    response_class=Response,
    responses={**_TOLD, **problems(422)},
    summary="Where the issuer sends a browser back to that has signed out",
)
async def ended(request: Request, state: Sent = None) -> Response:
    """The console says that it is signed out at the issuer, too, if this browser asked for that."""
    known = request.cookies.get(_LEAVING)
    asked = known is not None and state is not None and secrets.compare_digest(known.encode(), state.encode())
    response = RedirectResponse("/#signed-out=everywhere" if asked else "/", status_code=302)
    response.delete_cookie(_LEAVING, path=ENDED)
    return response


def _remember(response: Response, name: str, value: str, address: str) -> None:
    """Know a browser again that comes back to an address of ours, soon."""
    response.set_cookie(
        name,
        value,
        max_age=MINUTES * 60,
        path=urlsplit(address).path,
        httponly=True,
        samesite="lax",  # it has to come with a browser that the issuer sends back
        secure=address.startswith("https:"),
    )


def _led_back(request: Request, error: PullwrightError | Refused) -> Response:
    """A browser goes on to the console, which says why; whoever else asks is told the problem."""
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    why: SignInWhy = "misconfigured"
    match error:
        case SignInRefused():
            why = error.why
        case SignInUnavailable():
            why = "unreachable"
        case Refused(status=400):
            why = "stale"
    if why in _TELLING and isinstance(error, PullwrightError):
        _tell(error)
    return RedirectResponse(f"/#sign-in={why}", status_code=302)


def _tell(error: PullwrightError) -> None:
    """In the server's own output, on one line."""
    text = "".join(character if character.isprintable() else " " for character in str(error))
    logging.getLogger(__name__).warning("sign-in at the issuer: %s", text)


def _issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        raise not_found("There is no issuer to sign in at; PULLWRIGHT_OIDC_ISSUER names one. A token signs in, too.")
    return issuer


def _origin(request: Request, whole: Platform) -> str:
    """Where the browser sees this server: as it was told, else as it asks, which only known hosts may."""
    return whole.settings.url or f"{request.url.scheme}://{request.url.netloc}"
