"""Users, teams, sessions, sign-ins and what forges told, on every database."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from pullwright.domain.access import Caller, Role, Scope, Session, SignIn, Token, User
from pullwright.domain.errors import UsageError
from pullwright.domain.incoming import Asked, Fate, Told, Topic
from pullwright.domain.task import Task
from pullwright.domain.transcript import Noticed
from pullwright.domain.value import now
from pullwright.store.record import Record
from pullwright.store.visible import VisibleRecord


def make_user(name: str, role: Role = Role.MEMBER) -> User:
    return User(id=f"u-{name}", name=name, role=role, created=now())


async def test_users_and_what_they_stand_on(record: Record, make_task: Callable[..., Task]) -> None:
    people = record.people
    await record.submit(make_task())
    await people.add_user(make_user("ada"))
    with pytest.raises(UsageError, match="is taken"):
        await people.add_user(make_user("ada").model_copy(update={"id": "other"}))
    await people.add_team("core")
    await people.change_team("core", repositories=("/srv/*", "/srv/*"), members=("ada",))
    standing = await people.standing("u-ada")
    assert standing is not None
    assert (standing.teams, standing.rules, standing.repositories) == (("core",), ("/srv/*",), frozenset({"tidy-1234"}))
    changed = await people.change_user("ada", issuer="https://id", subject="1", claimed=True, role=Role.VIEWER)
    assert await people.user_of("https://id", "1") == changed
    assert (await people.change_user("ada", role=Role.ADMIN)).claimed is False
    await people.claim_teams("u-ada", frozenset({"new", "core"}))
    assert [team.name for team in await people.teams() if "ada" in team.members] == ["core", "new"]
    await people.claim_teams("u-ada", frozenset())
    assert [team.name for team in await people.teams() if "ada" in team.members] == ["core"]
    token = Token(id="t1", name="x", scope=Scope.ADMIN, user="u-ada", created=now())
    await record.add_token(token, "digest")
    await people.remove_user("ada")
    assert await people.standing("u-ada") is None
    assert await record.token("digest") is None
    await people.remove_team("core")
    for name in ("core", "a\0b", ""):
        with pytest.raises(UsageError, match="There is no team"):
            await people.team(name)
        with pytest.raises(UsageError, match="There is no user"):
            await people.user(name)


async def test_sessions_and_sign_ins_end(record: Record) -> None:
    people, moment = record.people, now()
    await people.add_user(make_user("ada"))
    for name, minutes in (("good", 5), ("old", -5)):
        expires = moment + timedelta(minutes=minutes)
        await people.add_session(Session(digest=name, user="u-ada", created=moment, expires=expires))
        await people.begin_sign_in(
            SignIn(state=name, browser="b", nonce="n", verifier="v", redirect="r", back="/", expires=expires)
        )
    assert await people.session("old", moment) is None
    assert await people.session("good", moment) is not None
    await people.end_session("good")
    assert await people.session("good", moment) is None
    assert await people.end_sign_in("old", moment) is None
    assert (await people.end_sign_in("good", moment)) is not None
    assert await people.end_sign_in("good", moment) is None


async def test_what_was_told_is_known_again(record: Record) -> None:
    moment = now()
    asked = Asked(wants="task", by="w\0", how="label", repository="a/b", topic=Topic(number=1, issue=True))
    told = Told(id="1", delivery="d1", host="h", event="e", asked=asked, received=moment, due=moment)
    assert await record.incoming.add(told, moment) == told
    for again in (told.model_copy(update={"delivery": "d2"}), told.model_copy(update={"id": "2"})):
        assert await record.incoming.add(again, moment) == told
    assert await record.incoming.due(moment) == [told]
    settled = told.model_copy(update={"fate": Fate.TAKEN, "note": "done", "task": "abc"})
    await record.incoming.save(settled)
    assert await record.incoming.due(moment) == []
    assert await record.incoming.latest(10) == [settled]
    later = told.model_copy(update={"id": "3", "delivery": "d3"})
    await record.incoming.add(later, moment + timedelta(days=1))  # what was settled is forgotten by then
    assert await record.incoming.latest(10) == [later]


async def test_a_caller_sees_what_they_may(record: Record, make_task: Callable[..., Task]) -> None:
    await record.submit(make_task())
    await record.append("abcdefgh", Noticed(text="x"))
    blind = Caller(name="b", scope=Scope.WRITE, role=Role.MEMBER, rules=(), repositories=frozenset())
    seen = VisibleRecord(record, blind)
    assert (await seen.tasks(), await seen.news(0)) == ([], [])
    for asking in (seen.task("abcdefgh"), seen.events("abcdefgh"), seen.append("abcdefgh", Noticed(text="y"))):
        with pytest.raises(UsageError, match="There is no task"):
            await asking
    whole = blind.model_copy(update={"repositories": frozenset({"tidy-1234"})})
    assert len(await VisibleRecord(record, whole).news(0)) == 1
