"""A port that a process in the sandbox listens on, opened through the server: a real sandbox, HTTP and a websocket."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pullwright.testing.scenario import Scenario

# The turn serves until it is told that it is enough.
INSIDE = Path(__file__).with_name("inside.py").read_text(encoding="utf-8")
SCENARIO = f"""
model = "scripted"
key = "sk-test"
loop = true

[[step]]
[[step.call]]
tool = "exec_command"
arguments = {{ cmd = '''
cat > /tmp/inside.py <<'END'
{INSIDE}
END
python3 /tmp/inside.py & until test -e /tmp/enough; do sleep 0.2; done; kill %1
''' }}

[[step]]
[[step.call]]
tool = "finish"
arguments = {{ summary = "Served." }}
"""


@pytest.fixture
def own_model(tmp_path: Path) -> Iterator[str]:
    """A model's server in a process of its own."""
    Scenario.parse(SCENARIO)
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    argv = [sys.executable, "-m", "pullwright.testing.model_server", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_port_is_opened_to_who_was_given_its_key_alone(person: Any, repository: Path, own_model: str) -> None:
    ours = {"OPENAI_BASE_URL": own_model, "OPENAI_API_KEY": "sk-test", "PULLWRIGHT_MODEL": "openai:scripted"}
    person.variables.update(ours)
    started = person.start("serve", "--port", "0")
    try:
        started.until("curl")
        told = re.search(r"-H 'Authorization: Bearer (\S+)' (\S+)/tasks", started.err)
        assert told is not None
        with httpx.Client(base_url=told[2], headers={"authorization": f"Bearer {told[1]}"}, timeout=30) as client:
            order = {"prompt": "Serve", "repository": str(repository)}
            attempt = client.post("/tasks", json=order).json()["id"] + "-1"
            listening(client, attempt)
            lives(client, attempt)
            tries(client, attempt)
    finally:
        started.kill()


def listening(client: httpx.Client, attempt: str) -> None:
    end = time.monotonic() + 60
    while True:
        answer = client.get(f"/attempts/{attempt}/ports")
        if answer.is_success and 8123 in [one["port"] for one in answer.json()["ports"]]:
            assert answer.json()["out_of_reach"] is None
            return
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)


def lives(client: httpx.Client, attempt: str) -> None:
    """The server is seen to work on the attempt, and to give signs of life by itself."""
    os.utime(Path(client.get("/limits").json()["data"]) / "worker.lock", (1, 1))
    end = time.monotonic() + 60
    while not (worker := client.get("/queue").json()["workers"][0])["answers"]:
        assert time.monotonic() < end, worker
        time.sleep(0.1)
    assert (worker["here"], worker["attempts"]) == (True, [attempt])


def tries(client: httpx.Client, attempt: str) -> None:
    assert client.post(f"/attempts/{attempt}/ports/9/open").status_code in (400, 503)  # nobody listens there
    answer = client.post(f"/attempts/{attempt}/ports/8123/open")
    assert answer.status_code == 200, answer.text
    opened = answer.json()
    url = urlsplit(opened["url"])
    assert url.hostname is not None
    assert url.hostname.endswith(".localhost")
    here = f"http://127.0.0.1:{url.port}"
    named = {"host": opened["host"]}
    with httpx.Client(base_url=here, timeout=30) as browser:
        assert browser.get("/x").status_code == 421  # by its own name only
        assert browser.get("/x", headers=named).status_code == 401
        assert browser.get("/.pullwright/open?key=wrong", headers=named).status_code == 403
        entered = browser.get(f"{url.path}?{url.query}", headers=named)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert browser.get(f"{url.path}?{url.query}", headers=named).status_code == 403  # a key is good once
        mine = named | {"cookie": f"a=1; {cookie.partition(';')[0]}; pullwright=console"}
        browser.cookies.clear()
        page = browser.get("/page?q=1", headers=mine)
        assert page.text == "/page?q=1|a=1; pullwright=console|"  # a browser sends no other host's; ours stays outside
        assert page.headers.get_list("set-cookie") == ["own=1"]
    talks(opened["host"], url.port or 0, mine["cookie"])
    assert client.delete(f"/attempts/{attempt}/ports/8123").status_code == 204
    with pytest.raises(httpx.ConnectError), httpx.Client() as gone:
        gone.get(here, headers=mine)


def talks(host: str, port: int, cookie: str) -> None:
    """Over a websocket, by who was let in; whatever else it is asked to go over to, what is sent is looked at."""

    def joined(**headers: str) -> Any:
        end = socket.create_connection(("127.0.0.1", port), timeout=30)
        return connect(f"ws://{host}/ws", sock=end, additional_headers=headers, proxy=None, compression=None)

    with pytest.raises(InvalidStatus, match="401"), joined():
        pass
    with joined(Cookie=cookie) as open_:
        assert "stolen" not in str(open_.response.headers)
        for text in ("hello", "x" * 5000, "bye"):
            open_.send(text)
            assert open_.recv(timeout=30) == text.upper()
    for upgrade, path in (("h2c", "/ws"), ("websocket", "/no")):
        asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:
            raw.sendall(f"{asked}Upgrade: {upgrade}\r\nConnection: Upgrade\r\n\r\n".encode())
            heard = raw.recv(4096)
            raw.sendall(f"{asked}Connection: close\r\n\r\n".encode())
            while piece := raw.recv(4096):
                heard += piece
        assert heard.count(b"HTTP/1.1 200") == 2, heard
        assert heard.count(b"|a=1; pullwright=console|") == 2, heard
        assert b"pullwright-port" not in heard, heard
