"""What git can do with a delivered change, as a person types it."""

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.long
def test_a_change_is_brought_up_to_date_carried_over_and_taken_back(modelled: Any, repository: Path, e2e: Any) -> None:
    e2e.git(repository, "branch", "v1")
    task = modelled.type(
        "run", "Fix the failing tests", "--repo", "repo", "--branch", "mend/{slug}-{task}", "--json"
    ).json
    branch = task["pull_request"]["branch"]
    assert branch == f"mend/fix-the-failing-tests-{task['id']}"

    found = modelled.type("task", "conflicts", "--repo", "repo", "--json")
    assert (found.status, found.json["conflicts"], len(found.json["order"])) == (0, [], 1)

    bundle = modelled.folder / "change.bundle"
    assert modelled.type("task", "export", task["id"], "--format", "bundle", "-o", str(bundle)).status == 0
    assert modelled.type("task", "export", task["id"], "-o", str(bundle)).status == 2, "nothing is overwritten"
    e2e.git(modelled.folder, "clone", "-q", str(repository), "clone")
    e2e.git(modelled.folder / "clone", "fetch", "-q", str(bundle), f"{branch}:taken")
    assert e2e.git(modelled.folder / "clone", "rev-parse", "taken") == task["pull_request"]["head"]

    (repository / "calc.py").write_text(e2e.CALC.replace("a - b", "a * b"))
    refused = modelled.type("task", "apply", task["id"])
    assert (refused.status, "calc.py" in refused.err) == (2, True)
    assert modelled.type("task", "apply", task["id"], "--3way").status == 3
    assert "<<<<<<<" in (repository / "calc.py").read_text()
    e2e.git(repository, "checkout", "-q", "calc.py")

    (repository / "new.txt").write_text("new\n")
    e2e.git(repository, "add", "-A")
    e2e.git(repository, "commit", "-q", "-m", "Meanwhile")
    updated = modelled.type("task", "update", task["id"], "--rebase", "--json")
    assert updated.status == 0, updated.err
    assert updated.json["pull_request"]["number"] == task["pull_request"]["number"]
    assert e2e.git(repository, "rev-parse", f"{branch}^") == e2e.git(repository, "rev-parse", "main")
    again = modelled.type("task", "update", task["id"])
    assert (again.status, "up to date with main" in again.err) == (0, True)

    (carried,) = modelled.type("task", "backport", task["id"], "--onto", "v1", "--json").json
    assert (carried["state"], carried["attempts"][0]["engine"]) == ("done", "git")
    assert e2e.git(repository, "show", f"{carried['pull_request']['branch']}:calc.py") == e2e.MENDED.strip()

    e2e.git(repository, "merge", "-q", branch)
    back = modelled.type("task", "revert", task["id"], "--json")
    assert back.status == 3, "taking back a fix is no improvement, and the receipt says so"
    assert back.json["attempts"][0]["receipt"]["verdict"] == "regressed"
    assert e2e.git(repository, "show", f"{back.json['pull_request']['branch']}:calc.py") == e2e.CALC.strip()
