"""What is written inside becomes layers, and sandboxes over the same layers do not see each other."""

import asyncio
import os
from pathlib import Path

import pytest

from pullwright.domain.errors import SandboxError, SandboxLost
from pullwright.sandbox.base import Bind, ExecRequest, Sandboxes

from .conftest import KINDS, Shell, Start


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The whole module is run over each."""
    return str(request.param)


async def test_a_layer_holds_what_was_written_in_the_three_places(
    start: Start, shell: Shell, sandboxes: Sandboxes
) -> None:
    first = await start()
    await shell(first, "echo w >w; echo h >~/h; echo e >/opt/env/e; echo t >/tmp/t; mkdir -p d; ln -s w d/link")
    layer = await first.snapshot()
    assert await sandboxes.has_layer(layer)
    with pytest.raises(SandboxLost):
        await shell(first, "true")
    seen = await shell(await start(layers=(layer,)), "cat w ~/h /opt/env/e; readlink d/link; ls -A /tmp")
    assert seen.stdout == b"w\nh\ne\nw\n"


async def test_forks_of_a_layer_do_not_see_each_other(start: Start, shell: Shell) -> None:
    base = await start()
    await base.write("/workspace/file", b"base")
    layer = await base.snapshot()
    one, two = await start(layers=(layer,)), await start(layers=(layer,))
    await one.write("/workspace/file", b"one")
    await one.write("/home/agent/mine", b"one")
    assert await two.read("/workspace/file") == b"base"
    with pytest.raises(FileNotFoundError):
        await two.read("/home/agent/mine")
    upper = await one.snapshot()
    assert await two.read("/workspace/file") == b"base"
    three = await start(layers=(layer, upper))
    assert await three.read("/workspace/file") == b"one"


async def test_a_layer_remembers_what_was_deleted_and_replaced(start: Start, shell: Shell) -> None:
    base = await start()
    await shell(base, "mkdir -p gone kept/old; touch gone/a kept/old/b; echo 1 >file; echo 2 >deleted; chmod 755 file")
    lowest = await base.snapshot()
    middle = await start(layers=(lowest,))
    await shell(middle, "rm -r gone deleted; rm -r kept; mkdir kept; touch kept/new; echo 3 >>file; chmod 600 file")
    upper = await middle.snapshot()
    top = await start(layers=(lowest, upper))
    seen = await shell(top, "find . | sort; cat file; stat -c %a file; mkdir gone; ls -A gone")
    assert seen.stdout.decode().split() == [".", "./file", "./kept", "./kept/new", "1", "3", "600"]


async def test_many_layers_stack(start: Start, shell: Shell) -> None:
    layers: tuple[str, ...] = ()
    for number in range(8):
        sandbox = await start(layers=layers)
        await shell(sandbox, f"echo {number} >n{number}; echo {number} >last")
        layers = (*layers, await sandbox.snapshot())
    seen = await shell(await start(layers=layers), "cat n* last")
    assert seen.stdout.split() == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"7"]


async def test_snapshot_ends_what_is_running_first(start: Start, shell: Shell) -> None:
    sandbox = await start()
    await shell(sandbox, "setsid sh -c 'while :; do echo x >>log; done' & sleep 0.1")
    running = asyncio.create_task(shell(sandbox, "sleep 60"))
    await asyncio.sleep(0.1)
    layer = await sandbox.snapshot()
    with pytest.raises(SandboxLost):
        await asyncio.wait_for(running, 10)
    one, two = await start(layers=(layer,)), await start(layers=(layer,))
    size = (await shell(one, "stat -c %s log")).stdout
    await asyncio.sleep(0.1)
    assert (await shell(two, "stat -c %s log")).stdout == size != b""


async def test_what_a_stopped_sandbox_wrote_is_gone(start: Start, shell: Shell, tmp_path: Path) -> None:
    sandbox = await start()
    closed = "mkdir -p a/b ~/c; touch a/b/f; chmod 0 a/b a ~/c; mkdir -p $(printf 'd/%.0s' $(seq 1500))"
    await shell(sandbox, f"echo needle >needle; {closed}")
    await sandbox.stop()
    for _ in range(300):  # a large tree may still be on its way out
        if not (left := list((tmp_path / "sandboxes/trash").iterdir())):
            break
        await asyncio.sleep(0.1)
    assert left == []
    assert [place for place, _, files in os.walk(tmp_path / "sandboxes") if "needle" in files] == []
    assert (await shell(await start(), "ls -A")).stdout == b""


async def test_a_dropped_layer_is_gone(start: Start, shell: Shell, sandboxes: Sandboxes) -> None:
    sandbox = await start()
    await shell(sandbox, "mkdir -p shut/in; touch shut/in/f; chmod 0 shut/in shut")
    layer = await sandbox.snapshot()
    await sandboxes.drop_layer(layer)
    assert not await sandboxes.has_layer(layer)
    await sandboxes.drop_layer(layer)
    with pytest.raises(SandboxError):
        await start(layers=(layer,))


@pytest.mark.parametrize("layer", ["", ".", "..", "../run", "no-such-layer", "a/b"])
async def test_what_is_no_layer_is_not_there(sandboxes: Sandboxes, layer: str) -> None:
    assert not await sandboxes.has_layer(layer)
    await sandboxes.drop_layer(layer)


async def test_a_read_only_workspace(start: Start, shell: Shell) -> None:
    base = await start()
    await base.write("/workspace/file", b"base")
    sandbox = await start(layers=(await base.snapshot(),), read_only=True)
    result = await shell(
        sandbox, "touch new; echo x >file; rm file; cat file; touch ~/ok /opt/env/ok /tmp/ok && echo ok"
    )
    assert result.stdout == b"baseok\n"
    assert result.stderr.count(b"Read-only file system") == 3


async def test_binds_are_shown_and_not_writable(start: Start, shell: Shell, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "tools").mkdir(parents=True)
    (hidden / "tools/one").write_text("tool")
    (hidden / "file").write_text("a file")
    for path in (hidden / "tools", hidden / "tools/one", hidden / "file"):
        path.chmod(path.stat().st_mode | 0o055 if path.is_dir() else 0o644)
    hidden.chmod(0o700)
    sandbox = await start(
        binds=(Bind(hidden / "tools", "/opt/pullwright/bin"), Bind(hidden / "file", "/opt/pullwright/some/file"))
    )
    seen = await shell(
        sandbox,
        "cat /opt/pullwright/bin/one /opt/pullwright/some/file; cd /opt/pullwright/bin; touch new; rm one",
    )
    assert seen.stdout == b"toola file"
    assert seen.stderr.count(b"Read-only file system") == 2
    assert (hidden / "tools/one").read_text() == "tool"


async def test_a_missing_bind_is_named(start: Start, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="nowhere"):
        await start(binds=(Bind(tmp_path / "nowhere", "/opt/pullwright/x"),))


async def test_files_are_owned_by_the_user_inside_through_layers(start: Start, shell: Shell) -> None:
    base = await start()
    await shell(base, "mkdir d; touch d/f; touch ~/h")
    sandbox = await start(layers=(await base.snapshot(),))
    request = ExecRequest(argv=("stat", "-c", "%u:%g", "/workspace", "d", "d/f", "/home/agent", "/opt/env", "/tmp"))
    assert set((await sandbox.run(request)).stdout.split()) == {b"1000:1000"}
    assert (await shell(sandbox, "echo x >>d/f; touch ~/h; mv d e; ls e")).stdout == b"f\n"
