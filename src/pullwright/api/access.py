"""Who asks, and the one place that says which route takes what.

A client sends `Authorization: Bearer TOKEN`. A browser signs in once and is known by a cookie afterwards, which no
script can read; what changes something must then come from our own pages: their requests carry `X-Pullwright: 1`, which
no other origin's can without being asked about first (https://fetch.spec.whatwg.org/#http-cors-protocol).
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from pullwright.api.problems import Refused
from pullwright.domain.access import Scope, Token
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import holder

COOKIE = "pullwright"
OWN_PAGES = "x-pullwright"

_bearer = HTTPBearer(auto_error=False, description="A token: `pullwright token create NAME`.")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="A browser that has signed in.")


def platform_of(request: Request) -> Platform:
    """The platform that the application serves."""
    platform: Platform = request.app.state.platform
    return platform


def _secret(request: Request) -> tuple[str | None, bool]:
    """What was sent to be known by, and whether a browser sent it by itself."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and given.strip():
        return given.strip(), False
    return request.cookies.get(COOKIE), True


async def _admit(request: Request, scope: Scope) -> Token:
    secret, by_itself = _secret(request)
    token = await holder(platform_of(request).record, secret) if secret else None
    if token is None:
        raise Refused(
            401,
            "Not signed in",
            "Send `Authorization: Bearer TOKEN`, or open the address that `pullwright serve` printed.",
            {"www-authenticate": "Bearer"},
        )
    if by_itself and request.method not in ("GET", "HEAD") and request.headers.get(OWN_PAGES) != "1":
        raise Refused(403, "Not from our pages", f"What changes something carries `{OWN_PAGES}: 1`.")
    if not token.scope.includes(scope):
        raise Refused(403, "Not allowed", f"This takes a token of scope {scope}; {token.name!r} has {token.scope}.")
    return token


def _admitting(scope: Scope) -> Callable[..., Awaitable[Token]]:
    async def admit(
        request: Request, _bearer: Annotated[object, Depends(_bearer)], _cookie: Annotated[object, Depends(_cookie)]
    ) -> Token:
        return await _admit(request, scope)

    return admit


# The only ways into a route; a test holds every route against them.
Reader = Annotated[Token, Depends(_admitting(Scope.READ))]
Writer = Annotated[Token, Depends(_admitting(Scope.WRITE))]
Admin = Annotated[Token, Depends(_admitting(Scope.ADMIN))]
House = Annotated[Platform, Depends(platform_of)]
