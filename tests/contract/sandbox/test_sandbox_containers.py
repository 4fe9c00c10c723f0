"""Sandboxes in containers: what a daemon does differently. The rest of the contract is run over them as well."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pullwright.domain.errors import ImageUnavailable, SandboxUnavailable
from pullwright.domain.image import Image
from pullwright.sandbox.base import ExecRequest, Sandboxes, SandboxSpec
from pullwright.sandbox.docker import LABEL, DockerSandboxes

from .conftest import DAEMON, Shell, Start, no_door
from .test_sandbox_wall import ADoor

_PLATFORM = """
import asyncio, sys
from pathlib import Path
from pullwright.sandbox.base import ExecRequest, SandboxSpec
from pullwright.sandbox.docker import DockerSandboxes

async def main() -> None:
    containers = DockerSandboxes(Path(sys.argv[1]), Path(sys.argv[2]))
    sandbox = await containers.start(SandboxSpec(name="doomed"))
    await sandbox.write("/workspace/needle", b"x")
    print(containers._layers.owner, flush=True)
    await sandbox.run(ExecRequest(argv=("sleep", "60")))

asyncio.run(main())
"""


@pytest.fixture
def kind() -> str:
    """All of these are about containers."""
    return "containers"


async def test_without_a_daemon_it_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    containers = DockerSandboxes(tmp_path / "containers", tmp_path / "nobody.sock")
    (finding,) = await containers.findings()
    assert not finding.ok
    assert "nobody.sock" in finding.text
    assert "PULLWRIGHT_SANDBOX" in finding.remedy
    with pytest.raises(SandboxUnavailable):
        await containers.start(SandboxSpec(name="x"))
    await containers.close()


@pytest.mark.long
async def test_the_door_is_a_socket_inside(start: Start, tmp_path: Path) -> None:
    (tmp_path / "shown").write_text("a file for it\n")
    door = ADoor(tmp_path / "shown")
    sandbox = await start(door=door)
    script = "echo $WAY_OUT; cat /opt/pullwright/shown; exec 3<>/dev/tcp/127.0.0.1/61080; read -u 3 line; echo $line"
    process = await sandbox.open(ExecRequest(argv=("bash", "-c", script)))
    door.listener.setblocking(False)
    client, place = await asyncio.get_running_loop().sock_accept(door.listener)
    assert "exec 3<>" in (await door.who(place[1]) or "")
    client.send(b"from the host\n")
    assert b"".join([piece async for piece in process.output()]) == b"here\na file for it\nfrom the host\n"
    client.close()
    await sandbox.stop()
    assert door.closed == 1


@pytest.mark.long
async def test_the_wall_of_a_container(start: Start, shell: Shell) -> None:
    sandbox = await start()
    seen = await shell(
        sandbox,
        "grep -E '^(Cap(Prm|Bnd)|NoNewPrivs|Seccomp)' /proc/self/status; tail -n +3 /proc/net/dev | cut -d: -f1; "
        "cat /etc/resolv.conf; ls -A /opt/pullwright/line; unshare -U true; "
        "touch /usr/x /etc/x /opt/pullwright/x /run/x; cat /proc/1/environ; ls /proc/1/fd; kill -9 1; echo on",
    )
    status = dict(line.split(":", 1) for line in seen.stdout.decode().splitlines() if ":\t" in line)
    assert int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert seen.stdout.decode().split()[-3:] == ["lo", "filter", "on"]
    assert seen.stderr.count(b"cannot touch") == 4  # Podman's /run is another's, not read-only
    assert seen.stderr.count(b"Permission denied") >= 2


@pytest.mark.long
async def test_what_a_killed_platform_leaves_is_cleaned_up(sandboxes: Sandboxes, tmp_path: Path) -> None:
    root = tmp_path / "killed"
    words = [sys.executable, "-c", _PLATFORM, str(root), str(DAEMON)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as platform:  # noqa: ASYNC220 - it is to be killed
        assert platform.stdout is not None
        owner = (await asyncio.to_thread(platform.stdout.readline)).decode().strip()
        assert list(root.rglob("needle"))
        os.kill(platform.pid, signal.SIGKILL)
    other = DockerSandboxes(root, DAEMON)
    await other.clean()
    query = {"all": "true", "filters": json.dumps({"label": [f"{LABEL}={owner}"]})}
    assert await other._daemon.ask("GET", "/containers/json", params=query) == []
    assert not list(root.rglob("needle"))
    await other.close()


@pytest.mark.long
async def test_images_are_the_daemons_own(sandboxes: Sandboxes, start: Start, shell: Shell) -> None:
    with pytest.raises(ImageUnavailable, match="docker pull"):
        await sandboxes.look_up(Image(reference="docker://nobody/has-this:1"), no_door)
    with pytest.raises(ImageUnavailable, match="skopeo copy"):
        await sandboxes.look_up(Image(reference="oci:/srv/layout:1"), no_door)
    assert "put what it would install into the image" in await sandboxes.administrable(None)
    await (await start()).stop()  # the one for this host's tools is there then
    assert isinstance(sandboxes, DockerSandboxes)
    name = await sandboxes._host_image()
    image = await sandboxes.look_up(Image(reference=f"docker://{name}"), no_door)
    assert image.digest.startswith("sha256:")
