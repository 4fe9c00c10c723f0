"""Tokens of the API: made, known again."""

import secrets

from pullwright.domain.access import Caller, Scope, Token, digest
from pullwright.domain.errors import NotAllowed
from pullwright.domain.value import now
from pullwright.store.record import Record

_USED_SECONDS = 60.0  # a token's last use is written down at most that often


async def issue(record: Record, name: str, scope: Scope, user: str | None = None) -> tuple[Token, str]:
    """A new token, for a user by their id or for nobody in particular, and what its holder gets to see this once."""
    secret = f"pw_{secrets.token_urlsafe(32)}"
    token = Token(id=secrets.token_hex(4), name=name, scope=scope, user=user, created=now())
    await record.add_token(token, digest(secret))
    return token, secret


async def issue_for(
    record: Record, caller: Caller, name: str, scope: Scope | None = None, user: str | None = None
) -> tuple[Token, str]:
    """A new token that somebody asks for. Raises `NotAllowed` where it could do more than they may, `UsageError`."""
    scope = scope or (Scope.WRITE if caller.scope.includes(Scope.WRITE) else caller.scope)
    if user is not None and user not in (caller.user, caller.name) and caller.scope is not Scope.ADMIN:
        raise NotAllowed("only an admin makes tokens for others; leave the user out to make one for yourself")
    if user is None and caller.user is None and caller.scope is not Scope.ADMIN:
        raise NotAllowed(f"{caller.name!r} is a token of the house, which makes no tokens; an admin does")
    if not caller.scope.includes(scope):
        raise NotAllowed(f"a token of scope {scope} could do more than you may; {caller.scope} is the most")
    theirs = caller.user if user is None else (await record.people.user(user)).id
    return await issue(record, name, scope, theirs)


async def holder(record: Record, secret: str) -> Token | None:
    """The token that this is, if it is one; its use is remembered."""
    token = await record.token(digest(secret))
    if token is not None and (token.used is None or (now() - token.used).total_seconds() > _USED_SECONDS):
        await record.use_token(token.id)
    return token
