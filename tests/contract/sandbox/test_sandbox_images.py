"""Sandboxes whose root is an image, and setups that are root in theirs."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pullwright.domain.errors import ImageUnavailable, SandboxError
from pullwright.domain.image import Image
from pullwright.sandbox.base import ExecRequest, Sandboxes
from pullwright.testing import images
from pullwright.testing.images import busybox, device, directory, file, link, write_layout

from .conftest import Shell, Start, had, needs_images, no_door


async def quiet(_: str) -> None:
    return None


@needs_images
async def test_an_image_is_the_root_and_the_rest_is_as_ever(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    variables = ("COLOUR=blue", "PATH=/custom:/bin", "HOME=/root", "LD_LIBRARY_PATH=", "bad name=x")
    layers = [
        [*busybox(), file("old"), directory("kept"), file("kept/a")],
        [file(".wh.old"), file("kept/.wh..wh..opq")],
    ]
    write_layout(tmp_path / "layout", [*layers, [file("kept/b", "b")]], variables=variables, user="other")
    said: list[str] = []

    async def say(text: str) -> None:
        said.append(text)

    image = await sandboxes.look_up(Image(reference=f"oci:{tmp_path}/layout:test"), no_door)
    with pytest.raises(SandboxError, match="is gone"):
        await start(image=image)
    await sandboxes.bring(image, no_door, say)
    await sandboxes.bring(image, no_door, say)
    assert len(said) == 1, "it is unpacked once"
    sandbox = await start(image=image, variables={"A": "B"})
    facts = await shell(
        sandbox, "id -un; id -u; pwd; echo $COLOUR $A $HOME; ls /kept; ls /old; echo $(ls -A /); cat /etc/hosts"
    )
    assert facts.stdout.decode().splitlines() == [
        "agent",
        "1000",
        "/workspace",
        "blue B /home/agent",
        "b",
        "bin dev etc home kept opt proc run tmp usr var workspace",
        "127.0.0.1 localhost sandbox",
        "::1 localhost",
    ]
    path = (await shell(sandbox, "echo $PATH")).stdout.decode().strip().split(":")
    assert path[-3:] == ["/custom", "/bin", "/opt/pullwright/lent/bin"]
    places = "/ /bin /bin/sh /etc /etc/passwd /home /opt /opt/pullwright /run /var /dev /kept/b /proc"
    tried = await shell(
        sandbox, f"touch ~/x /tmp/x /var/tmp/y x; for p in {places}; do touch -c $p 2>/dev/null && echo $p; done; true"
    )
    assert (tried.stdout, tried.stderr) == (b"", b"")
    own = await shell(
        sandbox, "grep -E '^(Cap(Prm|Eff)|NoNewPrivs|Seccomp:)' /proc/self/status; tail -n +3 /proc/net/dev"
    )
    assert b"CapEff:\t0000000000000000" in own.stdout
    assert b"NoNewPrivs:\t1" in own.stdout
    assert own.stdout.splitlines()[-1].split(b":")[0].strip() == b"lo"
    layer = await sandbox.snapshot()
    seen = await shell(await start(image=image, layers=(layer,)), "ls; ls ~; ls /tmp")
    assert seen.stdout == b"x\nx\n"


@needs_images
async def test_git_and_bash_are_lent_to_an_image_that_has_none(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    write_layout(tmp_path / "bare", [busybox()])
    write_layout(tmp_path / "own", [[*busybox(), file("bin/git", "#!/bin/sh\necho its own\n", 0o755)]])
    sandbox = await start(image=await had(sandboxes, f"oci:{tmp_path}/bare"))
    git = "git -c user.name=a -c user.email=a@b"
    done = await sandbox.run(
        ExecRequest(
            argv=("bash", "-c", f"{git} init -q && {git} commit -qm one --allow-empty && {git} log --format=%s")
        )
    )
    assert done.stdout.strip() == b"one", done.stderr
    own = await start(image=await had(sandboxes, f"oci:{tmp_path}/own"))
    assert (await shell(own, "git")).stdout == b"its own\n"


@needs_images
async def test_a_hostile_image_stays_inside(start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path) -> None:
    target = tmp_path / "outside"
    target.mkdir(mode=0o777)
    target.chmod(0o777)
    entries = [
        *busybox(),
        link("up", str(target)),
        file("up/through-a-link", "x"),
        file("../../../../../../climbed", "x"),
        device("kmsg", 1, 11),
        file("bin/su", "#!/bin/sh\nid -u\n", 0o4755),
        link("workspace", "/etc"),
        link("run", str(target)),
        link("var", "../../../../../../../tmp"),
        link("opt", "/oldroot/tmp"),
    ]
    second = [file(".wh.etc"), link("etc", "/workspace"), link("etc/hosts", str(target / "hosts")), link("dev", "/tmp")]
    write_layout(tmp_path / "layout", [entries, second])
    try:
        image = await had(sandboxes, f"oci:{tmp_path}/layout")
    except ImageUnavailable:
        pass  # refused as a whole is as good
    else:
        sandbox = await start(image=image)
        seen = await shell(
            sandbox,
            "echo x >w; ls -d /etc/passwd /dev/null; ls -A /run /workspace /up/; cat /kmsg; echo su $(/bin/su); "
            "test -L /etc || test -L /workspace || test -L /opt || echo plain; touch /run/y /up/y",
        )
        assert b"plain" in seen.stdout
        assert b"su 1000" in seen.stdout
        assert b"/etc/passwd" in seen.stdout
        assert b"through-a-link" not in seen.stdout
        assert b"kmsg" in seen.stderr
    assert list(target.iterdir()) == []
    assert not Path("/climbed").exists()


@needs_images
@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("oci:{}/nowhere:test", "there is no directory"),
        ("oci:{}/layout:other", "the layout holds test"),
        ("oci:{}/broken:test", "broken is no OCI layout"),
        ("oci:{}/spoilt:test", "cannot be had"),
        ("oci:{}/empty:test", "has no /bin/sh"),
        ("dir:{}/broken", "has no /bin/sh"),
    ],
)
async def test_what_is_no_image_is_told(sandboxes: Sandboxes, tmp_path: Path, reference: str, text: str) -> None:
    write_layout(tmp_path / "layout", [[file("x")]])
    write_layout(tmp_path / "empty", [[file("x")]])
    spoilt = write_layout(tmp_path / "spoilt", [busybox()])
    for blob in (spoilt / "blobs/sha256").iterdir():
        blob.write_bytes(blob.read_bytes().replace(b"linux", b"linus"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/index.json").write_text("[]")
    with pytest.raises(ImageUnavailable, match=text):
        await had(sandboxes, reference.format(tmp_path))


@needs_images
async def test_a_directory_is_an_image_as_it_was_when_it_was_looked_up(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    tree = tmp_path / "closed/tree"
    (tree / "bin").mkdir(parents=True)
    for name in ("sh", "cat", "busybox"):
        (tree / "bin" / name).write_bytes(images.BUSYBOX.read_bytes())
        (tree / "bin" / name).chmod(0o755)
    (tree / "secret").write_text("of the tree's owner")
    (tree / "secret").chmod(0o600)
    os.mkfifo(tree / "pipe")
    (tmp_path / "closed").chmod(0o700)
    image = await had(sandboxes, f"dir:{tree}")
    seen = await shell(await start(image=image), "cat /secret")
    assert seen.stdout == b"of the tree's owner"
    (tree / "more").write_text("x")
    again = await sandboxes.look_up(Image(reference=f"dir:{tree}"), no_door)
    assert again.digest != image.digest
    (tree / "more").write_text("xx")
    with pytest.raises(ImageUnavailable, match="has changed"):
        await sandboxes.bring(again, no_door, quiet)


async def _installed(start: Start, shell: Shell, sandboxes: Sandboxes, image: Image | None, script: str) -> str:
    """The layer of what a setup's root did."""
    if reason := await sandboxes.administrable(image):
        pytest.skip(reason)
    setup = await start(image=image, administered=True)
    done = await shell(setup, f"set -e; {script}", timeout=120)
    assert done.exit_code == 0, done.stdout + done.stderr
    return await setup.snapshot()


