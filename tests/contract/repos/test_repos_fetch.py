"""Fetching over HTTP from git's own backend: one at a time and shared, in steps where it breaks, with a token."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import RepositoryError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import standing
from pullwright.repos.credentials import Tokens
from pullwright.repos.mirror import Repositories
from pullwright.testing.git_server import Fault, GitServer

Person = Any  # conftest.Person

_PACK = "POST */git-upload-pack*"

_FETCHER = """
import asyncio, sys
from pathlib import Path
from pullwright.repos.mirror import Repositories

async def main():
    repositories = Repositories(Path(sys.argv[1]), group=int(sys.argv[2]) if sys.argv[2] else None)
    ref = await repositories.locate(sys.argv[3], Path("/"))
    stores = await asyncio.gather(*(repositories.fetch(ref) for _ in range(4)))
    print(await stores[0].resolve(None))

asyncio.run(main())
"""


@pytest.fixture
async def far(ground: Path, mine: Person, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GitServer]:
    """The person's repository on a server."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with GitServer(ground / "far") as server:
        await server.create("tool")
        await push(server, mine)
        server.requests.clear()
        yield server


async def push(server: GitServer, person: Person) -> None:
    person.git("push", "-q", "--mirror", str(server.path("tool")))


async def located(server: GitServer, repositories: Repositories) -> RepositoryRef:
    return await repositories.locate(f"{server.url}/tool.git", Path("/"))


def packs(server: GitServer) -> int:
    """How many requests were made for objects: with protocol 2, those after the one that lists the refs."""
    return sum("git-upload-pack" in line and line.startswith("POST") for line in server.requests)


async def test_all_who_ask_share_a_fetch_across_processes(
    far: GitServer, mine: Person, repositories: Repositories
) -> None:
    group = "" if repositories.group is None else str(repositories.group)
    arguments = (str(repositories.root), group, f"{far.url}/tool.git")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", _FETCHER, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = await asyncio.gather(*(process.communicate() for process in processes))
    assert [out.decode().strip() for out, _ in said] == [mine.rev("HEAD")] * 3, said
    ref = await located(far, repositories)
    known = standing.read(repositories.store(ref).path)
    # Twelve asked. In each process the first two rounds serve all four, however the processes overlap.
    assert known.begun == known.done <= 6
    asked = far.requests.count("GET /tool.git/info/refs?service=git-upload-pack")
    assert asked <= known.done + 1


async def test_what_was_pushed_before_somebody_asked_is_there(
    far: GitServer, mine: Person, repositories: Repositories
) -> None:
    ref = await located(far, repositories)
    first = asyncio.ensure_future(repositories.fetch(ref))
    while standing.read(repositories.store(ref).path).begun == 0:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0)
    newer = mine.commit({"c": "3\n"})
    await push(far, mine)
    store = await repositories.fetch(ref)
    await first
    assert await store.resolve(None) == newer


async def test_a_store_tells_when_it_was_fetched(far: GitServer, repositories: Repositories) -> None:
    ref = await located(far, repositories)
    assert repositories.store(ref).fetched is None
    first = (await repositories.fetch(ref)).fetched
    second = (await repositories.fetch(ref)).fetched
    assert first is not None
    assert second is not None
    assert second > first
    far.faults.append(Fault(status=500, times=9))
    with pytest.raises(RepositoryError):
        await repositories.fetch(ref)
    assert repositories.store(ref).fetched == second


async def test_a_broken_transfer_goes_on_in_steps_that_are_kept(
    far: GitServer, mine: Person, repositories: Repositories
) -> None:
    for number in range(120):
        mine.git("commit", "-q", "--allow-empty", "-m", f"c{number}")
    mine.git("branch", "side", "v1")
    await push(far, mine)
    patient = Repositories(repositories.root, group=repositories.group, patience=0.0)
    ref = await located(far, patient)
    store = patient.store(ref)

    # The whole breaks, the first step arrives, the second breaks for good.
    class Breaks(list[Fault]):
        def __iter__(self) -> Iterator[Fault]:
            return iter([] if standing.read(store.path).depth == 0 else [Fault(_PACK, cut=400)])

    far.faults = Breaks()
    said: list[str] = []
    with pytest.raises(RepositoryError, match=r"broke off 4 times.*newest 1 commits.*built on"):
        await patient.fetch(ref, said.append)
    assert any("smaller steps" in line for line in said)
    assert await store.commit_at(mine.rev("HEAD"))

    far.faults = []
    far.requests.clear()
    await patient.fetch(ref)
    assert standing.read(store.path).depth is None
    assert not (store.path / "shallow").exists()
    assert await store.resolve("side") == mine.rev("v1")
    assert len((await store.run("rev-list", await store.resolve("main"))).split()) == 122
    await store.run("fsck", "--connectivity-only")


