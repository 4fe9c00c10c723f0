"""Who asks, and the one place that says which route takes what.

A client sends `Authorization: Bearer TOKEN`. A browser signs in once and is known by a cookie afterwards, which no
script can read; what changes something must then come from our own pages: their requests carry `X-Pullwright: 1`, which
no other origin's can without being asked about first (https://fetch.spec.whatwg.org/#http-cors-protocol).

What a caller may not see is not there for them: routes get the platform as its record looks through the caller's eyes
(`store/visible.py`), whichever flow they go on to ask.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer

from pullwright.api.problems import Refused
from pullwright.domain.access import Caller, Scope
from pullwright.flow.callers import SESSION_DAYS, as_seen_by, by_session, by_token
from pullwright.flow.platform import Platform

COOKIE = "pullwright"
OWN_PAGES = "x-pullwright"

_bearer = HTTPBearer(auto_error=False, description="A token: `pullwright token create NAME`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="A browser that has signed in.")


def platform_of(request: Request) -> Platform:
    """The platform that the application serves."""
    platform: Platform = request.app.state.platform
    return platform


def give_cookie(request: Request, response: Response, secret: str) -> None:
    """Let a browser be known by this from now on."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=SESSION_DAYS * 24 * 3600,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def _secret(request: Request) -> tuple[str | None, bool]:
    """What was sent to be known by, and whether a browser sent it by itself."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and given.strip():
        return given.strip(), False
    return request.cookies.get(COOKIE), True


async def _known(request: Request) -> tuple[Caller | None, bool]:
    secret, by_itself = _secret(request)
    if not secret:
        return None, by_itself
    record = platform_of(request).record
    return await (by_session(record, secret) if by_itself else by_token(record, secret)), by_itself


async def caller_by_bearer(request: Request) -> Caller | None:
    """Who asks by a token that was sent for this request; a browser's cookie is none."""
    secret, by_itself = _secret(request)
    return None if by_itself or not secret else await by_token(platform_of(request).record, secret)


async def still_holds(request: Request, caller: Caller) -> bool:
    """Whether who asked before may still do and see the same; what takes long asks now and then."""
    found, _ = await _known(request)
    return found is not None and found.model_copy(update={"repositories": caller.repositories}) == caller


async def caller_of(
    request: Request, _bearer: Annotated[object, Depends(_bearer)], _cookie: Annotated[object, Depends(_cookie)]
) -> Caller:
    """Who asks. Raises `Refused`."""
    caller, by_itself = await _known(request)
    if caller is None:
        raise Refused(
            401,
            "Not signed in",
            "Send `Authorization: Bearer TOKEN`, or open the address that `pullwright serve` printed.",
            {"www-authenticate": "Bearer"},
        )
    if by_itself and request.method not in ("GET", "HEAD") and request.headers.get(OWN_PAGES) != "1":
        raise Refused(403, "Not from our pages", f"What changes something carries `{OWN_PAGES}: 1`.")
    return caller


Known = Annotated[Caller, Depends(caller_of)]


def _admitting(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    async def admit(caller: Known) -> Caller:
        if not caller.scope.includes(scope):
            raise Refused(403, "Not allowed", f"This takes {scope}; {caller.name!r} has {caller.scope} here.")
        return caller

    return admit


def _as_seen(request: Request, caller: Known) -> Platform:
    return as_seen_by(platform_of(request), caller)


# The only ways into a route; a test holds every route against them.
Reader = Annotated[Caller, Depends(_admitting(Scope.READ))]
Writer = Annotated[Caller, Depends(_admitting(Scope.WRITE))]
Admin = Annotated[Caller, Depends(_admitting(Scope.ADMIN))]
House = Annotated[Platform, Depends(_as_seen)]  # with nothing in it that the caller may not see
Whole = Annotated[Platform, Depends(platform_of)]  # for routes that nobody has signed in for yet
