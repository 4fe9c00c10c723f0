"""A person with two hundred tasks."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

MANY = 200


@pytest.mark.long
def test_two_hundred_tasks_in_one_list_that_is_searched_and_lives(served: Any, signed_in: Page) -> None:
    page, repository = signed_in, served.repository()
    page.goto("/")
    tasks = [served.submit(repository, f"Mend part {number:03d} of the calculator") for number in range(MANY)]
    rows = page.get_by_role("list", name="Tasks").get_by_role("link", name="Mend part")
    expect(rows.first).to_be_visible()

    search = page.get_by_label("Search tasks")
    search.fill("part 000")
    expect(rows).to_have_count(1)
    expect(rows).to_have_text("Mend part 000 of the calculator")
    search.fill("")
    expect(page.get_by_role("button", name=re.compile(r"Ended [1-9]"))).to_be_visible()  # by itself
    expect(rows.nth(5)).to_be_visible()
    shown = set()
    page.get_by_role("list", name="Tasks").hover()
    for _ in range(400):
        shown |= set(rows.all_inner_texts())
        if len(shown) == MANY:
            break
        page.mouse.wheel(0, 600)
        page.evaluate("new Promise(requestAnimationFrame)")
    assert len(shown) == MANY

    with served.client as client:
        for task in tasks:
            client.post(f"/tasks/{task}/cancel")
