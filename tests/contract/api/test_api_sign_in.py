"""Signing in at an issuer: the real flow over real HTTP, and every way in which it must come to nothing."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from pullwright.api.app import PREFIX, application
from pullwright.domain.access import Role, Scope, User
from pullwright.domain.value import now
from pullwright.flow.platform import Platform
from pullwright.flow.tokens import issue
from pullwright.settings import Settings
from pullwright.testing.oidc_provider import OidcProvider
from pullwright.wiring import build

Open = Callable[..., Awaitable[tuple[Platform, httpx.AsyncClient]]]
OURS = {"x-pullwright": "1"}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
async def issuer() -> AsyncIterator[OidcProvider]:
    async with OidcProvider() as issuer:
        yield issuer


@pytest.fixture
async def opened(tmp_path: Path, issuer: OidcProvider) -> AsyncIterator[Open]:
    """A server that trusts the issuer, with settings of the test's own, and a browser in front of it."""
    left: list[Any] = []

    async def perform(**variables: str) -> tuple[Platform, httpx.AsyncClient]:
        known = {"ISSUER": issuer.issuer, "CLIENT_ID": issuer.client_id, "CLIENT_SECRET": issuer.client_secret}
        env = {f"PULLWRIGHT_OIDC_{name}": value for name, value in (known | variables).items()}
        env |= {"PULLWRIGHT_HOME": str(tmp_path / "home"), "PULLWRIGHT_LOCAL_MODELS": "off"}
        building = build(Settings.from_environment(env), {})
        platform = await building.__aenter__()
        transport = httpx.ASGITransport(application(platform, frozenset({"127.0.0.1"})))
        client = httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:8400{PREFIX}")
        left.extend((client, building))
        return platform, client

    yield perform
    for one in left:
        await one.__aexit__(None, None, None)


async def there_and_back(issuer: OidcProvider, client: httpx.AsyncClient, **params: str) -> str:
    """As far as the address that the issuer sends the browser back to."""
    begun = await client.get("/session/oidc", params=params)
    assert begun.status_code == 302, begun.text
    return issuer.visit(begun.headers["location"])


async def signed_in(issuer: OidcProvider, client: httpx.AsyncClient, **params: str) -> httpx.Response:
    return await client.get(await there_and_back(issuer, client, **params))


async def test_somebody_signs_in_and_out(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(MEMBERS="eng", TEAMS="eng=core")
    assert (await client.get("/session/ways")).json() == {"oidc": "127.0.0.1"}
    issuer.person["groups"] = ["eng", "all"]
    asked = (await client.get("/session/oidc")).headers["location"]
    query = parse_qs(urlsplit(asked).query)
    assert query["redirect_uri"] == ["http://127.0.0.1:8400/api/v1/session/oidc/callback"]
    assert {"state", "nonce", "code_challenge"} <= set(query)
    answer = await signed_in(issuer, client, back="/tasks/x")
    assert (answer.status_code, answer.headers["location"]) == (302, "/tasks/x")
    me = (await client.get("/me")).json()
    assert (me["name"], me["role"], me["teams"]) == ("ada", "member", ["core"])
    assert (await client.post("/tasks/x/cancel")).status_code == 403  # not from our pages
    assert (await client.delete("/session", headers=OURS)).status_code == 200
    assert (await client.get("/me")).status_code == 401
    assert [user.name for user in await platform.record.people.users()] == ["ada"]
    assert (await signed_in(issuer, client)).status_code == 302
    assert len(await platform.record.people.users()) == 1


async def test_claims_that_do_not_fit_let_nobody_in(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ROLE="member")
    moment = int(time.time())
    wrong: list[dict[str, Any]] = [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": ["pullwright", "another-client"], "azp": "another-client"},
        {"exp": moment - 3600},
        {"exp": None},
        {"nbf": moment + 3600},
        {"sub": None},
        {"sub": ""},
        {"at_hash": "wrong"},
    ]
    for claims in wrong:
        issuer.claims = claims
        answer = await signed_in(issuer, client)
        assert answer.status_code == 403, (claims, answer.text)
        assert (await client.get("/me")).status_code == 401
    assert await platform.record.people.users() == []


async def test_a_signature_of_another_lets_nobody_in(issuer: OidcProvider, opened: Open) -> None:
    _, client = await opened(ROLE="member")
    issuer.forge_key()
    assert (await signed_in(issuer, client)).status_code == 403
    issuer.algorithm = "none"
    assert (await signed_in(issuer, client)).status_code == 403


async def test_new_keys_of_the_issuer_are_asked_for(issuer: OidcProvider, opened: Open) -> None:
    _, client = await opened(ROLE="member")
    assert (await signed_in(issuer, client)).status_code == 302
    issuer.turn_key()
    assert (await signed_in(issuer, client)).status_code == 302
    assert issuer.asked.count("/keys") == 2


async def test_a_sign_in_ends_once_in_its_browser_with_its_state(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ROLE="member")
    back = await there_and_back(issuer, client)
    kept = dict(client.cookies)
    client.cookies.clear()
    assert (await client.get(back)).status_code == 403  # another browser
    cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
    assert (await client.get(back, headers={"cookie": cookie})).status_code == 403  # ended by that
    back = await there_and_back(issuer, client)
    back = await there_and_back(issuer, client)
    code = parse_qs(urlsplit(back).query)["code"][0]
    forged = {"code": code, "state": "x" * 43, "iss": issuer.issuer}
    assert (await client.get("/session/oidc/callback", params=forged)).status_code == 403
    assert (await client.get(back.replace(f"iss={issuer.issuer[:4]}", "iss=evil"))).status_code == 403
    assert await platform.record.people.users() == []
    back = await there_and_back(issuer, client)
    assert (await client.get(back)).status_code == 302
    assert (await client.get(back)).status_code == 403  # a replay
    refused = await client.get("/session/oidc/callback", params={"error": "access_denied", "state": "x"})
    assert (refused.status_code, "access_denied" in refused.text) == (403, True)
    assert (await client.get("/session/oidc/callback")).status_code == 400


async def test_a_code_is_exchanged_by_whoever_began(issuer: OidcProvider, opened: Open) -> None:
    """A code that was caught elsewhere is worth nothing here: its verifier is another."""
    _, client = await opened(ROLE="member")
    caught = parse_qs(urlsplit(await there_and_back(issuer, client)).query)["code"][0]
    mine = parse_qs(urlsplit(await there_and_back(issuer, client)).query)
    injected = {"code": caught, "state": mine["state"][0], "iss": issuer.issuer}
    answer = await client.get("/session/oidc/callback", params=injected)
    assert (answer.status_code, "verifier" in answer.text) == (403, True)


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "tasks"])
async def test_nobody_is_sent_elsewhere(opened: Open, back: str) -> None:
    _, client = await opened()
    assert (await client.get("/session/oidc", params={"back": back})).status_code == 422


