"""Who may use a server: tokens, users, teams."""

from collections.abc import Sequence

from pydantic import BaseModel

from pullwright.client.connection import Connection, parsed, part
from pullwright.domain.access import Role, Scope, Team, Token, User


class NewToken(BaseModel):
    """A token that has just been made. `secret` is shown this once."""

    token: Token
    secret: str


class Me(BaseModel):
    """Whose token this is."""

    name: str
    scope: Scope
    user: str | None
    role: Role
    teams: tuple[str, ...]
    sees: tuple[str, ...] | None


class Administration(Connection):
    """What is asked about people; most of it takes an admin's token."""

    async def me(self) -> Me:
        """Who is asking."""
        return await self._ask(Me, "GET", "/me")

    async def tokens(self) -> list[Token]:
        """All tokens, or one's own; revoked ones too."""
        return parsed(list[Token], (await self._send("GET", "/tokens")).content)

    async def create_token(self, name: str, scope: Scope | None = None, user: str | None = None) -> NewToken:
        """A token for oneself, or by an admin for a user."""
        body = {"name": name, "scope": scope, "user": user}
        return await self._ask(NewToken, "POST", "/tokens", json=body)

    async def revoke_token(self, token: str) -> None:
        """Make a token worthless, by its id."""
        await self._send("DELETE", f"/tokens/{part(token)}")

    async def users(self) -> list[User]:
        """All users, removed ones too."""
        return parsed(list[User], (await self._send("GET", "/users")).content)

    async def add_user(self, name: str, role: Role = Role.MEMBER, email: str | None = None) -> User:
        """Make a user."""
        return await self._ask(User, "POST", "/users", json={"name": name, "role": role, "email": email})

    async def change_user(self, user: str, *, role: Role | None = None, email: str | None = None) -> User:
        """Change a user's role or address."""
        return await self._ask(User, "PATCH", f"/users/{part(user)}", json={"role": role, "email": email})

    async def remove_user(self, user: str) -> None:
        """Let a user in no more."""
        await self._send("DELETE", f"/users/{part(user)}")

    async def teams(self) -> list[Team]:
        """All teams."""
        return parsed(list[Team], (await self._send("GET", "/teams")).content)

    async def add_team(self, name: str, repositories: Sequence[str] = (), members: Sequence[str] = ()) -> Team:
        """Make a team."""
        body = {"name": name, "repositories": list(repositories), "members": list(members)}
        return await self._ask(Team, "POST", "/teams", json=body)

    async def change_team(
        self,
        team: str,
        *,
        add_repositories: Sequence[str] = (),
        drop_repositories: Sequence[str] = (),
        add_members: Sequence[str] = (),
        drop_members: Sequence[str] = (),
    ) -> Team:
        """Give a team more, or take something from it."""
        body = {
            "add_repositories": list(add_repositories),
            "drop_repositories": list(drop_repositories),
            "add_members": list(add_members),
            "drop_members": list(drop_members),
        }
        return await self._ask(Team, "PATCH", f"/teams/{part(team)}", json=body)

    async def remove_team(self, team: str) -> None:
        """Forget a team."""
        await self._send("DELETE", f"/teams/{part(team)}")
