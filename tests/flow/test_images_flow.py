"""Environments made of an image, and setups that install system packages, from the repository's file to a shell."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pullwright.domain.errors import SetupFailed, UsageError
from pullwright.flow import desk, policies
from pullwright.flow.platform import Platform
from pullwright.settings import Settings
from pullwright.testing import images
from pullwright.testing.images import busybox, file, write_layout
from pullwright.wiring import build


def a_repository(path: Path, settings: str) -> Path:
    path.mkdir()
    (path / "read.me").write_text("nothing\n")
    (path / ".pullwright.toml").write_text(settings)
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "First")):
        command = ["git", "-C", str(path), "-c", "user.name=A", "-c", "user.email=a@localhost", *words]
        subprocess.run(command, check=True, timeout=30)
    return path


async def said(platform: Platform, order: desk.Order, script: str) -> str:
    """What a shell in the order's environment says."""
    sandbox, process = await desk.shell(platform, order, ("sh", "-c", script), pty=False)
    try:
        return b"".join([piece async for piece in process.output()]).decode()
    finally:
        await sandbox.stop()


@pytest.mark.skipif(bool(why := images.missing()), reason=why)
async def test_a_repository_is_worked_on_in_an_image_that_a_person_has_chosen(tmp_path: Path) -> None:
    layout = write_layout(tmp_path / "layout", [[*busybox(), file("etc/kind", "an image\n")]], variables=["A=image"])
    repository = a_repository(tmp_path / "repository", 'setup = "id -u >/etc/by; echo made >made"\ncheck = "true"\n')
    order = desk.Order(prompt="", repository=str(repository), cwd=tmp_path)
    async with build(Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")})) as platform:

        def decide(image: str) -> object:
            return policies.change_policy(
                platform, str(repository), tmp_path, lambda policy: policy.model_copy(update={"image": image})
            )

        await decide(f"oci:{layout}:test")  # type: ignore[misc]
        surveyed = await desk.prepare_environment(platform, order)
        assert surveyed.chosen.environment.image is not None
        assert surveyed.chosen.environment.image.digest.startswith("sha256:")
        root = not await platform.sandboxes.administrable(surveyed.chosen.environment.image)
        seen = await said(
            platform, order, "cat /etc/kind read.me made; echo $A; cat /etc/by; git status --short; id -u"
        )
        assert seen.split("\n")[:4] == ["an image", "nothing", "made", "image"]
        assert seen.split("\n")[4:] == ["0" if root else "1000", "1000", ""]
        with pytest.raises(UsageError, match="is none"):
            await desk.survey(platform, desk.Order(prompt="", repository=str(repository), cwd=tmp_path, image="debian"))


@pytest.mark.long
@pytest.mark.skipif(not Path("/usr/bin/apt-get").exists(), reason="this host has no apt")
async def test_setup_installs_a_package_from_the_hosts_mirror(tmp_path: Path) -> None:
    setup = "apt-get update\napt-get install -y --no-install-recommends hello\nhello >said"
    repository = a_repository(tmp_path / "repository", f"setup = '''{setup}'''\n")
    order = desk.Order(prompt="", repository=str(repository), cwd=tmp_path)
    async with build(Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")})) as platform:
        if reason := await platform.sandboxes.administrable(None):
            pytest.skip(reason)
        try:
            seen = await said(platform, order, "hello; cat said; command -v hello; touch /usr/bin/x")
        except SetupFailed as error:
            if re.search(r"Failed to fetch|Could not resolve|Temporary failure|Unable to locate package", str(error)):
                pytest.skip(f"no mirror of packages answers: {error.output[-300:]}")
            raise
    assert seen.splitlines()[:3] == ["Hello, world!", "Hello, world!", "/usr/bin/hello"]
    assert "Read-only file system" in seen


@pytest.mark.long
async def test_a_repository_is_worked_on_in_containers(tmp_path: Path) -> None:
    repository = a_repository(tmp_path / "repository", 'setup = "echo made >made"\ncheck = "true"\n')
    order = desk.Order(prompt="", repository=str(repository), cwd=tmp_path)
    variables = {"PULLWRIGHT_HOME": str(tmp_path / "home"), "PULLWRIGHT_SANDBOX": "docker"}
    host = {"DOCKER_HOST": os.environ["DOCKER_HOST"]} if "DOCKER_HOST" in os.environ else {}
    async with build(Settings.from_environment(variables | host)) as platform:
        containers, *_ = await platform.sandboxes.findings()
        if not containers.ok:
            pytest.skip(containers.text)
        seen = await said(platform, order, "id -u; cat read.me made; git log --format=%s; git status --short")
        assert seen.split() == ["1000", "nothing", "made", "First"]
        with pytest.raises(SetupFailed, match="put what it would install into the image"):
            await said(platform, replace(order, setup="apt-get update"), "true")
