"""The same scripts in real sandboxes: over layers, and with the store seen read-only by another user."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import SandboxUnavailable
from pullwright.repos import checkpoints
from pullwright.repos.change import take_change
from pullwright.repos.mirror import Repositories, Store
from pullwright.sandbox.base import Bind, ExecRequest, ExecResult, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

Person = Any  # conftest.Person


@pytest.fixture
async def sandboxes(ground: Path) -> AsyncIterator[LocalSandboxes]:
    (ground / "machines").mkdir()
    made = LocalSandboxes(ground / "machines", uid=64200)
    yield made
    await made.close()


async def start(sandboxes: LocalSandboxes, store: Store, *layers: str) -> Sandbox:
    binds = (Bind(store.objects, checkpoints.OBJECTS),)
    try:
        return await sandboxes.start(SandboxSpec(name="repos", layers=layers, binds=binds))
    except SandboxUnavailable as error:
        pytest.skip(str(error))


async def run(sandbox: Sandbox, argv: tuple[str, ...]) -> ExecResult:
    result = await sandbox.run(ExecRequest(argv=argv, output_limit=checkpoints.MAX_BYTES))
    assert result.exit_code == 0, (result.stdout[-2000:], result.stderr[-2000:])
    return result


async def test_from_checkout_over_layers_to_change(
    mine: Person, repositories: Repositories, sandboxes: LocalSandboxes
) -> None:
    mine.write(".gitignore", "*.pyc\n")
    base = mine.commit({f"pkg/m{n}.py": f"n = {n}\n" for n in range(200)})
    store = await repositories.fetch(await repositories.locate(str(mine.path), Path("/")))

    setup = await start(sandboxes, store)
    await run(setup, ("sh", "-c", "mkdir node_modules && echo m >node_modules/m.js && echo left >left && mkdir README"))
    below = await setup.snapshot()

    laid = await start(sandboxes, store, below)
    await run(laid, checkpoints.checkout_command(base))
    tree = await laid.snapshot()

    attempt = await start(sandboxes, store, below, tree)
    status = await run(attempt, ("git", "status", "--porcelain"))
    assert status.stdout == b""
    untouched = await run(attempt, checkpoints.capture_command())
    assert (await checkpoints.take_in(store, "t-1/1", untouched.stdout, base, "x")).tree == await store.tree(base)

    await run(attempt, ("sh", "-c", "echo 'n = -1' >pkg/m7.py; rm pkg/m8.py; rm -rf .git; echo new >new.py; >x.pyc"))
    captured = await run(attempt, checkpoints.capture_command())
    taken = await checkpoints.take_in(store, "t-1/2", captured.stdout, base, "x")
    change = await take_change(store, base, taken.tree, "t-1")
    assert {file.path: file.status for file in change.files} == {"new.py": "A", "pkg/m7.py": "M", "pkg/m8.py": "D"}
    await attempt.stop()

    again = await start(sandboxes, store, below)
    await run(again, checkpoints.checkout_command(base, taken.tree))
    status = await run(again, ("git", "status", "--porcelain"))
    assert status.stdout.decode().splitlines() == [" M pkg/m7.py", " D pkg/m8.py", "?? new.py"]
    log = await run(again, ("git", "log", "--format=%H"))
    assert len(log.stdout.split()) == 3
    await run(again, ("git", "commit", "-qam", "the agent's own"))
    captured = await run(again, checkpoints.capture_command())
    assert (await checkpoints.take_in(store, "t-1/3", captured.stdout, taken.commit, "x")).tree == taken.tree
    await again.stop()
