"""Signing in and out at an issuer, in a real browser: there, back, and told why not."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from pullwright.testing.oidc_provider import OidcProvider


@pytest.fixture
def issuer() -> Iterator[OidcProvider]:
    """An issuer beside the test: no event loop may run in Playwright's own thread."""
    provider, ready, loop = OidcProvider(), threading.Event(), asyncio.new_event_loop()
    enough = asyncio.Event()

    async def serve() -> None:
        async with provider:
            ready.set()
            await enough.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield provider
    finally:
        loop.call_soon_threadsafe(enough.set)
        thread.join(30)
        loop.close()


@pytest.mark.long
def test_somebody_comes_from_an_issuer_and_leaves_it(
    serve: Callable[..., Any], browser: Browser, issuer: OidcProvider, tmp_path: Path, e2e: Any
) -> None:
    person = e2e.somebody(tmp_path)
    known = {"ISSUER": issuer.issuer, "CLIENT_ID": issuer.client_id, "CLIENT_SECRET": issuer.client_secret}
    person.variables.update({f"PULLWRIGHT_OIDC_{name}": value for name, value in (known | {"MEMBERS": "eng"}).items()})
    ours = serve(person, e2e)
    try:
        context = browser.new_context(base_url=ours.address)
        page = context.new_page()
        there = page.get_by_role("link", name="Sign in with 127.0.0.1")

        page.goto("/usage")
        there.click()
        expect(page.get_by_role("alert")).to_contain_text("You have no account here")
        assert page.url == f"{ours.address}/"

        issuer.person["groups"] = ["eng"]
        page.goto("/usage")
        there.click()
        expect(page.get_by_role("navigation").first).to_be_visible()
        assert page.url == f"{ours.address}/usage"

        account = page.get_by_role("button", name="Account and appearance")
        account.click()
        page.get_by_role("menuitem", name="Sign out").click()
        expect(page.get_by_role("status")).to_have_text("You are signed out, at 127.0.0.1 too.")
        assert issuer.asked[-1] == "/end"

        page.goto("/usage#signed-out=here")  # as it goes on where the issuer offers no end
        expect(page.get_by_role("status")).to_contain_text("127.0.0.1 may still know this browser")
        context.close()
    finally:
        ours.started.kill()