@needs_images
async def test_setup_is_root_over_an_image_and_the_agent_is_not(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    write_layout(tmp_path / "layout", [busybox()])
    image = await had(sandboxes, f"oci:{tmp_path}/layout")
    script = (
        "id -u; echo service:x:300:300::/:/bin/sh >>/etc/passwd; "
        "echo '#!/bin/sh' >/bin/tool; chmod 4755 /bin/tool; mkdir -p /var/lib/s; "
        "echo x >/var/lib/s/f; chown -R service /var/lib/s; chmod 700 /var/lib/s; su service -c 'cat /var/lib/s/f'; "
        "echo w >w; echo h >~/h; chmod 600 w; touch /run/up"
    )
    layer = await _installed(start, shell, sandboxes, image, script)
    agent = await start(image=image, layers=(layer,))
    seen = await shell(
        agent,
        "tool; grep -c ^service: /etc/passwd; ls -ln /workspace/w | cut -c1-10; echo more >>w; cat w ~/h; "
        "touch /bin/other /var/lib/s/f 2>/dev/null || echo closed; cat /var/lib/s/f; ls -A /run",
    )
    assert seen.stdout.decode().splitlines() == ["1", "-rw-------", "w", "more", "h", "closed"]
    await agent.stop()
    await sandboxes.drop_layer(layer)
    assert not list((tmp_path / "sandboxes/layers").glob(layer))
    await sandboxes.close()  # until then things may still be on their way out
    assert not list((tmp_path / "sandboxes/trash").iterdir())


@needs_images
async def test_a_setup_that_moves_mount_points_away_is_refused(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    write_layout(tmp_path / "layout", [busybox()])
    image = await had(sandboxes, f"oci:{tmp_path}/layout")
    with pytest.raises(ImageUnavailable, match="setup has replaced /etc"):
        await _installed(start, shell, sandboxes, image, "mv /etc /etc.old; ln -s /workspace /etc")


async def test_the_root_of_a_setup_has_no_way_out(start: Start, shell: Shell, sandboxes: Sandboxes) -> None:
    if reason := await sandboxes.administrable(None):
        pytest.skip(reason)
    setup = await start(administered=True)
    seen = await shell(
        setup,
        "grep -E '^(CapPrm|NoNewPrivs|Seccomp:)' /proc/self/status; ls /proc/1/root/ /proc/1/fd; mknod n c 1 3; "
        "chroot /; mount -t tmpfs x /mnt; echo c >/proc/sysrq-trigger; cat /root/.ssh/* /etc/shadow; kill -9 1; "
        "echo on; echo x >/proc/sys/kernel/core_pattern; unshare -U true",
    )
    status = dict(line.split(":", 1) for line in seen.stdout.decode().splitlines() if "\t" in line)
    rights = int(status["CapPrm"], 16)
    assert rights & ~0x800000FB == 0, "chown, dac_override, fowner, fsetid, kill, setgid, setuid, setfcap and no more"
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    assert seen.stdout.endswith(b"on\n")
    assert seen.stderr.count(b"\n") >= 8
    assert Path("/proc/sys/kernel/core_pattern").read_text() != "x\n"


def a_package(folder: Path, build: Callable[..., object] = subprocess.run) -> Path:
    """A Debian package with a program, a directory of a user of its own, and scripts."""
    tree = folder / "package"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: pullwright-sample\nVersion: 1\nArchitecture: all\nMaintainer: A <a@localhost>\n"
        "Description: a sample\n"
    )
    script = tree / "DEBIAN/postinst"
    script.write_text(
        "#!/bin/sh\nset -e\nmkdir -p /var/lib/sample\nchown daemon:daemon /var/lib/sample\nchmod 700 /var/lib/sample\n"
        "echo configured >/etc/sample.conf\n"
    )
    program = tree / "usr/bin/sample"
    program.write_text("#!/bin/sh\ncat /etc/sample.conf\n")
    for path in (script, program):
        path.chmod(0o755)
    build(["dpkg-deb", "--root-owner-group", "-b", tree, folder / "sample.deb"], check=True, capture_output=True)
    return folder / "sample.deb"


@pytest.mark.skipif(not Path("/usr/bin/dpkg-deb").exists(), reason="this host has no dpkg")
async def test_a_package_that_setup_installs_over_this_hosts_tools_is_there_later(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    if reason := await sandboxes.administrable(None):
        pytest.skip(reason)
    setup = await start(administered=True)
    await setup.write("/tmp/sample.deb", a_package(tmp_path).read_bytes())
    done = await shell(setup, "dpkg -i /tmp/sample.deb && sample && echo w >w", timeout=120)
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.stdout.endswith(b"configured\n")
    layer = await setup.snapshot()
    assert not Path("/usr/bin/sample").exists()
    agent = await start(layers=(layer,))
    seen = await shell(
        agent,
        "sample; dpkg-query -W -f '${Status}\\n' pullwright-sample; id -u; echo more >>w; cat w; ls /root /srv; "
        "for p in / /usr /usr/bin/sample /etc /etc/passwd /var/lib/dpkg /run; do test ! -w $p || echo $p; done; "
        "ls -A /home; cat /var/lib/sample/x; cut -d: -f1,3 /etc/passwd | tail -1",
    )
    assert seen.stdout.decode().splitlines() == [
        "configured",
        "install ok installed",
        "1000",
        "w",
        "more",
        "/root:",
        "",
        "/srv:",
        "agent",
        "agent:1000",
    ]
    plain = await start()
    assert (await shell(plain, "command -v sample")).stdout == b""


async def test_a_setup_that_installed_nothing_leaves_a_plain_layer(
    start: Start, shell: Shell, sandboxes: Sandboxes, tmp_path: Path
) -> None:
    layer = await _installed(start, shell, sandboxes, None, "echo w >w; touch /tmp/t /run/r")
    kept = sorted(path.name for path in (tmp_path / "sandboxes/layers" / layer).iterdir())
    assert kept == ["env", "home", "workspace"]
