"""No layer is removed that somebody uses, whichever process that is; what is unused goes whole."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pullwright.domain.errors import SandboxError
from pullwright.sandbox.base import Layer, Sandboxes
from pullwright.sandbox.local import LocalSandboxes

from .conftest import UID, Shell, Start

_USER = """
import asyncio, sys
from pathlib import Path
from pullwright.sandbox.base import SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

async def main() -> None:
    local = LocalSandboxes(Path(sys.argv[1]), uid=int(sys.argv[2]))
    if sys.argv[4] == "lives":
        await local.start(SandboxSpec(name="user", layers=(sys.argv[3],)))
    else:
        print(await local.has_layer(sys.argv[3]))
    print("up", flush=True)
    await asyncio.sleep(120)

asyncio.run(main())
"""


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[LocalSandboxes]:
    """Somebody else on the same directory."""
    local = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    yield local
    await local.close()


def user_of(root: Path, layer: str, how: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", _USER, str(root), str(UID), layer, how]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


async def looked_at(sandboxes: LocalSandboxes, layer: str) -> Layer:
    (found,) = [one for one in await sandboxes.layers() if one.id == layer]
    return found


async def a_layer(start: Start, shell: Shell) -> str:
    sandbox = await start()
    await shell(sandbox, "head -c 3000000 /dev/urandom >large; mkdir shut; touch shut/f; chmod 0 shut")
    return await sandbox.snapshot()


async def test_what_a_sandbox_stands_on_stays(
    start: Start, shell: Shell, sandboxes: Sandboxes, other: LocalSandboxes
) -> None:
    layer = await a_layer(start, shell)
    assert not await other.evict(await looked_at(other, layer))  # whoever made it has not told anybody yet
    sandbox = await start(layers=(layer,))
    found = await looked_at(other, layer)
    assert found.held
    assert 3_000_000 < found.size < 4_000_000
    assert not await other.evict(found)
    assert not await sandboxes.evict(found)
    assert (await shell(sandbox, "stat -c %s large")).stdout == b"3000000\n"
    await sandbox.stop()
    await sandboxes.close()
    found = await looked_at(other, layer)
    assert not found.held
    assert await other.evict(found)
    assert not await other.has_layer(layer)
    assert not await other.evict(found)


@pytest.mark.parametrize("how", ["lives", "looked"])
async def test_what_another_process_uses_stays_until_it_dies(
    start: Start, shell: Shell, sandboxes: Sandboxes, other: LocalSandboxes, tmp_path: Path, how: str
) -> None:
    layer = await a_layer(start, shell)
    await sandboxes.close()
    with user_of(tmp_path / "sandboxes", layer, how) as user:
        try:
            assert user.stdout is not None
            assert user.stdout.readline().rstrip() == (b"up" if how == "lives" else b"True")
            found = await looked_at(other, layer)
            assert found.held
            assert not await other.evict(found)
        finally:
            user.kill()
    for _ in range(400):  # a child that it was just starting may outlive it by a moment
        if gone := await other.evict(await looked_at(other, layer)):
            break
        await asyncio.sleep(0.05)
    assert gone
    await other.clean()
    assert [path.name for path in (tmp_path / "sandboxes" / "trash").iterdir()] == []


async def test_what_was_used_since_it_was_looked_at_stays(
    start: Start, shell: Shell, sandboxes: Sandboxes, other: LocalSandboxes, tmp_path: Path
) -> None:
    layer = await a_layer(start, shell)
    await sandboxes.close()
    found = await looked_at(other, layer)
    third = LocalSandboxes(tmp_path / "sandboxes", uid=UID)
    assert await third.has_layer(layer)
    await third.close()
    assert not await other.evict(found)
    assert await other.evict(await looked_at(other, layer))


async def test_a_layer_that_is_gone_is_told_before_anything_starts(start: Start, shell: Shell) -> None:
    layer = await a_layer(start, shell)
    with pytest.raises(SandboxError, match="0123456789abcdef01234567 is gone; prepare the environment again"):
        await start(layers=(layer, "0123456789abcdef01234567"))
    assert (await shell(await start(layers=(layer,)), "cat large | wc -c")).stdout == b"3000000\n"
