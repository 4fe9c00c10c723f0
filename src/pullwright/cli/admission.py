"""Who may use the server, as commands ask and say it: in the record of this machine, or on a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypedDict, Unpack

from pullwright.cli.server import carry_out

if TYPE_CHECKING:
    from pullwright.client import Client
    from pullwright.domain.access import Role, Scope, Team, Token, User
    from pullwright.store.record import Record


class TeamChange(TypedDict):
    """What a team gets, and what is taken from it."""

    add_repositories: Sequence[str]
    drop_repositories: Sequence[str]
    add_members: Sequence[str]
    drop_members: Sequence[str]


class Admission(Protocol):
    """Tokens, users and teams."""

    async def create_token(self, name: str, scope: Scope | None, user: str | None) -> tuple[Token, str]:
        """A token, and what its holder gets to see this once."""
        ...

    async def tokens(self) -> list[Token]:
        """Revoked ones, too."""
        ...

    async def names(self) -> dict[str, str]:
        """What users are called, by their ids."""
        ...

    async def revoke_token(self, token: str) -> None:
        """Make one worthless."""
        ...

    async def users(self) -> list[User]:
        """Removed ones, too."""
        ...

    async def add_user(self, name: str, role: Role, email: str | None) -> User:
        """Make one."""
        ...

    async def change_role(self, name: str, role: Role) -> User:
        """What they may do from now on."""
        ...

    async def remove_user(self, name: str) -> None:
        """Let one in no more."""
        ...

    async def teams(self) -> list[Team]:
        """All of them."""
        ...

    async def add_team(self, name: str, repositories: Sequence[str], members: Sequence[str]) -> Team:
        """Make one."""
        ...

    async def change_team(self, name: str, **change: Unpack[TeamChange]) -> Team:
        """Give it more, or take from it."""
        ...

    async def remove_team(self, name: str) -> None:
        """Forget one."""
        ...


class LocalAdmission:
    """In the record of this machine."""

    def __init__(self, record: Record) -> None:
        self._record = record

    async def create_token(self, name: str, scope: Scope | None, user: str | None) -> tuple[Token, str]:
        """A token of the house, or of a user."""
        from pullwright.domain.access import Scope
        from pullwright.flow.tokens import issue

        theirs = None if user is None else (await self._record.people.user(user)).id
        return await issue(self._record, name, scope or Scope.WRITE, theirs)

    async def tokens(self) -> list[Token]:
        """Revoked ones, too."""
        return await self._record.tokens()

    async def names(self) -> dict[str, str]:
        """What users are called, by their ids."""
        return {user.id: user.name for user in await self.users()}

    async def revoke_token(self, token: str) -> None:
        """Make one worthless."""
        await self._record.revoke_token(token)

    async def users(self) -> list[User]:
        """Removed ones, too."""
        return await self._record.people.users()

    async def add_user(self, name: str, role: Role, email: str | None) -> User:
        """Make one."""
        from pullwright.flow import people

        return await people.add_user(self._record, name, role, email)

    async def change_role(self, name: str, role: Role) -> User:
        """What they may do from now on."""
        return await self._record.people.change_user(name, role=role)

    async def remove_user(self, name: str) -> None:
        """Let one in no more."""
        await self._record.people.remove_user(name)

    async def teams(self) -> list[Team]:
        """All of them."""
        return await self._record.people.teams()

    async def add_team(self, name: str, repositories: Sequence[str], members: Sequence[str]) -> Team:
        """Make one."""
        from pullwright.flow import people

        return await people.add_team(self._record, name, repositories, members)

    async def change_team(self, name: str, **change: Unpack[TeamChange]) -> Team:
        """Give it more, or take from it."""
        from pullwright.flow import people

        return await people.change_team(self._record, name, **change)

    async def remove_team(self, name: str) -> None:
        """Forget one."""
        await self._record.people.remove_team(name)


class ServerAdmission:
    """On a server."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.tokens, self.revoke_token = client.tokens, client.revoke_token
        self.users, self.add_user, self.remove_user = client.users, client.add_user, client.remove_user
        self.teams, self.add_team, self.remove_team = client.teams, client.add_team, client.remove_team
        self.change_team = client.change_team

    async def create_token(self, name: str, scope: Scope | None, user: str | None) -> tuple[Token, str]:
        """A token of whoever asks, or of a user."""
        made = await self._client.create_token(name, scope, user)
        return made.token, made.secret

    async def names(self) -> dict[str, str]:
        """What users are called, by their ids, as far as they may be known."""
        from pullwright.client import NotAllowed

        try:
            return {user.id: user.name for user in await self._client.users()}
        except NotAllowed:
            me = await self._client.me()
            return {} if me.user is None else {me.user: me.name}

    async def change_role(self, name: str, role: Role) -> User:
        """What they may do from now on."""
        return await self._client.change_user(name, role=role)


@asynccontextmanager
async def _here() -> AsyncIterator[Admission]:
    from pullwright.cli.house import opened_record

    async with opened_record() as record:
        yield LocalAdmission(record)


def with_admission(perform: Callable[[Admission], Awaitable[int]]) -> int:
    """Carry out one command about people; gives its exit status."""
    return carry_out(perform, _here, ServerAdmission)
