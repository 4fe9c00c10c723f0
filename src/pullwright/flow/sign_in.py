"""Who somebody is here who has signed in elsewhere: the issuer's groups become a role and teams."""

import hashlib
import re
import secrets

from pullwright.domain.access import HANDLE, Role, User
from pullwright.domain.errors import SignInRefused, UsageError
from pullwright.domain.value import now
from pullwright.flow.oidc import Claims
from pullwright.settings import SignInSettings
from pullwright.store.record import Record


async def known_as(record: Record, settings: SignInSettings, claims: Claims) -> User:
    """The user whom these claims speak of, with role and teams as the issuer has them now.

    Raises `SignInRefused` where they are not to be let in.
    """
    user = await record.people.user_of(claims.issuer, claims.subject)
    if user is not None and user.removed is not None:
        raise SignInRefused(f"{user.name} was removed here; an admin can make another user", "removed")
    role = role_of(settings, claims)
    if user is None:
        user = await _first_time(record, claims, role)
    if role is None and user.claimed:
        # The issuer gave the role and has taken it back.
        await record.people.change_user(user.id, role=Role.VIEWER)
        await record.people.claim_teams(user.id, frozenset())
        raise SignInRefused(f"{user.name} is in none of the groups that may use this server any more", "unknown")
    if role is not None and (user.role is not role or not user.claimed):
        user = await record.people.change_user(user.id, role=role, claimed=True)
    teams = frozenset(team for group, team in settings.teams.items() if group in claims.groups)
    await record.people.claim_teams(user.id, teams)
    return user


def role_of(settings: SignInSettings, claims: Claims) -> Role | None:
    """The highest role that groups or a verified address stand for; None: none is given to whoever comes."""
    names = claims.groups | ({claims.email} if claims.email else frozenset())
    mapped = ((Role.ADMIN, settings.admins), (Role.MEMBER, settings.members), (Role.VIEWER, settings.viewers))
    for role, listed in mapped:
        if any((one.lower() if "@" in one else one) in names for one in listed):
            return role
    return settings.default_role


async def _first_time(record: Record, claims: Claims, role: Role | None) -> User:
    """A user who was made beforehand with this address, else a new one, if whoever comes so may be one."""
    awaited = [user for user in await record.people.users() if user.email is not None and user.removed is None]
    if claims.email is not None:
        for user in awaited:
            if user.email == claims.email and user.subject is None:
                return await record.people.change_user(user.id, issuer=claims.issuer, subject=claims.subject)
    if role is None:
        why = "their mail address is not verified there, and " if claims.unverified else ""
        raise SignInRefused(
            f"{claims.name or claims.subject} is known at {claims.issuer} but not here: {why}no group of theirs is let "
            "in. An admin makes them a user (`pullwright user add NAME --email ADDRESS`) or names a group in "
            "PULLWRIGHT_OIDC_MEMBERS",
            "unverified" if claims.unverified else "unknown",
        )
    return await _made(record, claims, role)


async def _made(record: Record, claims: Claims, role: Role) -> User:
    tail = hashlib.sha256(f"{claims.issuer} {claims.subject}".encode()).hexdigest()[:8]
    stems = [_handle(claims.name), _handle(claims.email)]
    for name in (*(stem for stem in stems if stem), f"{next((stem for stem in stems if stem), 'user')[:90]}-{tail}"):
        user = User(
            id=secrets.token_hex(4),
            name=name,
            role=role,
            email=claims.email,
            issuer=claims.issuer,
            subject=claims.subject,
            created=now(),
            claimed=True,
        )
        try:
            return await record.people.add_user(user)
        except UsageError:
            continue  # the name is taken, and names are never shared
    raise SignInRefused(f"no name is free for {claims.subject}; an admin has to make a user", "unknown")


def _handle(text: str | None) -> str | None:
    """What stands in a claim, as a name here."""
    if not text:
        return None
    plain = re.sub(r"[^a-z0-9._@+-]+", "-", text.lower())[:100].lstrip("._@+-")
    return plain if re.fullmatch(HANDLE, plain) else None
