"""Commands about tasks that go to a server: another data directory, no worker, the same words and the same answers."""

import re
from pathlib import Path
from typing import Any

import pytest


def elsewhere(modelled: Any, started: Any, e2e: Any) -> Any:
    """Somebody with another data directory, and with a token for the server that has started."""
    started.until("curl")
    told = re.search(r"-H 'Authorization: Bearer (\S+)' (\S+)/api/v1/tasks", started.err)
    assert told is not None
    server = {"PULLWRIGHT_URL": told[2], "PULLWRIGHT_TOKEN": told[1]}
    variables = modelled.variables | server | {"PULLWRIGHT_HOME": str(modelled.folder / "elsewhere")}
    return e2e.Person(modelled.folder, variables)


def test_commands_about_tasks_go_to_the_server_that_is_named(modelled: Any, repository: Path, e2e: Any) -> None:
    started = modelled.start("serve", "--port", "0")
    try:
        person = elsewhere(modelled, started, e2e)
        ran = person.type("run", "Fix the failing tests", "--repo", str(repository), "--json")
        assert ran.status == 0, ran.err
        assert "finish" in ran.err or "fixed" in ran.err
        task = ran.json["id"]
        assert (ran.json["state"], ran.json["pull_request"]["number"]) == ("done", 1)
        assert [one["id"] for one in person.type("task", "list", "--json").json] == [task]
        shown = person.type("task", "show", task[:5])
        assert "Fix the failing tests" in shown.out
        assert shown.out == modelled.type("task", "show", task).out  # as on the server's own record
        assert person.type("task", "log", task).out == modelled.type("task", "log", task).out
        assert "+    return a + b" in person.type("task", "diff", task).out
        again = person.type("task", "message", task, "Name the numbers.", "--on", "calc.py:2")
        assert again.status == 0, again.err
        refused = person.type("task", "message", task, "x", "--on", "calc.py:99")
        assert refused.status == 2
        assert "no line 99" in refused.err
        unknown = person.type("task", "cancel", "zzz")
        assert unknown.status == 2
        assert "There is no task zzz" in unknown.err
        assert not (modelled.folder / "elsewhere").exists()  # nothing of this machine's own was opened
        nobody = e2e.Person(modelled.folder, person.variables | {"PULLWRIGHT_TOKEN": "pw_wrong"})
        assert "Not signed in" in (said := nobody.type("task", "list")).err or said.status == 2
    finally:
        started.kill()
    gone = person.type("task", "list")
    assert gone.status != 0
    assert "cannot be reached" in gone.err


@pytest.mark.long
def test_a_change_is_put_on_a_checkout_of_ones_own(modelled: Any, repository: Path, e2e: Any) -> None:
    started = modelled.start("serve", "--port", "0")
    try:
        person = elsewhere(modelled, started, e2e)
        task = person.type("run", "Fix the failing tests", "--repo", str(repository), "--json").json["id"]
        checkout = modelled.folder / "checkout"
        e2e.git(modelled.folder, "clone", "-q", str(repository), str(checkout))
        applied = person.type("task", "apply", task, "--repo", str(checkout), "--json")
        assert applied.json == {"paths": ["calc.py"], "conflicts": []}
        assert "return a + b" in (checkout / "calc.py").read_text()
        (checkout / "calc.py").write_text("def add(*numbers):\n    return sum(numbers)\n")
        in_the_way = person.type("task", "apply", task, "--repo", str(checkout))
        assert in_the_way.status == 2
        assert "does not fit onto" in in_the_way.err
        asked = ("task", "conflicts", "--repo", str(repository))
        assert person.type(*asked).out == modelled.type(*asked).out
        assert person.type(*asked, "--json").json.keys() == modelled.type(*asked, "--json").json.keys()
        # Nothing of this machine's own was opened, but for the checkout that the change was put on.
        assert {one.name for one in (modelled.folder / "elsewhere").iterdir()} == {"repos"}
    finally:
        started.kill()
