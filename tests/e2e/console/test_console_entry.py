"""How one gets into the console, and what holds for every page of it."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect


def test_the_printed_address_signs_one_browser_in_once(served: Any, page: Page, browse: Callable[..., Any]) -> None:
    page.goto(f"{served.address}/usage#sign-in=unknown")
    expect(page.get_by_role("alert")).to_contain_text("An admin lets you in")
    assert page.url == f"{served.address}/usage"
    page.goto(f"{served.address}/#code={served.code}")
    expect(page.get_by_role("navigation")).to_be_visible()
    assert "code" not in page.url
    page.reload()
    expect(page.get_by_role("navigation")).to_be_visible()

    other = browse(signed_in=False).page()
    other.goto(f"{served.address}/#code={served.code}")
    expect(other.get_by_role("alert")).to_contain_text("has been used or is too old")
    other.get_by_label("Token").fill(served.token)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("navigation")).to_be_visible()
    other.get_by_role("button", name="Account and appearance").click()
    other.get_by_role("menuitem", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in to Pullwright")).to_be_visible()
