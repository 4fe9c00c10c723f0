"""`user add|list|role|remove|sign-in` and `team add|list|change|remove`: who may use the server, and what they see."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from cyclopts import App

from pullwright.cli.admission import with_admission
from pullwright.domain.access import Role

if TYPE_CHECKING:
    from pullwright.cli.admission import Admission
    from pullwright.domain.access import Team, User
    from pullwright.store.record import Record

user_app = App(name="user", help="Who may use the server: add, list, role, remove, sign-in.")
team_app = App(name="team", help="Who sees which repositories' tasks: add, list, change, remove.")


@user_app.command(sort_key=0)
def add(name: str, /, *, role: Role = Role.MEMBER, email: str | None = None, json: bool = False) -> int:
    """Make a user. They sign in with a token that is made for them, or by OIDC where the server has that.

    Args:
        name: What they are called here.
        role: viewer: looks at tasks; member: hands in and steers them; admin: sees and does everything.
        email: Their mail address, by which a first OIDC sign-in is known to be theirs.
        json: Print the user as JSON.
    """

    async def perform(who: Admission) -> int:
        from pullwright.cli.screen import answer
        from pullwright.cli.story import Line

        user = await who.add_user(name, role, email)
        if json:
            return _as_json(user)
        lines = [Line(f"{user.name} is {_a(user.role)}", "good")]
        lines.append(Line(f"  `pullwright token create NAME --user {user.name}` makes them a token"))
        if user.role is not Role.ADMIN:
            lines.append(Line(f"  `pullwright team change TEAM --add-member {user.name}` lets them see its tasks"))
        answer(lines)
        return 0

    return with_admission(perform)


@user_app.command(name="list", sort_key=1)
def list_users(*, all: bool = False, json: bool = False) -> int:  # noqa: A002 - an option's name
    """List the users.

    Args:
        all: Removed ones, too.
        json: Print them as a JSON array.
    """

    async def perform(who: Admission) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        users = [user for user in await who.users() if all or user.removed is None]
        if json:
            answer_json([user.model_dump(mode="json") for user in users])
            return 0
        teams = await who.teams()
        rows = [
            (
                user.name,
                "removed" if user.removed else user.role.value,
                shown(user.email or "-"),
                "OIDC" if user.subject else "tokens",
                ", ".join(team.name for team in teams if user.name in team.members) or "-",
            )
            for user in users
        ]
        if rows:
            answer_table(("NAME", "ROLE", "MAIL", "SIGNS IN BY", "TEAMS"), rows)
        else:
            answer([Line("no users: tokens of the house do everything; `pullwright user add NAME` makes one")])
        return 0

    return with_admission(perform)


@user_app.command(name="role", sort_key=2)
def change_role(name: str, role: Role, /, *, json: bool = False) -> int:
    """Change what a user may do, from their next request on.

    Args:
        name: The user.
        role: viewer, member or admin.
        json: Print the user as JSON.
    """

    async def perform(who: Admission) -> int:
        from pullwright.cli.screen import answer
        from pullwright.cli.story import Line

        user = await who.change_role(name, role)
        if json:
            return _as_json(user)
        answer([Line(f"{user.name} is {_a(user.role)} now")])
        return 0

    return with_admission(perform)


@user_app.command(name="remove", sort_key=3)
def remove_user(name: str, /, *, json: bool = False) -> int:
    """Let a user in no more: their tokens and sessions end at once. What they did stays.

    Args:
        name: The user.
        json: Print a JSON object with the key `removed`.
    """

    async def perform(who: Admission) -> int:
        await who.remove_user(name)
        return _gone(name, json=json)

    return with_admission(perform)


@user_app.command(name="sign-in", sort_key=4)
def sign_in(*, secret_stdin: bool = False, json: bool = False) -> int:
    """Show how people sign in by OpenID Connect, and what the issuer has to be told. Variables set it up.

    Args:
        secret_stdin: Read the client's secret from standard input and keep it, encrypted, in the record.
        json: Print it as a JSON object with the keys `issuer`, `client_id`, `redirect`, `post_logout_redirect` and
            `secret`.
    """

    async def perform(record: Record) -> int:
        import sys

        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.domain.errors import UsageError
        from pullwright.flow.oidc import CALLBACK, ENDED, SECRET

        if secret_stdin:
            secret = sys.stdin.readline().strip()
            if not secret:
                raise UsageError("standard input holds no secret")
            await record.save_secret(*SECRET, secret)
        known = record.settings.sign_in
        kept = known is not None and known.client_secret is not None
        where = "variable" if kept else "kept" if await record.secret(*SECRET) is not None else None
        here = record.settings.url or "http://127.0.0.1:8400"
        redirect, ended = f"{here}{CALLBACK}", f"{here}{ENDED}"
        if json:
            told = {"issuer": known and known.issuer, "client_id": known and known.client_id}
            answer_json({**told, "redirect": redirect, "post_logout_redirect": ended, "secret": where})
            return 0
        if known is None:
            answer([Line("nobody vouches for people: set PULLWRIGHT_OIDC_ISSUER and PULLWRIGHT_OIDC_CLIENT_ID")])
        else:
            answer([Line(f"{known.issuer} vouches for people; it calls this server {known.client_id}")])
        secret = where or "none: a public client"
        named = {"redirect URI": redirect, "post-logout redirect URI": ended, "secret": secret}
        answer([Line(f"  {name:24}  {value}") for name, value in named.items()])
        return 0

    return _with_record(perform)


@team_app.command(name="add", sort_key=0)
def add_team(
    name: str, /, *, repository: list[str] | None = None, member: list[str] | None = None, json: bool = False
) -> int:
    """Make a team: its members see the tasks of its repositories, and may hand in others for them.

    Args:
        name: What it is called.
        repository: A URL or a path; with `/*` at its end all below; `*` for every one. May be given more than once.
        member: A user's name. May be given more than once.
        json: Print the team as JSON.
    """

    async def perform(who: Admission) -> int:
        rules = [_absolute(one) for one in repository or ()]
        return _told(await who.add_team(name, rules, member or ()), json=json)

    return with_admission(perform)


@team_app.command(name="list", sort_key=1)
def list_teams(*, json: bool = False) -> int:
    """List the teams with what they have.

    Args:
        json: Print them as a JSON array.
    """

    async def perform(who: Admission) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line

        teams = await who.teams()
        if json:
            answer_json([team.model_dump(mode="json") for team in teams])
        elif teams:
            answer_table(("NAME", "REPOSITORIES", "MEMBERS"), [_row(team) for team in teams])
        else:
            answer([Line("no teams yet; `pullwright team add NAME --repository URL --member USER` makes one")])
        return 0

    return with_admission(perform)


@team_app.command(name="change", sort_key=2)
def change_team(
    name: str,
    /,
    *,
    add_repository: list[str] | None = None,
    drop_repository: list[str] | None = None,
    add_member: list[str] | None = None,
    drop_member: list[str] | None = None,
    json: bool = False,
) -> int:
    """Give a team more, or take something from it. It holds from the next request on.

    Args:
        name: The team.
        add_repository: A URL or a path, or either with `/*` at its end.
        drop_repository: One that it has, as `team list` shows it.
        add_member: A user's name.
        drop_member: A user's name.
        json: Print the team as JSON.
    """

    async def perform(who: Admission) -> int:
        team = await who.change_team(
            name,
            add_repositories=[_absolute(one) for one in add_repository or ()],
            drop_repositories=[_absolute(one) for one in drop_repository or ()],
            add_members=add_member or (),
            drop_members=drop_member or (),
        )
        return _told(team, json=json)

    return with_admission(perform)


@team_app.command(name="remove", sort_key=3)
def remove_team(name: str, /, *, json: bool = False) -> int:
    """Forget a team. Its members stay users.

    Args:
        name: The team.
        json: Print a JSON object with the key `removed`.
    """

    async def perform(who: Admission) -> int:
        await who.remove_team(name)
        return _gone(name, json=json)

    return with_admission(perform)


def _with_record(perform: Callable[[Record], Awaitable[int]]) -> int:
    async def opened() -> int:
        from pullwright.cli.house import opened_record

        async with opened_record() as record:
            return await perform(record)

    return asyncio.run(opened())


def _absolute(repository: str) -> str:
    """A path as the record has it; everything else as it stands."""
    from pathlib import Path

    if repository == "*" or "://" in repository or (":" in repository and not Path(repository).exists()):
        return repository
    below = repository.endswith("/*")
    place = Path(repository.removesuffix("/*")).expanduser().resolve()
    return f"{place}/*" if below else str(place)


def _told(team: Team, *, json: bool) -> int:
    from pullwright.cli.screen import answer_table

    if json:
        return _as_json(team)
    answer_table(("NAME", "REPOSITORIES", "MEMBERS"), [_row(team)])
    return 0


def _row(team: Team) -> tuple[str, str, str]:
    from pullwright.cli.words import shown

    return team.name, shown(", ".join(team.repositories)) or "-", ", ".join(team.members) or "-"


def _as_json(known: User | Team) -> int:
    from pullwright.cli.screen import answer_json

    answer_json(known.model_dump(mode="json"))
    return 0


def _gone(name: str, *, json: bool) -> int:
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line

    if json:
        answer_json({"removed": name})
    else:
        answer([Line(f"{name} is gone")])
    return 0


def _a(role: Role) -> str:
    return f"an {role}" if role is Role.ADMIN else f"a {role}"
