"""Users, teams and sessions: who may ask, and which repositories they see."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from pullwright.domain.access import HANDLE, Role, Session, SignIn, Team, Token, User, has_repository
from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value, now
from pullwright.store.database import Database
from pullwright.store.schema import (
    REPOSITORIES,
    SESSIONS,
    SIGN_INS,
    TEAM_MEMBERS,
    TEAM_REPOSITORIES,
    TEAMS,
    TOKENS,
    USERS,
)


class Standing(Value):
    """What a user may see at this moment; `repositories` holds the keys of those that are known."""

    user: User
    teams: tuple[str, ...]
    rules: tuple[str, ...]
    repositories: frozenset[str]


class People:
    """Who may ask, behind async verbs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_user(self, user: User) -> User:
        """Write a new user down. Raises `UsageError` where the name is taken."""
        return await self._database.write(_add_user, user)

    async def users(self) -> list[User]:
        """All users by name, removed ones too."""
        return await self._database.read(_users)

    async def user(self, name: str) -> User:
        """A user who is not removed, by name or id. Raises `UsageError`."""
        return await self._database.read(_user, name)

    async def user_of(self, issuer: str, subject: str) -> User | None:
        """The user whom an issuer calls so, removed or not."""
        return await self._database.read(_user_of, issuer, subject)

    async def change_user(self, name: str, **changes: object) -> User:
        """Change what is known of a user: `role`, `email`, `issuer`, `subject`, `claimed`. Raises `UsageError`.

        A role that is given without `claimed` is a person's decision, which no issuer takes back.
        """
        decided = {"claimed": False} if "role" in changes else {}
        return await self._database.write(_change_user, name, decided | changes)

    async def remove_user(self, name: str) -> None:
        """Let a user in no more: tokens and sessions end with it. The name stays taken. Raises `UsageError`."""
        await self._database.write(_remove_user, name, now())

    async def standing(self, user: str) -> Standing | None:
        """What a user may see, by their id; None where they were removed."""
        return await self._database.read(_standing, user)

    async def add_team(self, name: str) -> Team:
        """Make a team. Raises `UsageError` where there is one of that name."""
        return await self._database.write(_add_team, name)

    async def teams(self) -> list[Team]:
        """All teams by name."""
        return await self._database.read(_teams)

    async def team(self, name: str) -> Team:
        """A team by its name. Raises `UsageError`."""
        return await self._database.read(_team, name)

    async def change_team(self, name: str, *, repositories: tuple[str, ...], members: tuple[str, ...]) -> Team:
        """Say anew what a team has and who is in it. Raises `UsageError`."""
        return await self._database.write(_change_team, name, repositories, members)

    async def remove_team(self, name: str) -> None:
        """Forget a team. Raises `UsageError`."""
        await self._database.write(_remove_team, name)

    async def claim_teams(self, user: str, teams: frozenset[str]) -> None:
        """Put a user into the teams that the issuer names, and out of those that it named before; made where missing.

        Memberships that a person decided stay.
        """
        await self._database.write(_claim_teams, user, teams)

    async def begin_sign_in(self, begun: SignIn) -> None:
        """Write down that a sign-in was begun; those that have run out are forgotten."""
        await self._database.write(_begin_sign_in, begun, now())

    async def end_sign_in(self, state: str, at: datetime) -> SignIn | None:
        """The sign-in of this state, which is good no more; None where it is none, or too old."""
        return await self._database.write(_end_sign_in, state, at)

    async def add_session(self, session: Session) -> None:
        """Write a session down; those that have run out are forgotten."""
        await self._database.write(_add_session, session)

    async def session(self, digest: str, at: datetime) -> tuple[Session, Token | None] | None:
        """A session that is still good at that time, with the token that it stands on, if any."""
        return await self._database.read(_session, digest, at)

    async def end_session(self, digest: str) -> Session | None:
        """Forget a session; gives what it was."""
        return await self._database.write(_end_session, digest)


def _add_user(connection: Connection, user: User) -> User:
    if connection.execute(select(USERS.c.id).where(USERS.c.name == user.name)).first() is not None:
        raise UsageError(f"the name {user.name} is taken; `pullwright user list --all` shows by whom")
    connection.execute(insert(USERS).values(user.model_dump() | {"role": user.role.value}))
    return user


