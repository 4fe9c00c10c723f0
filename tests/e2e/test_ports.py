"""A port that a process in the sandbox listens on, opened through the server: a real sandbox, raw HTTP from outside."""

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

from pullwright.testing.scenario import Scenario

# Inside: an HTTP server that shows what it was sent, and takes a raw upgrade; then the turn waits until it is told.
INSIDE = """
import http.server
class Shown(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("Upgrade"):
            self.send_response(101)
            self.send_header("Upgrade", "echo")
            self.end_headers()
            self.wfile.write(b"<" + self.rfile.readline() + b">")
            self.close_connection = True
            return
        body = (self.path + "|" + (self.headers.get("Cookie") or "")).encode()
        self.send_response(200)
        self.send_header("Set-Cookie", "pullwright-port=stolen")
        self.send_header("Set-Cookie", "own=1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", 8123), Shown).serve_forever()
"""


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
            tries(client, attempt)
    finally:
        started.kill()


def listening(client: httpx.Client, attempt: str) -> None:
    end = time.monotonic() + 60
    while True:
        answer = client.get(f"/attempts/{attempt}/ports")
        if answer.is_success and 8123 in [one["port"] for one in answer.json()]:
            return
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)


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
        assert page.text == "/page?q=1|a=1; pullwright=console"  # a browser sends no other host's; ours stays outside
        assert page.headers.get_list("set-cookie") == ["own=1"]
    with socket.create_connection(("127.0.0.1", url.port or 0), timeout=30) as raw:
        lines = [f"Host: {opened['host']}", f"Cookie: {mine['cookie']}", "Upgrade: echo", "Connection: Upgrade"]
        raw.sendall("\r\n".join(("GET /ws HTTP/1.1", *lines, "", "hello\n")).encode())
        heard = b""
        while piece := raw.recv(4096):
            heard += piece
    assert heard.startswith(b"HTTP/1.1 101")
    assert heard.endswith(b"<hello\n>")
    assert client.delete(f"/attempts/{attempt}/ports/8123").status_code == 204
    with pytest.raises(httpx.ConnectError), httpx.Client() as gone:
        gone.get(here, headers=mine)
