"""Files that Git LFS keeps: had over the batch API or from a clone, smudged inside, taken in and handed back."""

import hashlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import RepositoryError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import checkpoints, lfs
from pullwright.repos.checkpoints import Layout
from pullwright.repos.credentials import Tokens
from pullwright.repos.mirror import Repositories, Store
from pullwright.testing.git_server import Fault
from pullwright.testing.lfs_server import LfsServer

Person = Any  # conftest.Person

IMAGE = b"\x89PNG\0" + os.urandom(3000)
SOUND = os.urandom(200_000)


def pointer(content: bytes) -> str:
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


@pytest.fixture
async def far(ground: Path, mine: Person, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LfsServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    mine.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    mine.commit({"image.bin": pointer(IMAGE), "deep/sound.bin": pointer(SOUND), "plain.bin": "no pointer\n"})
    async with LfsServer(ground / "far") as server:
        await server.create("tool")
        server.keep("tool", IMAGE)
        server.keep("tool", SOUND)
        mine.git("push", "-q", "--mirror", str(server.path("tool")))
        yield server


async def fetched(far: LfsServer, repositories: Repositories) -> tuple[Store, RepositoryRef, str]:
    ref = await repositories.locate(f"{far.url}/tool.git", Path("/"))
    store = await repositories.fetch(ref)
    return store, ref, await store.resolve(None)


def content(store: Store, data: bytes) -> bytes | None:
    path = lfs.kept(store, hashlib.sha256(data).hexdigest())
    return path.read_bytes() if path.exists() else None


class Bench:
    """A workspace with the store's objects where a sandbox has them."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root, self.store, self.workspace = root, store, root / "workspace"
        self.workspace.mkdir(parents=True)
        self.places: dict[str, Any] = {
            "workspace": str(self.workspace),
            "objects": str(store.objects),
            "state": str(root / "state"),
        }

    def sh(self, *argv: str) -> bytes:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home")}
        done = subprocess.run(argv, cwd=self.root, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def git(self, *arguments: str) -> str:
        return self.sh("git", "-C", str(self.workspace), *arguments).decode()

    def lay_out(self, commit: str) -> None:
        place = str(lfs.make_place(self.store))
        self.sh(*checkpoints.checkout_command(commit, layout=Layout(lfs=True), lfs=place, **self.places))


async def test_files_are_laid_out_whole_and_are_clean_to_git(
    far: LfsServer, repositories: Repositories, ground: Path
) -> None:
    store, ref, head = await fetched(far, repositories)
    assert await store.has_lfs(head)
    said: list[str] = []
    assert await lfs.bring(store, ref, head, Tokens(), said.append) == []
    assert any("LFS files of tool: 2 of 2" in line for line in said)
    requests = len(far.requests)
    assert await lfs.bring(store, ref, head, Tokens()) == []
    assert len(far.requests) == requests
    bench = Bench(ground / "box", store)
    bench.lay_out(head)
    assert (bench.workspace / "image.bin").read_bytes() == IMAGE
    assert (bench.workspace / "deep/sound.bin").read_bytes() == SOUND
    assert (bench.workspace / "plain.bin").read_text() == "no pointer\n"
    assert bench.git("status", "--porcelain") == ""
    # Looked at anew, not only by the times of files.
    for path in bench.workspace.glob("**/*.bin"):
        os.utime(path, (1, 1))
    assert bench.git("diff", "--stat") == ""

    # A changed file goes into the tree as a pointer, its content beside it.
    (bench.workspace / "image.bin").write_bytes(b"new" + IMAGE)
    captured = bench.sh(*checkpoints.capture_command(**bench.places))
    taken = await checkpoints.take_in(store, "t-1/1", captured, head, "x")
    assert await store.read(taken.commit, "image.bin") == pointer(b"new" + IMAGE).encode()
    oid = hashlib.sha256(b"new" + IMAGE).hexdigest()
    lfs.take(store, oid, (ground / f"box/state/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}").read_bytes())

    # Another machine's checkout of it is whole, and so is the server once it is handed back.
    again = Bench(ground / "again", store)
    again.lay_out(taken.commit)
    assert (again.workspace / "image.bin").read_bytes() == b"new" + IMAGE
    await lfs.hand_back(store, ref, head, taken.commit, Tokens())
    assert far.kept("tool", oid).read_bytes() == b"new" + IMAGE


async def test_what_is_missing_broken_or_not_what_it_is_called(far: LfsServer, repositories: Repositories) -> None:
    store, ref, head = await fetched(far, repositories)
    far.kept("tool", hashlib.sha256(IMAGE).hexdigest()).unlink()
    far.kept("tool", hashlib.sha256(SOUND).hexdigest()).write_bytes(b"something else")
    (said,) = await lfs.bring(store, ref, head, Tokens())
    assert said.startswith("2 of 2 LFS files could not be fetched and stay pointers")
    assert content(store, IMAGE) is None
    assert content(store, SOUND) is None
    assert not list((store.path / "lfs").rglob("*.part"))

    far.keep("tool", IMAGE)
    far.keep("tool", SOUND)
    # Broken off twice: each time it goes on where it was.
    far.faults = [Fault(f"GET */lfs/{hashlib.sha256(SOUND).hexdigest()}", cut=70_000, times=2)]
    assert await lfs.bring(store, ref, head, Tokens()) == []
    assert content(store, SOUND) == SOUND
    assert content(store, IMAGE) == IMAGE


async def test_a_server_that_wants_to_know_who_asks(far: LfsServer, repositories: Repositories) -> None:
    store, ref, head = await fetched(far, repositories)
    far.tokens = {"secret-1": "write"}
    (said,) = await lfs.bring(store, ref, head, Tokens())
    assert "wants to know who asks" in said
    assert await lfs.bring(store, ref, head, Tokens({far.url.removeprefix("http://"): "secret-1"})) == []
    far.faults = [Fault("POST *batch", status=500)]
    with pytest.raises(RepositoryError, match="not"):
        lfs.take(store, "0" * 64, b"x")


async def test_a_clone_on_this_machine_gives_and_takes(mine: Person, repositories: Repositories, ground: Path) -> None:
    mine.write(".gitattributes", "*.bin filter=lfs\n")
    head = mine.commit({"image.bin": pointer(IMAGE), "sound.bin": pointer(SOUND), "link.bin": pointer(b"linked")})
    for data in (IMAGE, SOUND):
        oid = hashlib.sha256(data).hexdigest()
        mine.write(f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}", IMAGE)
    linked = hashlib.sha256(b"linked").hexdigest()
    (ground / "elsewhere").write_bytes(b"linked")
    place = mine.path / f".git/lfs/objects/{linked[:2]}/{linked[2:4]}"
    place.mkdir(parents=True)
    (place / linked).symlink_to(ground / "elsewhere")
    ref = await repositories.locate(str(mine.path), Path("/"))
    store = await repositories.fetch(ref)
    (said,) = await lfs.bring(store, ref, head, Tokens())
    assert "2 of its files are not in" in said
    assert content(store, IMAGE) == IMAGE
    assert content(store, SOUND) is None
    assert content(store, b"linked") is None

    lfs.take(store, hashlib.sha256(b"made").hexdigest(), b"made")
    tree = mine.commit({"made.bin": pointer(b"made")})
    await repositories.fetch(ref)
    await lfs.hand_back(store, ref, head, tree, Tokens())
    oid = hashlib.sha256(b"made").hexdigest()
    given = mine.path / f".git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"
    assert given.read_bytes() == b"made"
    assert given.stat().st_uid == mine.uid


async def test_a_repository_cannot_send_us_into_our_own_network(
    far: LfsServer, mine: Person, repositories: Repositories
) -> None:
    inside = LfsServer(far.root.parent / "inside")
    async with inside:
        mine.write(".lfsconfig", f"[lfs]\n\turl = {inside.url}/tool.git/info/lfs\n")
        mine.commit({})
        mine.git("push", "-q", "--mirror", str(far.path("tool")))
        store, ref, head = await fetched(far, repositories)
        assert await lfs.bring(store, ref, head, Tokens()) == []
        assert inside.requests == []
