"""A page that a sandbox serves, opened beside the console in a real browser: neither gets at the other."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

INSIDE = (Path(__file__).parents[1] / "inside.py").read_text(encoding="utf-8")
WAIT = "python3 inside.py & until test -e /tmp/enough; do sleep 0.2; done"

TALK = """() => new Promise((heard, failed) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    socket.onopen = () => socket.send("hello");
    socket.onmessage = (event) => heard(event.data);
    socket.onerror = () => failed(new Error("the websocket broke"));
})"""
READ = "(address) => fetch(address, { credentials: 'include' }).then((answer) => answer.text(), () => 'refused')"
ACT = """async (address) => {
    const way = { method: "POST", mode: "no-cors", credentials: "include" };
    return (await fetch(address, way)).type;
}"""
FRAME = """(address) => new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.onload = () => done();
    frame.src = address;
    document.body.append(frame);
})"""


@pytest.mark.long
def test_a_page_of_a_sandbox_gets_at_nothing_of_the_console(served: Any, browser: Browser) -> None:
    task = served.submit(served.repository(**{"inside.py": INSIDE, "wait.sh": WAIT}))
    console = f"http://localhost:{served.port}"  # the nearest name to the port's own that a console can have
    context = browser.new_context(base_url=console)
    ours = {"x-pullwright": "1"}
    assert context.request.post("/api/v1/session", data={"token": served.token}, headers=ours).ok
    before = context.cookies(console)
    page = context.new_page()
    page.goto(f"/tasks/{task}")
    with context.expect_page() as opened:
        page.get_by_role("button", name="Open port 8123").click()
    inside = opened.value
    expect(inside.get_by_role("heading", name="Inside")).to_be_visible()

    assert inside.evaluate(TALK) == "HELLO"
    assert inside.evaluate(READ, "/sent") == "/sent|own=1|"  # what lets it in stays outside
    assert inside.evaluate("document.cookie") == "own=1"
    assert {cookie["name"] for cookie in context.cookies(inside.url)} == {"own", "pullwright-port"}
    assert context.cookies(console) == before
    assert inside.evaluate("window.opener") is None
    assert page.evaluate("localStorage.kept ?? null") is None

    assert inside.evaluate(READ, f"{console}/api/v1/me") == "refused"
    assert inside.evaluate(ACT, f"{console}/api/v1/tasks/{task}/cancel") == "opaque"
    assert served.task(task)["state"] == "running"
    inside.evaluate(FRAME, f"{console}/")
    inside.frames[-1].wait_for_url(re.compile("^chrome-error:"), wait_until="commit")

    page.get_by_role("button", name="Close port 8123").click()
    expect(page.get_by_role("button", name="Close port 8123")).to_have_count(0)
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        inside.reload()
    with served.client as client:
        assert client.post(f"/tasks/{task}/cancel").status_code == 202
    context.close()