def _users(connection: Connection) -> list[User]:
    return [_user_from(row) for row in connection.execute(select(USERS).order_by(USERS.c.name))]


def _user(connection: Connection, name: str) -> User:
    named = or_(USERS.c.name == name.lower(), USERS.c.id == name)
    there = select(USERS).where(named, USERS.c.removed.is_(None))
    # What no name can hold is not asked for: Postgres refuses a NUL.
    row = connection.execute(there).first() if re.fullmatch(HANDLE, name.lower()) else None
    if row is None:
        raise UsageError(f"There is no user {name}; `pullwright user list` shows them.")
    return _user_from(row)


def _user_of(connection: Connection, issuer: str, subject: str) -> User | None:
    row = connection.execute(select(USERS).where(USERS.c.issuer == issuer, USERS.c.subject == subject)).first()
    return None if row is None else _user_from(row)


def _change_user(connection: Connection, name: str, changes: dict[str, object]) -> User:
    user = _user(connection, name)
    changed = User.model_validate(user.model_dump() | changes)
    columns = {key: value.value if isinstance(value, Role) else value for key, value in changes.items()}
    connection.execute(update(USERS).where(USERS.c.id == user.id).values(columns))
    return changed


def _remove_user(connection: Connection, name: str, at: datetime) -> None:
    user = _user(connection, name)
    connection.execute(update(USERS).where(USERS.c.id == user.id).values(removed=at))
    connection.execute(update(TOKENS).where(TOKENS.c.user == user.id, TOKENS.c.revoked.is_(None)).values(revoked=at))
    connection.execute(delete(SESSIONS).where(SESSIONS.c.user == user.id))
    connection.execute(delete(TEAM_MEMBERS).where(TEAM_MEMBERS.c.user == user.id))


def _standing(connection: Connection, user: str) -> Standing | None:
    row = connection.execute(select(USERS).where(USERS.c.id == user, USERS.c.removed.is_(None))).first()
    if row is None:
        return None
    theirs = select(TEAM_MEMBERS.c.team).where(TEAM_MEMBERS.c.user == user).order_by(TEAM_MEMBERS.c.team)
    teams = tuple(connection.execute(theirs).scalars())
    those = select(TEAM_REPOSITORIES.c.rule).where(TEAM_REPOSITORIES.c.team.in_(teams)).distinct()
    rules = tuple(sorted(connection.execute(those).scalars()))
    known = connection.execute(select(REPOSITORIES)).all() if rules else []
    keys = frozenset(one.key for one in known if has_repository(rules, one.location))
    return Standing(user=_user_from(row), teams=teams, rules=rules, repositories=keys)


def _add_team(connection: Connection, name: str) -> Team:
    if connection.execute(select(TEAMS.c.name).where(TEAMS.c.name == name)).first() is not None:
        raise UsageError(f"there is a team {name} already; `pullwright team list` shows it")
    team = Team(name=name)
    connection.execute(insert(TEAMS).values(name=name))
    return team


def _teams(connection: Connection) -> list[Team]:
    names = connection.execute(select(TEAMS.c.name).order_by(TEAMS.c.name)).scalars().all()
    return [_team(connection, name) for name in names]


def _team(connection: Connection, name: str) -> Team:
    there = select(TEAMS.c.name).where(TEAMS.c.name == name)
    if not re.fullmatch(HANDLE, name) or connection.execute(there).first() is None:
        raise UsageError(f"There is no team {name}; `pullwright team list` shows them.")
    rules = select(TEAM_REPOSITORIES.c.rule).where(TEAM_REPOSITORIES.c.team == name).order_by(TEAM_REPOSITORIES.c.rule)
    names = select(USERS.c.name).join(TEAM_MEMBERS, TEAM_MEMBERS.c.user == USERS.c.id).order_by(USERS.c.name)
    members = connection.execute(names.where(TEAM_MEMBERS.c.team == name)).scalars()
    return Team(name=name, repositories=tuple(connection.execute(rules).scalars()), members=tuple(members))