async def test_an_address_that_nobody_verified_is_nobodys(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ADMINS="ada@example.org")
    await platform.record.people.add_user(
        User(id="u1", name="countess", role=Role.MEMBER, email="ada@example.org", created=now())
    )
    for verified in (False, None, "false", 1):
        issuer.person["email_verified"] = verified
        answer = await signed_in(issuer, client)
        assert (answer.status_code, "not verified" in answer.text) == (403, True)
    issuer.person["email_verified"] = True
    assert (await signed_in(issuer, client)).status_code == 302
    me = (await client.get("/me")).json()
    assert (me["name"], me["user"], me["role"], me["scope"]) == ("countess", "u1", "admin", "admin")
    issuer.person |= {"sub": "another", "preferred_username": "mallory"}
    (await platform.record.people.change_user("u1", email="ada@example.org"))
    client.cookies.clear()
    assert (await signed_in(issuer, client)).status_code == 302  # an admin by the address, but not the countess
    assert (await client.get("/me")).json()["name"] == "mallory"


async def test_roles_and_teams_follow_the_issuer(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ADMINS="ops", MEMBERS="eng", TEAMS="eng=core,ops=core")
    people = platform.record.people
    issuer.person["groups"] = ["others"]
    stranger = await signed_in(issuer, client)
    assert (stranger.status_code, "pullwright user add" in stranger.text) == (403, True)
    issuer.person["groups"] = ["ops"]
    await signed_in(issuer, client)
    assert (await client.get("/me")).json()["role"] == "admin"
    issuer.person["groups"] = ["eng"]
    await signed_in(issuer, client)
    assert (await client.get("/me")).json()["role"] == "member"
    await people.add_team("by-hand")
    await people.change_team("by-hand", repositories=(), members=("ada",))
    issuer.person["groups"] = []
    assert (await signed_in(issuer, client)).status_code == 403
    me = (await client.get("/me")).json()  # the session of before: it may less at once
    assert (me["role"], me["teams"]) == ("viewer", ["by-hand"])
    await people.remove_user("ada")
    issuer.person["groups"] = ["ops"]
    assert (await signed_in(issuer, client)).status_code == 403


async def test_names_are_never_shared(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ROLE="viewer")
    await platform.record.people.add_user(User(id="u1", name="ada", role=Role.ADMIN, created=now()))
    await signed_in(issuer, client)
    assert (await client.get("/me")).json()["name"] == "ada@example.org"
    issuer.person |= {"sub": "two"}
    await signed_in(issuer, client)
    me = (await client.get("/me")).json()
    assert me["name"].startswith("ada-")
    assert me["role"] == "viewer"


