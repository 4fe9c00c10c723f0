"""A person with two hundred tasks."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

MANY = 200


@pytest.mark.long
def test_two_hundred_tasks_in_one_list_that_is_searched_and_lives(served: Any, signed_in: Page) -> None:
    page, repository = signed_in, served.repository()
    page.goto("/")
    first = served.submit(repository, "Mend part 000 of the calculator")
    rows = page.get_by_role("list", name="Tasks").get_by_role("link", name="Mend part")
    expect(rows).to_have_count(1)
    assert served.ended(first)["state"] == "done"
    expect(page.get_by_role("list", name="Tasks").get_by_text("Done", exact=True).first).to_be_visible()
    with served.client as client:
        for number in range(1, MANY):  # they end as soon as they have begun: this is about the list
            task = served.submit(repository, f"Mend part {number:03d} of the calculator")
            assert client.post(f"/tasks/{task}/cancel").status_code == 202
    expect(page.get_by_role("button", name=f"All {MANY}")).to_be_visible()

    search = page.get_by_label("Search tasks")
    search.fill("part 137")
    expect(rows).to_have_count(1)
    expect(rows).to_have_text("Mend part 137 of the calculator")
    search.fill("")
    expect(rows.nth(5)).to_be_visible()
    shown: set[str] = set()
    page.get_by_role("list", name="Tasks").hover()
    for _ in range(400):
        shown |= set(rows.all_inner_texts())
        if len(shown) == MANY:
            break
        page.mouse.wheel(0, 600)
        page.evaluate("() => new Promise(requestAnimationFrame)")
    assert len(shown) == MANY