def _change_team(connection: Connection, name: str, repositories: tuple[str, ...], members: tuple[str, ...]) -> Team:
    team = _team(connection, name)
    wanted = {member: _user(connection, member).id for member in members}
    gone = [_user(connection, member).id for member in team.members if member not in wanted]
    connection.execute(delete(TEAM_MEMBERS).where(TEAM_MEMBERS.c.team == name, TEAM_MEMBERS.c.user.in_(gone)))
    for member, user in wanted.items():
        if member not in team.members:
            connection.execute(insert(TEAM_MEMBERS).values(team=name, user=user))
    connection.execute(delete(TEAM_REPOSITORIES).where(TEAM_REPOSITORIES.c.team == name))
    for rule in dict.fromkeys(repositories):
        connection.execute(insert(TEAM_REPOSITORIES).values(team=name, rule=rule))
    return _team(connection, name)


def _remove_team(connection: Connection, name: str) -> None:
    _team(connection, name)
    connection.execute(delete(TEAM_MEMBERS).where(TEAM_MEMBERS.c.team == name))
    connection.execute(delete(TEAM_REPOSITORIES).where(TEAM_REPOSITORIES.c.team == name))
    connection.execute(delete(TEAMS).where(TEAMS.c.name == name))


def _claim_teams(connection: Connection, user: str, teams: frozenset[str]) -> None:
    of_user = TEAM_MEMBERS.c.user == user
    connection.execute(
        delete(TEAM_MEMBERS).where(of_user, TEAM_MEMBERS.c.claimed, TEAM_MEMBERS.c.team.not_in(sorted(teams)))
    )
    there = set(connection.execute(select(TEAM_MEMBERS.c.team).where(of_user)).scalars())
    known = set(connection.execute(select(TEAMS.c.name)).scalars())
    for team in sorted(teams):
        if team not in known:
            connection.execute(insert(TEAMS).values(name=team))
        if team not in there:
            connection.execute(insert(TEAM_MEMBERS).values(team=team, user=user, claimed=True))


def _begin_sign_in(connection: Connection, begun: SignIn, at: datetime) -> None:
    connection.execute(delete(SIGN_INS).where(SIGN_INS.c.expires < at))
    connection.execute(insert(SIGN_INS).values(begun.model_dump()))


def _end_sign_in(connection: Connection, state: str, at: datetime) -> SignIn | None:
    row = connection.execute(select(SIGN_INS).where(SIGN_INS.c.state == state).with_for_update()).first()
    # Whoever deletes it has it: of two who bring the same, one.
    gone = connection.execute(delete(SIGN_INS).where(SIGN_INS.c.state == state)).rowcount
    if row is None or not gone:
        return None
    begun = SignIn.model_validate(dict(row._mapping))
    return begun if begun.expires > at else None


def _add_session(connection: Connection, session: Session) -> None:
    connection.execute(delete(SESSIONS).where(SESSIONS.c.expires < session.created))
    connection.execute(insert(SESSIONS).values(session.model_dump()))


def _session(connection: Connection, digest: str, at: datetime) -> tuple[Session, Token | None] | None:
    row = connection.execute(select(SESSIONS).where(SESSIONS.c.digest == digest, SESSIONS.c.expires > at)).first()
    if row is None:
        return None
    session = Session.model_validate(dict(row._mapping))
    if session.token is None:
        return session, None
    good = select(TOKENS).where(TOKENS.c.id == session.token, TOKENS.c.revoked.is_(None))
    token = connection.execute(good).first()
    return None if token is None else (session, token_from(token))


def _end_session(connection: Connection, digest: str) -> Session | None:
    row = connection.execute(select(SESSIONS).where(SESSIONS.c.digest == digest)).first()
    connection.execute(delete(SESSIONS).where(SESSIONS.c.digest == digest))
    return None if row is None else Session.model_validate(dict(row._mapping))


def token_from(row: Row[Any]) -> Token:
    """The token of a row."""
    return Token.model_validate({name: row._mapping[name] for name in Token.model_fields})


def _user_from(row: Row[Any]) -> User:
    return User.model_validate(dict(row._mapping))