async def test_an_update_that_breaks_is_tried_again(far: GitServer, mine: Person, repositories: Repositories) -> None:
    patient = Repositories(repositories.root, group=repositories.group, patience=0.0)
    ref = await located(far, patient)
    await patient.fetch(ref)
    newer = mine.commit({"big": "x" * 100_000})
    await push(far, mine)
    # One strikes the list of refs, which is shorter; the other two the transfer.
    far.faults += [Fault(_PACK, cut=1000) for _ in range(3)]
    assert await (await patient.fetch(ref)).resolve(None) == newer


async def test_a_token_opens_its_host_and_no_other(far: GitServer, mine: Person, repositories: Repositories) -> None:
    far.tokens = {"secret-1": "read"}
    ref = await located(far, repositories)
    with pytest.raises(RepositoryError, match="could not be fetched"):
        await repositories.fetch(ref)
    host = far.url.removeprefix("http://")
    for tokens, opens in (({"example.org": "secret-1"}, False), ({host: "wrong"}, False), ({host: "secret-1"}, True)):
        holder = Repositories(repositories.root, group=repositories.group, tokens=Tokens(tokens))
        assert "secret-1" not in repr(holder)
        if opens:
            assert await (await holder.fetch(ref)).resolve(None) == mine.rev("HEAD")
        else:
            with pytest.raises(RepositoryError, match="could not be fetched"):
                await holder.fetch(ref)
    for path in repositories.root.rglob("*"):
        assert not path.is_file() or b"secret-1" not in path.read_bytes(), path


async def test_progress_is_in_words(far: GitServer, repositories: Repositories) -> None:
    said: list[str] = []
    await repositories.fetch(await located(far, repositories), said.append)
    assert any(line.startswith("fetching tool: receiving: 100 % of ") for line in said), said


async def test_small_packs_are_gathered_and_nothing_is_lost(
    far: GitServer, mine: Person, repositories: Repositories
) -> None:
    tidy = Repositories(repositories.root, group=repositories.group, most_packs=3)
    ref = await located(far, tidy)
    store = await tidy.fetch(ref)
    # Nothing points to this one yet: a checkpoint that is being taken in.
    kept = (await store.run("hash-object", "-w", "--stdin", stdin=b"kept")).decode().strip()
    for number in range(5):
        # Enough objects for each to come as a pack.
        mine.commit({f"d{number}/f{file}": f"{number} {file}\n" for file in range(120)})
        await push(far, mine)
        await tidy.fetch(ref)
    assert len(list((store.objects / "pack").glob("*.pack"))) <= 3
    assert await store.run("cat-file", "blob", kept) == b"kept"
    assert (store.objects / "info/commit-graphs").is_dir()
    await store.run("fsck", "--connectivity-only")


async def test_what_a_persons_git_knows_opens_the_source(
    far: GitServer, mine: Person, repositories: Repositories, ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential helper, netrc; over ssh, their agent and keys, which ssh itself asks."""
    far.tokens = {"secret-1": "read"}
    home = ground / "person"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    ref = await located(far, repositories)
    with pytest.raises(RepositoryError):
        await repositories.fetch(ref)
    (home / ".netrc").write_text("machine 127.0.0.1 login ada password secret-1\n")
    assert await (await repositories.fetch(ref)).resolve(None) == mine.rev("HEAD")
    (home / ".netrc").unlink()
    (home / ".gitconfig").write_text(
        '[credential]\n\thelper = "!f() { echo username=ada; echo password=secret-1; }; f"\n'
    )
    newer = mine.commit({"c": "c\n"})
    await push(far, mine)
    assert await (await repositories.fetch(ref)).resolve(None) == newer

    ssh = ground / "ssh"
    ssh.write_text(
        f'#!/bin/sh\necho "$SSH_AUTH_SOCK $*" >>{ground}/asked\ncd {far.root} && eval "$(eval echo \\$$#)"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    by_ssh = await repositories.locate("git@example.org:tool.git", Path("/"))
    assert await (await repositories.fetch(by_ssh)).resolve(None) == newer
    assert "/agent" in (ground / "asked").read_text()


async def test_a_repository_of_very_many_objects_is_taken_without_contents(
    far: GitServer, mine: Person, repositories: Repositories
) -> None:
    limited = Repositories(repositories.root, group=repositories.group, partial_objects=3)
    ref = await located(far, limited)
    said: list[str] = []
    store = await limited.fetch(ref, said.append)
    assert any("huge" in line for line in said)
    assert standing.read(store.path).partial
    head = await store.resolve(None)
    assert head == mine.rev("HEAD")
    await limited.complete(ref, head, ())
    assert await store.read(head, "src/a.py") == b"a = 1\n"
    newer = mine.commit({"c": "c\n"})
    await push(far, mine)
    assert await (await limited.fetch(ref)).resolve(None) == newer
    assert standing.read(store.path).partial
