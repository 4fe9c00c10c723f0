"""Users and teams over HTTP and on the command line: what they are made of, and what holds from then on."""

import httpx
import pytest

from pullwright.domain.access import has_repository
from pullwright.domain.errors import UsageError
from pullwright.flow.people import rule


async def test_an_admin_makes_people_and_takes_them_away(admin: httpx.AsyncClient) -> None:
    made = await admin.post("/users", json={"name": "Ada", "email": "Ada@Example.org"})
    assert (made.status_code, made.json()["name"], made.json()["email"]) == (201, "ada", "ada@example.org")
    assert (await admin.post("/users", json={"name": "ada"})).status_code == 400
    assert (await admin.post("/users", json={"name": "a b"})).status_code == 400
    assert (await admin.post("/users", json={"name": "b", "email": "a\0@b"})).status_code == 400
    team = {"name": "core", "repositories": ["https://forge.example/core/*"], "members": ["ada"]}
    assert (await admin.post("/teams", json=team | {"members": ["nobody"]})).status_code == 404
    assert (await admin.post("/teams", json=team)).json()["members"] == ["ada"]
    secret = (await admin.post("/tokens", json={"name": "laptop", "user": "ada"})).json()["secret"]
    theirs = {"authorization": f"Bearer {secret}"}
    me = (await admin.get("/me", headers=theirs)).json()
    assert (me["role"], me["scope"], me["sees"]) == ("member", "write", ["https://forge.example/core/*"])
    assert (await admin.patch("/users/ada", json={"role": "viewer"})).json()["role"] == "viewer"
    assert (await admin.get("/me", headers=theirs)).json()["scope"] == "read"
    changed = await admin.put("/teams/core", json={"repositories": ["/srv/core"], "members": ["ada"]})
    assert changed.json()["repositories"] == ["/srv/core"]
    assert (await admin.get("/me", headers=theirs)).json()["sees"] == ["/srv/core"]
    assert (await admin.delete("/teams/core")).status_code == 204
    assert (await admin.get("/me", headers=theirs)).json()["sees"] == []
    assert (await admin.delete("/users/ada")).status_code == 204
    assert (await admin.get("/me", headers=theirs)).status_code == 401
    assert (await admin.get("/users")).json()[0]["removed"] is not None
    assert (await admin.post("/users", json={"name": "ada"})).status_code == 400


@pytest.mark.parametrize(
    ("written", "location", "fits"),
    [
        ("*", "/anything", True),
        ("https://forge.example/core/tidy.git", "https://forge.example/core/tidy", True),
        ("https://forge.example/core/tidy", "https://forge.example/core/tidy.git", True),
        ("https://forge.example/core/tidy", "https://forge.example/core/tidy2", False),
        ("https://forge.example/core/*", "https://forge.example/core/deep/er", True),
        ("https://forge.example/core/*", "https://forge.example/core", False),
        ("https://forge.example/core/*", "https://forge.example/corex/tidy", False),
        ("https://forge.example/core/*", "https://forge.example/core/../other/tidy", False),
        ("https://forge.example/core/*", "https://forge.example/core/%2e%2e/other", False),
        ("https://forge.example/core/*", "https://forge.example/core//x", False),
        ("git@forge.example:core/*", "git@forge.example:core/tidy.git", True),
        ("/srv/git/*", "/srv/git/tidy", True),
        ("/srv/git/*", "/srv/gitless/tidy", False),
    ],
)
def test_a_rule_names_what_it_says_and_no_more(written: str, location: str, fits: bool) -> None:
    assert has_repository([rule(written)], location) is fits


@pytest.mark.parametrize(
    "text", ["", "tidy", "/srv/a\0b", "https://", "/srv/*/x", "../x", "https://forge.example/*/tidy"]
)
def test_what_names_no_repositories_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no repositories"):
        rule(text)
