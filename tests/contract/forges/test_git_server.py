"""The far side of fetch and push: plain git talks to it, and each of its faults is what git sees."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pullwright.testing.git_server import Fault, GitServer

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


async def git(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run, ["git", *words], cwd=place, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )


async def said(place: Path, *words: str) -> str:
    done = await git(place, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    async with GitServer(tmp_path / "far") as server:
        await server.create("team/tool")
        yield server


@pytest.fixture
async def clone(server: GitServer, tmp_path: Path) -> Path:
    place = tmp_path / "clone"
    await said(tmp_path, "clone", "-q", f"{server.url}/team/tool.git", str(place))
    (place / "README").write_text("hello\n")
    await said(place, "add", "-A")
    await said(place, "commit", "-q", "-m", "first")
    await said(place, "push", "-q", "origin", "HEAD:main")
    return place


async def test_what_was_pushed_is_cloned(server: GitServer, clone: Path, tmp_path: Path) -> None:
    await said(tmp_path, "clone", "-q", "--filter=blob:none", f"{server.url}/team/tool.git", "again")
    assert (tmp_path / "again" / "README").read_text() == "hello\n"
    assert await server.git("team/tool", "rev-parse", "main") == await said(clone, "rev-parse", "HEAD")
    assert any("git-receive-pack" in line for line in server.requests)


async def test_a_large_push_goes_in_pieces(server: GitServer, clone: Path) -> None:
    (clone / "large").write_bytes(os.urandom(3_000_000))
    await said(clone, "add", "-A")
    await said(clone, "commit", "-q", "-m", "large")
    await said(clone, "push", "-q", "origin", "HEAD:main")
    assert await server.git("team/tool", "cat-file", "-s", "main:large") == "3000000"


async def test_tokens_say_who_may_do_what(server: GitServer, clone: Path) -> None:
    server.tokens = {"r": "read", "w": "write"}
    host = server.url.removeprefix("http://")

    async def code(command: str, *words: str, token: str = "") -> tuple[int, str]:
        url = f"http://{f'x:{token}@' if token else ''}{host}/team/tool.git"
        done = await git(clone, command, url, *words)
        return done.returncode, done.stderr

    assert (await code("ls-remote"))[0] != 0
    assert (await code("ls-remote", token="wrong"))[0] != 0
    assert (await code("ls-remote", token="r"))[0] == 0
    status, error = await code("push", "HEAD:refs/heads/x", token="r")
    assert status != 0
    assert "403" in error
    assert (await code("push", "HEAD:refs/heads/x", token="w"))[0] == 0
    server.public = True
    assert (await code("ls-remote"))[0] == 0
    assert (await code("push", "HEAD:refs/heads/y"))[0] != 0
    bearer = (
        "-c",
        "http.extraHeader=Authorization: Bearer w",
        "push",
        f"{server.url}/team/tool.git",
        "HEAD:refs/heads/y",
    )
    assert (await git(clone, *bearer)).returncode == 0


async def test_a_protected_branch_refuses(server: GitServer, clone: Path) -> None:
    server.protect("team/tool", "main", "release/*")
    await said(clone, "commit", "-q", "--allow-empty", "-m", "second")
    for branch in ("main", "release/1"):
        done = await git(clone, "push", "origin", f"HEAD:refs/heads/{branch}")
        assert done.returncode != 0
        assert "protected branch" in done.stderr.lower()
    await said(clone, "push", "-q", "origin", "HEAD:refs/heads/other")


async def test_faults_strike_as_often_as_they_say(server: GitServer, clone: Path) -> None:
    server.faults = [Fault("*info/refs?service=git-upload-pack", status=503, times=2)]
    for expected in (128, 128, 0):
        assert (await git(clone, "ls-remote", "origin")).returncode == expected
    server.faults = [Fault("*info/refs*")]
    assert "Empty reply" in (await git(clone, "ls-remote", "origin")).stderr
    assert (await git(clone, "ls-remote", "origin")).returncode == 0


async def test_a_transfer_that_breaks_off(server: GitServer, clone: Path, tmp_path: Path) -> None:
    server.faults = [Fault("POST *git-upload-pack", cut=60)]
    assert (
        await git(tmp_path, "-c", "protocol.version=0", "clone", f"{server.url}/team/tool.git", "c2")
    ).returncode != 0
    await said(tmp_path, "clone", "-q", f"{server.url}/team/tool.git", "c2")


async def test_an_answer_that_is_lost_after_the_work_was_done(server: GitServer, clone: Path) -> None:
    server.faults = [Fault("POST *git-receive-pack", after=True)]
    assert (await git(clone, "push", "origin", "HEAD:refs/heads/done")).returncode != 0
    assert await server.git("team/tool", "rev-parse", "done") == await said(clone, "rev-parse", "HEAD")


async def test_no_way_out_of_the_directory(server: GitServer, tmp_path: Path) -> None:
    await said(tmp_path, "init", "-q", "--bare", "outside.git")
    for path in ("/../outside.git", "/team/../../outside.git", "/nothing.git"):
        done = await git(tmp_path, "-c", "http.followRedirects=false", "ls-remote", f"{server.url}{path}")
        assert done.returncode != 0