async def test_the_secret_may_be_in_the_vault(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ROLE="member", CLIENT_SECRET="")
    assert (await signed_in(issuer, client)).status_code == 403
    await platform.record.save_secret("house", "oidc-client-secret", issuer.client_secret)
    assert (await signed_in(issuer, client)).status_code == 302


async def test_a_browser_that_is_not_let_in_is_led_to_the_console(
    issuer: OidcProvider, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """With one word of ours, whatever was sent; programs are told the problem, as every other test here is."""
    platform, client = await opened(MEMBERS="eng")

    async def led(address: str, **params: str) -> str:
        answer = await client.get(address, params=params or None, headers=BROWSER)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    callback = "/session/oidc/callback"
    assert await led(callback, error="access_denied", state="x") == "/#sign-in=denied"
    assert await led(callback, error="temporarily_unavailable") == "/#sign-in=unreachable"
    assert await led(callback, error="<b>Call 555 0100</b>\r\n") == "/#sign-in=unfit"
    assert await led(callback) == "/#sign-in=stale"
    assert await led(callback, state="x" * 43, code="y") == "/#sign-in=stale"
    assert await led(await there_and_back(issuer, client)) == "/#sign-in=unknown"
    issuer.person["email_verified"] = False
    assert await led(await there_and_back(issuer, client)) == "/#sign-in=unverified"
    issuer.claims = {"nonce": "another"}
    assert await led(await there_and_back(issuer, client)) == "/#sign-in=unfit"
    assert "does not fit this sign-in" in caplog.text
    issuer.claims, issuer.person["groups"] = {}, ["eng"]
    assert await led(await there_and_back(issuer, client, back="/tasks/x")) == "/tasks/x"
    await platform.record.people.remove_user("ada")
    assert await led(await there_and_back(issuer, client)) == "/#sign-in=removed"
    issuer.client_secret = "another"
    assert await led(await there_and_back(issuer, client)) == "/#sign-in=misconfigured"


async def test_signing_out_ends_the_session_at_the_issuer_too(issuer: OidcProvider, opened: Open) -> None:
    platform, client = await opened(ROLE="member")
    await signed_in(issuer, client)
    told = (await client.delete("/session", headers=OURS)).json()
    assert told["issuer"] == "127.0.0.1"
    asked = parse_qs(urlsplit(told["end"]).query)
    assert told["end"].startswith(f"{issuer.issuer}/end?client=1&")
    assert asked["id_token_hint"] == issuer.issued
    assert asked["post_logout_redirect_uri"] == ["http://127.0.0.1:8400/api/v1/session/oidc/ended"]
    back = issuer.leave(told["end"])
    # Nobody else can make a page say that a browser is signed out there.
    assert (await client.get(back + "x")).headers["location"] == "/"
    await signed_in(issuer, client)
    back = issuer.leave((await client.delete("/session", headers=OURS)).json()["end"])
    assert (await client.get(back)).headers["location"] == "/#signed-out=everywhere"
    assert (await client.get(back)).headers["location"] == "/"
    # A session that no issuer stands behind ends here alone.
    _, secret = await issue(platform.record, "browser", Scope.READ)
    await client.post("/session", json={"token": secret}, headers=OURS)
    assert (await client.delete("/session", headers=OURS)).json() == {"issuer": None, "end": None}


@pytest.mark.parametrize("end", [None, "https://[", "javascript:alert(1)"])
async def test_an_issuer_without_a_way_out_is_named(issuer: OidcProvider, opened: Open, end: str | None) -> None:
    issuer.end = end
    _, client = await opened(ROLE="member")
    await signed_in(issuer, client)
    assert (await client.delete("/session", headers=OURS)).json() == {"issuer": "127.0.0.1", "end": None}
    assert (await client.get("/me")).status_code == 401


async def test_without_an_issuer_there_is_nothing_to_sign_in_at(client: httpx.AsyncClient) -> None:
    assert (await client.get("/session/ways")).json() == {"oidc": None}
    assert (await client.get("/session/oidc")).status_code == 404


async def test_an_issuer_that_is_down_is_said_to_be(issuer: OidcProvider, opened: Open) -> None:
    _, client = await opened(ROLE="member", ISSUER="http://127.0.0.1:9")
    answer = await client.get("/session/oidc")
    assert (answer.status_code, "cannot be reached" in answer.text) == (502, True)
    assert (await client.get("/session/oidc", headers=BROWSER)).headers["location"] == "/#sign-in=unreachable"
