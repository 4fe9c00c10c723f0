"""`kill -9` at every point of a delivery to a forge, in real processes: one branch, one pull request, one receipt.

The driver is `test_flow_crash.py`'s; the forge's far side outlives the processes that are killed.
"""

import asyncio
import importlib.util
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.task import State
from pullwright.testing.forges.github import GitHub
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario

REPOSITORY = "team/tool"


def crash() -> Any:
    """The module beside this one: tests are no package."""
    spec = importlib.util.spec_from_file_location("flow_crash", Path(__file__).with_name("test_flow_crash.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["flow_crash"] = module
    spec.loader.exec_module(module)
    return module


async def one_run(tmp_path: Path, strike_at: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run that is struck at a point (0: at none) and taken up until it ends; gives the points that it passed."""
    driver, home = crash(), tmp_path / "home"
    repository = driver.a_repository(tmp_path / "repository")
    async with GitHub(tmp_path / "far") as side, ModelServer(Scenario.parse(driver.SCENARIO)) as server:
        bare = await side.git.create(REPOSITORY)
        driver.git(repository, "push", "-q", str(bare), "HEAD:main")
        entry = {"kind": "github", "host": f"127.0.0.1:{side.port}", "api": side.api, "token_variable": "FORGE_TOKEN"}
        monkeypatch.setenv("PULLWRIGHT_FORGES", json.dumps([entry]))
        monkeypatch.setenv("FORGE_TOKEN", "t-owner")
        monkeypatch.setenv("FAULTS_BEGIN", "outbox")
        url = f"{side.url}/{REPOSITORY}.git"

        def run(strike: int) -> Any:
            return driver.a_run(home, url, server.url, strike, "kill", cwd=repository)

        first = await asyncio.to_thread(run, strike_at)
        assert first.returncode == (-signal.SIGKILL if strike_at else 0), first.stderr
        if strike_at:
            again = await asyncio.to_thread(run, 0)
            assert again.returncode == 0, again.stderr
        task = await driver.the_task(home)
        assert task.state is State.DONE, task.reason
        (pull,) = side.pulls[REPOSITORY]
        assert [said.text.splitlines()[1] for said in pull.comments] == ["## Receipt: fixed"]
        heads = driver.git(bare, "for-each-ref", "--format=%(refname:short)", "refs/heads/").split()
        assert sorted(heads) == ["main", pull.head]
        assert driver.git(bare, "rev-parse", pull.head) == task.pull_request.head
        return [] if strike_at else list(json.loads(first.stdout))


@pytest.mark.long
async def test_killed_at_every_point_of_a_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    points = await one_run(undisturbed, 0, monkeypatch)
    assert {"before push", "after push", "after open", "after comment"} <= set(points)
    for number in range(1, len(points) + 1):
        place = tmp_path / str(number)
        place.mkdir()
        await one_run(place, number, monkeypatch)
