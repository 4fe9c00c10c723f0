"""What a reviewer asks of the API about two attempts of one task: real processes and sandboxes, a scripted model."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

CALC = "def add(a, b):\n    return a - b\n"


def ready(client: httpx.Client, task: str) -> Any:
    """The task once it has ended."""
    end = time.monotonic() + 120
    while True:
        view = client.get(f"/tasks/{task}").json()
        if view["state"] in ("done", "failed", "cancelled"):
            return view
        assert time.monotonic() < end, view
        time.sleep(0.1)


@contextmanager
def serving(person: Any) -> Iterator[httpx.Client]:
    started = person.start("serve", "--port", "0")
    try:
        started.until("curl")
        address = started.err.partition("curl -H 'Authorization: Bearer ")[2]
        token, _, rest = address.partition("'")
        base = rest.strip().splitlines()[0].removesuffix("/tasks")
        with httpx.Client(base_url=base, headers={"authorization": f"Bearer {token}"}, timeout=60) as client:
            yield client
    finally:
        started.kill()


@pytest.mark.long
def test_two_attempts_are_reviewed_chosen_commented_and_delivered(modelled: Any, repository: Path, e2e: Any) -> None:
    with serving(modelled) as client:
        order = {"prompt": "Fix the failing tests", "repository": str(repository), "attempts": 2}
        task = client.post("/tasks", json=order).json()["id"]
        first = ready(client, task)
        assert first["state"] == "done"
        best, place = first["chosen"], 2 if first["chosen"] == f"{task}-1" else 1
        other = f"{task}-{place}"  # equal changes go by their time
        reads_attempts(client, best, other)

        matrix = client.get(f"/tasks/{task}/comparison").json()
        (columns,) = matrix["tasks"]
        assert [one["rank"] for one in columns["attempts"]] == [1, 1]
        assert [one["same_as"] for one in columns["attempts"]] == [None, best]
        assert columns["attempts"][0]["tests"]["fixed"] == 1
        assert columns["chosen_by"] == "platform"
        assert [(row["path"], len(row["cells"])) for row in matrix["files"]] == [("calc.py", 2)]
        both = client.get("/comparison", params={"task": [task, task[:6]]}).json()
        assert len(both["tasks"]) == 1

        assert client.post(f"/tasks/{task}/choose", json={"attempt": 3}).status_code == 404
        assert client.post(f"/tasks/{task}/choose", json={"attempt": place}).status_code == 202
        second = ready(client, task)
        assert second["chosen"] == other
        assert second["pull_request"]["number"] == first["pull_request"]["number"]
        assert second["pull_request"]["head"] == second["attempts"][place - 1]["head"] != first["pull_request"]["head"]
        assert e2e.git(repository, "rev-parse", second["pull_request"]["branch"]) == second["pull_request"]["head"]

        said = {
            "comments": [
                {"path": "calc.py", "line": 2, "side": "base", "text": "Why did this subtract?"},
                {"path": "calc.py", "line": 2, "text": "Name the numbers."},
            ],
            "text": "Thanks!",
        }
        wrong = client.post(f"/tasks/{task}/comments", json={"comments": [{"path": "calc.py", "line": 9, "text": "x"}]})
        assert wrong.status_code == 400
        assert "no line 9" in wrong.json()["detail"]
        assert client.post(f"/tasks/{task}/comments", json=said).status_code == 202
        third = ready(client, task)
        assert third["chosen"] == other  # a person's choice stands
        notes = client.get(f"/attempts/{other}/turns").json()["notes"]
        (heard,) = [note["event"]["text"] for note in notes if note["event"]["kind"] == "person-said"]
        assert "On calc.py line 2 as it was before the change, which reads `return a - b`:\nWhy did" in heard
        assert "On calc.py line 2, which reads `return a + b`:\nName the numbers." in heard
        assert heard.endswith("Thanks!")

        assert client.post(f"/tasks/{task}/deliver").status_code == 202
        assert ready(client, task)["pull_request"]["number"] == first["pull_request"]["number"]
        mails = client.get(f"/tasks/{task}/export", params={"format": "mbox"})
        assert mails.text.startswith("From ")


def reads_attempts(client: httpx.Client, attempt: str, other: str) -> None:
    answer = client.get(f"/attempts/{attempt}/turns")
    told = answer.json()
    assert [turn["status"] for turn in told["turns"]] == ["continue", "finished"]
    (call,) = told["turns"][0]["calls"]
    assert call["name"] == "exec_command"
    assert call["output"]["whole"] is True
    assert client.get(f"/attempts/{attempt}/outputs/{call['output']['number']}").text == call["output"]["text"]
    assert told["turns"][0]["commit"]
    assert told["turns"][0]["usage"]["input_tokens"] > 0
    known = client.get(f"/attempts/{attempt}/turns", headers={"if-none-match": answer.headers["etag"]})
    assert known.status_code == 304

    changes = client.get(f"/attempts/{attempt}/changes").json()
    assert [(file["path"], file["insertions"], file["deletions"]) for file in changes["files"]] == [("calc.py", 1, 1)]
    assert client.get(f"/attempts/{attempt}/changes", params={"turn": 0}).status_code == 404
    at_first = client.get(f"/attempts/{attempt}/changes", params={"turn": 1}).json()
    assert at_first["files"] == changes["files"]
    assert client.get(f"/attempts/{attempt}/changes", params={"against": other}).json()["files"] == []
    whole = client.get(f"/attempts/{attempt}.patch")
    assert whole.headers["content-type"].startswith("text/plain")
    assert client.get(f"/attempts/{attempt}.patch", params={"path": "calc.py"}).text == whole.text
    assert client.get(f"/attempts/{attempt}.patch", params={"path": "nothing.py"}).status_code == 404
    again = client.get(f"/attempts/{attempt}.patch", headers={"if-none-match": whole.headers["etag"]})
    assert again.status_code == 304
    sides = [
        client.get(f"/attempts/{attempt}/file", params={"path": "calc.py", "side": side}).text
        for side in ("base", "head")
    ]
    assert sides == [CALC, CALC.replace("a - b", "a + b")]
    assert client.get(f"/attempts/{attempt}/file", params={"path": "../x"}).status_code == 404

    proof = client.get(f"/attempts/{attempt}/receipt").json()
    assert (proof["verdict"], proof["total"]) == ("fixed", 2)
    row = next(test for test in proof["tests"] if test["name"].endswith("test_two"))
    assert (row["base"], row["judged"]) == ("failed", "passed")
    place = row["places"][0]  # of each run that it failed in
    log = client.get(f"/attempts/{attempt}/checks/{place['check']}/log").text
    assert "test_two" in log.splitlines()[place["line"] - 1]
    part = client.get(f"/attempts/{attempt}/checks/{place['check']}/log", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.text) == (206, log[:4])
    assert client.get(f"/attempts/{attempt}/checks/99/log").status_code == 404
