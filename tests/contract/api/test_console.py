"""The console's files over HTTP, and how a browser signs in with a code."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from pullwright.api.app import PREFIX, application
from pullwright.api.codes import Codes
from pullwright.api.console import Console
from pullwright.domain.access import Scope
from pullwright.flow.tokens import issue
from pullwright.settings import Settings
from pullwright.wiring import build

FRONT = "<!doctype html><title>Pullwright</title>" + " " * 600
SCRIPT = "export const answer = 42; // " + "x" * 600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    built = tmp_path / "web"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(FRONT)
    (built / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (built / "assets" / "main-a1b2.js").write_text(SCRIPT)
    (built / ".sources").write_text("a hash")
    (tmp_path / "secret.txt").write_text("not yours")
    (built / "assets" / "led-out.txt").symlink_to(tmp_path / "secret.txt")
    return built


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette()
    app.router.default = Console(folder)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/index.html", "/tasks/1a2b3c4d/review", "/usage", "/tasks/1a2b/files/a.py"])
async def test_every_page_of_the_console_is_its_front_page_under_a_strict_policy(
    client: httpx.AsyncClient, path: str
) -> None:
    got = await client.get(path, headers={"accept": "text/html,*/*;q=0.8"})
    assert (got.status_code, got.text) == (200, FRONT)
    assert got.headers["cache-control"] == "no-cache"
    policy = got.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "unsafe-eval'" not in policy.replace("wasm-unsafe-eval", "")
    assert "//" not in policy  # no other origin
    again = await client.get(path, headers={"accept": "text/html", "if-none-match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_what_has_a_hash_in_its_name_is_kept_and_sent_compressed(client: httpx.AsyncClient) -> None:
    got = await client.get("/assets/main-a1b2.js")
    assert got.text == SCRIPT
    assert got.headers["content-type"].startswith("text/javascript")
    assert got.headers["content-encoding"] == "gzip"
    assert int(got.headers["content-length"]) == len(gzip.compress(SCRIPT.encode(), 9, mtime=0))
    assert "immutable" in got.headers["cache-control"]
    plain = await client.get("/assets/main-a1b2.js", headers={"accept-encoding": "gzip;q=0, br"})
    assert "content-encoding" not in plain.headers
    assert plain.text == SCRIPT
    head = await client.head("/assets/main-a1b2.js")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/main-old.js",
        "/assets/%2e%2e/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/led-out.txt",
        "/.sources",
        "/assets/nul%00.js",
        "/favicon.ico",
    ],
)
async def test_what_is_not_there_or_not_for_anybody_is_not_answered(client: httpx.AsyncClient, path: str) -> None:
    got = await client.get(path)
    assert got.status_code == 404
    assert "not yours" not in got.text


async def test_a_new_build_is_served_without_a_restart(client: httpx.AsyncClient, folder: Path) -> None:
    first = await client.get("/")
    (folder / "index.html").write_text(FRONT.replace("Pullwright", "Pullwright anew"))
    second = await client.get("/")
    assert "anew" in second.text
    assert second.headers["etag"] != first.headers["etag"]


async def test_where_nothing_is_built_the_page_says_how_to(client: httpx.AsyncClient, folder: Path) -> None:
    (folder / "index.html").unlink()
    got = await client.get("/tasks")
    assert got.status_code == 503
    assert "hatch_build.py console" in got.text


async def test_the_console_takes_nothing_from_the_api(tmp_path: Path) -> None:
    async with build(Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")})) as platform:
        transport = httpx.ASGITransport(application(platform, frozenset({"127.0.0.1"})))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            nothing = await client.get("/api/v1/nothing", headers={"accept": "text/html"})
            assert nothing.status_code == 404
            assert nothing.headers["content-type"] == "application/problem+json"
            assert (await client.delete(f"{PREFIX}/health")).status_code == 405
            posted = await client.post("/tasks")
            assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_a_code_signs_one_browser_in_once(tmp_path: Path) -> None:
    codes = Codes()
    async with build(Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")})) as platform:
        _, secret = await issue(platform.record, "serve", Scope.ADMIN)
        transport = httpx.ASGITransport(application(platform, frozenset({"127.0.0.1"}), codes))
        base, ours = f"http://127.0.0.1{PREFIX}", {"x-pullwright": "1"}
        code = {"code": codes.issue(secret)}
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=ours) as first:
            assert (await first.post("/session", json={"code": "no such code"})).status_code == 401
            assert (await first.post("/session", json={"code": "a", "token": secret})).status_code == 422
            assert (await first.post("/session", json={})).status_code == 422
            assert (await first.post("/session", json=code)).status_code == 204
            assert (await first.get("/me")).json()["scope"] == "admin"
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=ours) as second:
            refused = await second.post("/session", json=code)
            assert refused.status_code == 401
            assert "used" in refused.json()["detail"]


def test_codes_that_nobody_uses_do_not_heap_up() -> None:
    codes = Codes()
    issued = [codes.issue("pw_x") for _ in range(150)]
    assert codes.redeem(issued[0]) is None
    assert codes.redeem(issued[-1]) == "pw_x"
