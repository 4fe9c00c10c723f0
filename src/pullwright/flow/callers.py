"""Who asks: from what was sent to a caller, and to the platform as that caller may use it."""

import secrets
from dataclasses import replace
from datetime import timedelta

from pullwright.domain.access import Caller, Role, Scope, Session, Token, digest
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import holder
from pullwright.store.record import Record
from pullwright.store.visible import VisibleRecord

SESSION_DAYS = 30


async def by_token(record: Record, secret: str) -> Caller | None:
    """Who has this token, if anybody."""
    token = await holder(record, secret)
    return None if token is None else await _with_token(record, token)


async def by_session(record: Record, secret: str) -> Caller | None:
    """Who has signed in with what this cookie stands for, if it is still good."""
    found = await record.people.session(digest(secret), now())
    if found is None:
        return None
    session, token = found
    if token is not None:
        return await _with_token(record, token)
    return None if session.user is None else await _person(record, session.user, Scope.ADMIN)


async def open_session(
    record: Record, *, token: str | None = None, user: str | None = None, hint: str | None = None
) -> str:
    """Sign a browser in, with a token by its id or as a user; gives what its cookie is to hold. It is kept nowhere.

    `hint` is the ID token of an issuer who vouches for the user.
    """
    secret = secrets.token_urlsafe(32)
    started = now()
    expires = started + timedelta(days=SESSION_DAYS)
    session = Session(digest=digest(secret), user=user, token=token, hint=hint, created=started, expires=expires)
    await record.people.add_session(session)
    return secret


async def end_session(record: Record, secret: str) -> Session | None:
    """Sign a browser out: its cookie is worth nothing from now on. Gives the session that this has ended."""
    return await record.people.end_session(digest(secret))


def as_seen_by(platform: Platform, caller: Caller) -> Platform:
    """The platform as this caller may use it: what they do not see is not there, by whichever flow it is asked for."""
    seen = VisibleRecord(platform.record, caller)
    return replace(platform, record=seen, repositories=replace(platform.repositories, admit=seen.admit))


async def _with_token(record: Record, token: Token) -> Caller | None:
    if token.user is not None:
        return await _person(record, token.user, token.scope)
    role = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.MEMBER, Scope.ADMIN: Role.ADMIN}[token.scope]
    return Caller(name=token.name, scope=token.scope, role=role)


async def _person(record: Record, user: str, most: Scope) -> Caller | None:
    standing = await record.people.standing(user)
    if standing is None:
        return None
    role = standing.user.role
    everything = role is Role.ADMIN
    return Caller(
        name=standing.user.name,
        scope=role.scope if most.includes(role.scope) else most,
        user=user,
        role=role,
        teams=standing.teams,
        rules=None if everything else standing.rules,
        repositories=None if everything else standing.repositories,
    )
