"""Users and teams: who may use the server, and which repositories' tasks they see."""

from fastapi import APIRouter
from pydantic import Field

from pullwright.api.access import Admin, House
from pullwright.api.orders import Sent
from pullwright.api.problems import problems
from pullwright.domain.access import Role, Team, User
from pullwright.flow import people

router = APIRouter(tags=["people"])

Name = Field(min_length=1, max_length=100, description="Letters, digits and . _ - @ +; upper case is lowered.")


class UserOrder(Sent):
    """A user to be made."""

    name: str = Name
    role: Role = Role.MEMBER
    email: str | None = Field(None, max_length=320, description="By which a first OIDC sign-in is known to be theirs.")


class UserChange(Sent):
    """What is to be different; what is left out stays."""

    role: Role | None = None
    email: str | None = Field(None, max_length=320)


class TeamContents(Sent):
    """What a team has and who is in it."""

    repositories: tuple[str, ...] = Field(
        (), max_length=1000, description="URLs or absolute paths, either with `/*` at its end for all below, or `*`."
    )
    members: tuple[str, ...] = Field((), max_length=1000, description="Names of users.")


class TeamOrder(TeamContents):
    """A team to be made."""

    name: str = Name


class TeamChange(Sent):
    """What a team gets, and what is taken from it."""

    add_repositories: tuple[str, ...] = Field((), max_length=1000)
    drop_repositories: tuple[str, ...] = Field((), max_length=1000, description="As the team has them.")
    add_members: tuple[str, ...] = Field((), max_length=1000, description="Names of users.")
    drop_members: tuple[str, ...] = Field((), max_length=1000, description="Names of users.")


@router.get("/users", responses=problems(401, 403), summary="All users, removed ones too")
async def users(house: House, _: Admin) -> list[User]:
    """By name."""
    return await house.record.people.users()


@router.post("/users", status_code=201, responses=problems(400, 401, 403, 422), summary="Make a user")
async def add_user(order: UserOrder, house: House, _: Admin) -> User:
    """They sign in with a token that is made for them (`POST /tokens` with `user`), or by OIDC."""
    return await people.add_user(house.record, order.name, order.role, order.email)


@router.patch("/users/{user}", responses=problems(400, 401, 403, 404, 422), summary="Change a user's role or address")
async def change_user(user: str, change: UserChange, house: House, _: Admin) -> User:
    """It holds from their next request on."""
    changes: dict[str, object] = {} if change.role is None else {"role": change.role}
    if change.email is not None:
        changes["email"] = people.address(change.email)
    if not changes:
        return await house.record.people.user(user)
    return await house.record.people.change_user(user, **changes)


@router.delete("/users/{user}", status_code=204, responses=problems(401, 403, 404), summary="Let a user in no more")
async def remove_user(user: str, house: House, _: Admin) -> None:
    """Their tokens and sessions end at once; what they did stays, and so does their name."""
    await house.record.people.remove_user(user)


@router.get("/teams", responses=problems(401, 403), summary="All teams")
async def teams(house: House, _: Admin) -> list[Team]:
    """By name."""
    return await house.record.people.teams()


@router.post("/teams", status_code=201, responses=problems(400, 401, 403, 404, 422), summary="Make a team")
async def add_team(order: TeamOrder, house: House, _: Admin) -> Team:
    """Its members see the tasks of its repositories."""
    return await people.add_team(house.record, order.name, order.repositories, order.members)


@router.put("/teams/{team}", responses=problems(400, 401, 403, 404, 422), summary="Say anew what a team has")
async def set_team(team: str, contents: TeamContents, house: House, _: Admin) -> Team:
    """All of it: what is left out is taken from it."""
    return await people.set_team(house.record, team, contents.repositories, contents.members)


@router.patch("/teams/{team}", responses=problems(400, 401, 403, 404, 422), summary="Give a team more, or take from it")
async def change_team(team: str, change: TeamChange, house: House, _: Admin) -> Team:
    """What is not named stays."""
    return await people.change_team(house.record, team, **change.model_dump())


@router.delete("/teams/{team}", status_code=204, responses=problems(401, 403, 404), summary="Forget a team")
async def remove_team(team: str, house: House, _: Admin) -> None:
    """Its members stay, and see what their other teams have."""
    await house.record.people.remove_team(team)
