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
    page.goto("/usage#code=of-another-start")  # signed in already
    expect(page.get_by_role("heading", name="Usage")).to_be_visible()
    expect(page).to_have_url(f"{served.address}/usage")
    page.goto("/usage#code=in-the-same-tab")
    expect(page).to_have_url(f"{served.address}/usage")
    page.go_back()
    expect(page).to_have_url(f"{served.address}/usage")
    page.go_forward()
    expect(page).to_have_url(f"{served.address}/usage")

    other = browse(signed_in=False).page()
    other.goto("/")
    expect(other.get_by_label("Token")).to_be_visible()
    other.goto(f"{served.address}/#code={served.code}")
    expect(other.get_by_role("alert")).to_contain_text("has been used or is too old")
    assert "code" not in other.url
    other.get_by_label("Token").fill(served.token)
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("navigation")).to_be_visible()
    other.get_by_role("button", name="Account and appearance").click()
    other.get_by_role("menuitem", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in to Pullwright")).to_be_visible()
