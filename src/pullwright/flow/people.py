"""Where an admin says who may use the server, and which repositories' tasks they see."""

import re
import secrets
from collections.abc import Sequence

from pullwright.domain.access import EVERYTHING, HANDLE, Role, Team, User
from pullwright.domain.errors import UsageError
from pullwright.domain.value import now
from pullwright.store.record import Record


async def add_user(record: Record, name: str, role: Role, email: str | None = None) -> User:
    """Make a user; tokens, or a sign-in by which they are known, come after. Raises `UsageError`."""
    user = User(id=secrets.token_hex(4), name=handle(name), role=role, email=address(email), created=now())
    return await record.people.add_user(user)


async def add_team(record: Record, name: str, repositories: Sequence[str], members: Sequence[str]) -> Team:
    """Make a team of these people, with these repositories. Raises `UsageError`."""
    name, rules = handle(name), tuple(rule(one) for one in repositories)
    for member in members:
        await record.people.user(member)
    await record.people.add_team(name)
    return await record.people.change_team(name, repositories=rules, members=tuple(members))


async def change_team(
    record: Record,
    name: str,
    *,
    add_repositories: Sequence[str] = (),
    drop_repositories: Sequence[str] = (),
    add_members: Sequence[str] = (),
    drop_members: Sequence[str] = (),
) -> Team:
    """Give and take what a team has and who is in it. Raises `UsageError` for what cannot be taken."""
    team = await record.people.team(name)
    dropped = [rule(one) for one in drop_repositories]
    if missing := [one for one in dropped if one not in team.repositories]:
        raise UsageError(f"team {name} has no {missing[0]}; it has {', '.join(team.repositories) or 'no repository'}")
    if missing := [one for one in drop_members if one not in team.members]:
        raise UsageError(f"{missing[0]} is not in team {name}; it has {', '.join(team.members) or 'no members'}")
    rules = [one for one in team.repositories if one not in dropped] + [rule(one) for one in add_repositories]
    members = [one for one in team.members if one not in drop_members]
    members += [(await record.people.user(one)).name for one in add_members]
    return await record.people.change_team(name, repositories=tuple(rules), members=tuple(dict.fromkeys(members)))


async def set_team(record: Record, name: str, repositories: Sequence[str], members: Sequence[str]) -> Team:
    """Say anew what a team has and who is in it. Raises `UsageError`."""
    rules = tuple(rule(one) for one in repositories)
    names = [(await record.people.user(one)).name for one in members]
    return await record.people.change_team(name, repositories=rules, members=tuple(dict.fromkeys(names)))


def handle(name: str) -> str:
    """A name of a user or a team, in lower case. Raises `UsageError`."""
    if not re.fullmatch(HANDLE, name.lower()):
        raise UsageError(f"{name!r} is no name here: it takes letters, digits and . _ - @ +, 100 at most")
    return name.lower()


def address(email: str | None) -> str | None:
    """A mail address in lower case. Raises `UsageError`."""
    if email is None:
        return None
    if not re.fullmatch(r"[^@\s\x00-\x1f\x7f]{1,200}@[^@\s\x00-\x1f\x7f]{1,119}", email):
        raise UsageError(f"{email!r} is no mail address")
    return email.lower()


def rule(text: str) -> str:
    """What names repositories: a URL or an absolute path, the same with `/*` for all below, or `*`.

    Raises `UsageError`.
    """
    known = text.strip()
    if known == EVERYTHING:
        return known
    place = known.removesuffix("/*")
    if (
        not known.isprintable()
        or "*" in place
        or not re.fullmatch(r"/\S.*|[a-z]+://[^/\s]+(/\S*)?|[^/@:\s]+@[^/@:\s]+:\S+", place)
    ):
        raise UsageError(f"{text!r} names no repositories: give a URL or a path, either with /* at its end, or *")
    place = place.rstrip("/").removesuffix(".git")
    return f"{place}/*" if known.endswith("/*") else place
