"""The platform itself: health, doctor, environments, tokens, signing in."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from pullwright import __version__
from pullwright.api.access import COOKIE, OWN_PAGES, Admin, House, Reader, Whole, give_cookie
from pullwright.api.codes import Codes
from pullwright.api.orders import SignIn, TokenOrder
from pullwright.api.problems import Refused, problems
from pullwright.api.sign_in import SignedOut, way_out
from pullwright.domain.access import Role, Scope, Token
from pullwright.flow import desk
from pullwright.flow.callers import end_session, open_session
from pullwright.flow.tokens import holder, issue_for

router = APIRouter(tags=["house"])


class Health(BaseModel):
    """That the server is there."""

    version: str


class FindingView(BaseModel):
    """One line of what the machine offers."""

    subject: str
    ok: bool
    text: str
    remedy: str


class NewToken(BaseModel):
    """A token that has just been made. `secret` is shown this once."""

    token: Token
    secret: str


class Me(BaseModel):
    """Who is asking."""

    name: str
    scope: Scope = Field(description="What this token or session may do at most.")
    user: str | None = Field(description="The user's id; null for a token of the house itself.")
    role: Role
    teams: tuple[str, ...]
    sees: tuple[str, ...] | None = Field(
        description="Repositories that they may use, by their teams' rules; null: all."
    )


@router.get("/health", summary="Whether the server is there")
async def health() -> Health:
    """The only route that takes no token, besides signing in."""
    return Health(version=__version__)


@router.get("/me", responses=problems(401, 403), summary="Whose token this is")
async def me(caller: Reader) -> Me:
    """Their name, and what they may do and see."""
    return Me(
        name=caller.name, scope=caller.scope, user=caller.user, role=caller.role, teams=caller.teams, sees=caller.rules
    )


@router.post("/session", status_code=204, responses=problems(401, 403, 422), summary="Sign a browser in")
async def sign_in(given: SignIn, request: Request, response: Response, whole: Whole) -> None:
    """With a token. The cookie holds something else, which no script can read; it ends with the token at the latest."""
    if request.headers.get(OWN_PAGES) != "1":
        raise Refused(403, "Not from our pages", f"Signing in carries `{OWN_PAGES}: 1`.")
    secret = given.token
    if given.code is not None:
        codes: Codes = request.app.state.codes
        secret = codes.redeem(given.code)
        if secret is None:
            remedy = "Sign in with a token, or take the address that `pullwright serve` prints at its next start."
            raise Refused(401, "Not signed in", f"That code has been used or is too old. {remedy}")
    token = await holder(whole.record, secret) if secret else None
    if token is None:
        raise Refused(
            401, "Not signed in", "That token is not known, or was revoked. `pullwright token create` makes one."
        )
    give_cookie(request, response, await open_session(whole.record, token=token.id))


@router.delete("/session", responses=problems(401, 403), summary="Sign a browser out")
async def sign_out(request: Request, response: Response, whole: Whole, _: Reader) -> SignedOut:
    """The cookie is worth nothing from now on. A token that it was got with stays good; revoke it to end it, too.

    Who signed in at an issuer may still be signed in there; `end` is where that ends.
    """
    cookie = request.cookies.get(COOKIE)
    ended = await end_session(whole.record, cookie) if cookie else None
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return await way_out(request, response, whole, ended)


@router.get("/doctor", responses=problems(401, 403), summary="What this machine offers, and what is missing")
async def doctor(house: House, _: Admin) -> list[FindingView]:
    """As `pullwright doctor` says it."""
    return [
        FindingView(subject=found.subject, ok=found.ok, text=found.text, remedy=found.remedy)
        for found in await desk.findings(house)
    ]


@router.get("/tokens", responses=problems(401, 403), summary="Tokens, revoked ones too")
async def tokens(house: House, _: Reader) -> list[Token]:
    """An admin's view: all; a person's: their own. Without what their holders have."""
    return await house.record.tokens()


@router.post("/tokens", status_code=201, responses=problems(400, 401, 403, 404, 422), summary="Make a token")
async def create_token(order: TokenOrder, house: House, caller: Reader) -> NewToken:
    """For oneself, at most as powerful as one is; an admin also for others, or for nobody in particular.

    What its holder needs is answered this once and kept nowhere.
    """
    token, secret = await issue_for(house.record, caller, order.name, order.scope, order.user)
    return NewToken(token=token, secret=secret)


@router.delete("/tokens/{token}", status_code=204, responses=problems(401, 403, 404), summary="Revoke a token")
async def revoke_token(token: str, house: House, _: Reader) -> None:
    """One's own, or as an admin anybody's. From the next request on it is worth nothing."""
    await house.record.revoke_token(token)
