"""A store is brought up to date from its source, whoever owns it, and says what it holds."""

import asyncio
import functools
import http.server
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import NoCommits, NotARepository, RepositoryError, UnknownBase, UsageError
from pullwright.repos.mirror import Repositories, Store, TreeEntry

Person = Any  # conftest.Person
At = Callable[[Path], Any]


async def fetched(repositories: Repositories, person: Person, location: Path | None = None) -> Store:
    return await repositories.fetch(await repositories.locate(str(location or person.path), Path("/")))


async def test_fetch_brings_branches_tags_and_head(person: Person, repositories: Repositories) -> None:
    person.git("branch", "feature/x", "v1")
    store = await fetched(repositories, person)
    head, first = person.rev("HEAD"), person.rev("v1")
    assert await store.resolve(None) == await store.resolve("HEAD") == await store.resolve("main") == head
    assert await store.resolve("refs/heads/main") == await store.resolve("origin/main") == head
    assert await store.resolve("v1") == await store.resolve("main~1") == await store.resolve("HEAD^") == first
    assert await store.resolve("feature/x") == first
    assert await store.resolve(head[:10]) == await store.resolve(head) == head
    assert await store.branch_of(None) == "main"
    assert await store.branch_of("feature/x") == await store.branch_of("origin/feature/x") == "feature/x"
    assert await store.branch_of("v1") is None
    assert await store.branch_of("main~1") is None
    assert await store.branch_of(head) is None


async def test_a_second_fetch_follows_the_source(person: Person, repositories: Repositories) -> None:
    person.git("branch", "a")
    store = await fetched(repositories, person)
    person.git("branch", "-D", "a")
    person.git("branch", "a/b")
    person.git("switch", "-q", "-c", "other", "v1")
    newer = person.commit({"c": "3\n"})
    again = await fetched(repositories, person)
    assert again == store
    assert set(await store.branches()) == {"main", "a/b", "other"}
    assert await store.resolve(None) == newer
    assert await store.branch_of(None) == "other"
    person.git("switch", "-q", "--detach", "v1")
    await fetched(repositories, person)
    assert await store.resolve(None) == person.rev("v1")
    assert await store.branch_of(None) is None


async def test_the_store_is_closed_to_others_and_open_to_sandboxes(person: Person, repositories: Repositories) -> None:
    store = await fetched(repositories, person)
    group = repositories.group
    for path in (store.path, store.objects, *store.objects.rglob("*"), *store.path.glob("refs/**/*")):
        status = path.lstat()
        assert status.st_uid == os.geteuid()
        assert not status.st_mode & stat.S_IRWXO, path
        if group is not None:
            assert status.st_gid == group
            assert status.st_mode & stat.S_IRGRP, path
    before = {path: path.stat().st_mtime_ns for path in person.path.rglob("*")}
    await fetched(repositories, person)
    assert {path: path.stat().st_mtime_ns for path in person.path.rglob("*")} == before


async def test_kinds_of_repositories_on_disk(person: Person, repositories: Repositories, ground: Path) -> None:
    head = person.rev("HEAD")
    os.chown(ground, person.uid, person.uid)
    person.git("clone", "-q", "--bare", ".", str(ground / "bare.git"))
    person.git("worktree", "add", "-q", "-b", "linked", str(ground / "linked"), "v1")
    bare = await repositories.locate("bare.git", ground)
    assert (bare.location, bare.name) == (str(ground / "bare.git"), "bare")
    assert await (await repositories.fetch(bare)).resolve(None) == head
    linked = await repositories.locate(str(ground / "linked" / "src"), Path("/"))
    assert linked.location == str(ground / "linked")
    store = await repositories.fetch(linked)
    assert await store.resolve(None) == person.rev("v1")
    assert await store.branch_of(None) == "linked"
    inside = await repositories.locate(str(person.path / ".git"), Path("/"))
    assert inside.location == str(person.path)
    by_url = await repositories.locate(f"file://{person.path}", Path("/"))
    assert by_url == inside


async def test_files_are_read_at_a_commit(person: Person, repositories: Repositories) -> None:
    person.write(b"caf\xe9 \\x", "latin\n")
    person.write("run", "#!/bin/sh\n", 0o755)
    (person.path / "alias").symlink_to("src/a.py")
    (person.path / "out").symlink_to("/etc/hostname")
    head = person.commit({"a blob": "b\n", "-dash": "d\n"})
    store = await fetched(repositories, person)
    files = await store.files(head)
    assert set(files) == {"README", "src/a.py", "src/b.py", "caf\\xe9 \\\\x", "run", "alias", "out", "a blob", "-dash"}
    assert files["run"].mode == "100755"
    assert files["README"] == TreeEntry("100644", "blob", person.rev("HEAD:README"))
    assert await store.read(head, "caf\\xe9 \\\\x") == b"latin\n"
    assert await store.read(head, "alias") == b"a = 1\n"
    assert await store.read(head, "-dash") == b"d\n"
    for absent in ("out", "src", "nothing", "a blo", "", "../README", "a\nb"):
        assert await store.read(head, absent) is None
    with pytest.raises(RepositoryError, match="holds 6 bytes; at most 5"):
        await store.read(head, "README", 5)


async def test_submodules_and_lfs_are_noticed(mine: Person, repositories: Repositories) -> None:
    plain = mine.rev("HEAD")
    mine.commit({"assets/.gitattributes": "*.png filter=lfs diff=lfs\n"})
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{plain},vendored")
    mine.git("commit", "-q", "-m", "submodule")
    store = await fetched(repositories, mine)
    head = await store.resolve(None)
    assert await store.has_submodules(head)
    assert await store.has_lfs(head)
    assert not await store.has_submodules(plain)
    assert not await store.has_lfs(plain)


async def test_graft_puts_paths_of_one_commit_onto_another(mine: Person, repositories: Repositories) -> None:
    base = mine.commit({"tests/test_a.py": "1\n", "tests/data/x": "x\n", "conf": "c\n"})
    mine.git("rm", "-q", "-r", "tests/data", "conf")
    head = mine.commit({"tests/test_a.py": "weaker\n", "tests/data": "now a file\n", "src/a.py": "a = 2\n"})
    store = await fetched(repositories, mine)
    judged = await store.graft(head, base, ["tests/test_a.py", "tests/data", "conf", "unknown"])
    assert await store.read(judged, "tests/test_a.py") == b"1\n"
    assert await store.read(judged, "tests/data/x") == b"x\n"
    assert await store.read(judged, "conf") == b"c\n"
    assert await store.read(judged, "src/a.py") == b"a = 2\n"
    assert await store.graft(head, base, ["tests/test_a.py", "tests/data", "conf", "unknown"]) == judged
    gone = await store.graft(base, head, ["conf", "tests/data"])
    assert set(await store.files(gone)) == {
        "README",
        "conf",
        "src/a.py",
        "src/b.py",
        "tests/data",
        "tests/test_a.py",
    } - {"conf"}
    assert not list(store.path.glob("index-*"))


async def test_two_fetches_at_once(mine: Person, repositories: Repositories) -> None:
    stores = await asyncio.gather(*(fetched(repositories, mine) for _ in range(4)))
    assert len({await store.resolve(None) for store in stores}) == 1


async def test_a_store_that_was_half_made_or_locked_by_a_killed_process_is_mended(
    mine: Person, repositories: Repositories
) -> None:
    ref = await repositories.locate(str(mine.path), Path("/"))
    half = repositories.root / f".new-{ref.key}.git-0123"
    half.mkdir(parents=True)
    broken = repositories.store(ref).path
    broken.mkdir()
    (broken / "config").write_text("")
    store = await repositories.fetch(ref)
    assert not half.exists()
    mine.commit({"c": "c\n"})
    for name in ("packed-refs.lock", "shallow.lock", "refs/pullwright/source/heads/main.lock"):
        (store.path / name).write_text("")
    await repositories.fetch(ref)
    assert await store.resolve(None) == mine.rev("HEAD")


async def test_progress_is_told(mine: Person, repositories: Repositories) -> None:
    lines: list[str] = []
    ref = await repositories.locate(str(mine.path), Path("/"))
    await repositories.fetch(ref, lines.append)
    assert any("objects" in line for line in lines)
    assert not any("\r" in line or "\n" in line for line in lines)


@pytest.mark.parametrize(
    "rev", ["nope", "main~99", "-x", "--all", "a b", "main:README", "@{-1}", "", "main..v1", "f" * 40]
)
async def test_an_unknown_base_is_said_with_the_branches(mine: Person, repositories: Repositories, rev: str) -> None:
    store = await fetched(repositories, mine)
    with pytest.raises(UnknownBase, match="branches: main"):
        await store.resolve(rev)
    assert await store.branch_of(rev) is None


async def test_no_commits(ground: Path, at: At, repositories: Repositories) -> None:
    (ground / "empty").mkdir()
    person = at(ground / "empty")
    person.git("init", "-q", "-b", "main")
    store = await fetched(repositories, person)
    with pytest.raises(NoCommits, match="Make one first"):
        await store.resolve(None)
    with pytest.raises(NoCommits):
        await store.resolve("main")
    person.commit({"a": "a\n"})
    person.git("switch", "-q", "--orphan", "unborn")
    await fetched(repositories, person)
    with pytest.raises(NoCommits, match="main"):
        await store.resolve(None)
    assert await store.resolve("main") == person.rev("main")


async def test_what_is_no_repository(ground: Path, repositories: Repositories) -> None:
    (ground / "dir").mkdir()
    (ground / "file").write_text("")
    for location, said in {
        "dir": "not in a git repository",
        "missing": "no such directory",
        "file": "is a file",
        "": "names no repository",
        "--upload-pack=x": "names no repository",
        "https:///x": "names no host",
        "file://elsewhere/x": "another machine",
        "file://[": "is not a URL",
        "https://[": "is not a URL",
        "~nobody-of-that-name/x": "home directory",
        f"/{'x' * 300}": "cannot be looked at",
    }.items():
        with pytest.raises(NotARepository, match=said):
            await repositories.locate(location, ground)
    for location, said in {
        "ext::sh -c id": "no such directory",
        "git://example.org/x": "not supported",
        "https://me:secret@example.org/x.git": "password",
    }.items():
        with pytest.raises(UsageError, match=said) as raised:
            await repositories.locate(location, ground)
        assert "secret" not in str(raised.value)


async def test_urls(ground: Path, repositories: Repositories) -> None:
    for location, name in {
        "https://example.org/team/tool.git": "tool",
        "https://example.org/team/tool/": "tool",
        "git@example.org:team/tool.git": "tool",
        "ssh://git@example.org/~me/tool": "tool",
    }.items():
        ref = await repositories.locate(location, ground)
        assert ref.name == name
        assert ref.key.startswith("tool-")
        assert ref.location == location.rstrip("/")
    unreachable = await repositories.locate("http://127.0.0.1:1/x.git", ground)
    with pytest.raises(RepositoryError, match="git ls-remote http"):
        await repositories.fetch(unreachable)


async def test_sha256_is_refused_plainly(ground: Path, at: At, repositories: Repositories) -> None:
    (ground / "new").mkdir()
    person = at(ground / "new")
    person.git("init", "-q", "--object-format=sha256")
    person.commit({"a": "a\n"})
    with pytest.raises(UsageError, match="SHA-1"):
        await repositories.locate(str(person.path), ground)


async def test_a_shallow_source(mine: Person, at: At, repositories: Repositories, ground: Path) -> None:
    mine.git("clone", "-q", "--depth=1", f"file://{mine.path}", str(ground / "shallow"))
    store = await fetched(repositories, at(ground / "shallow"))
    assert await store.resolve(None) == mine.rev("HEAD")
    assert (store.objects / "info" / "pullwright-shallow").read_text().strip() == mine.rev("HEAD")


async def test_a_history_with_old_faults_is_taken(mine: Person, repositories: Repositories) -> None:
    tree = mine.rev("HEAD^{tree}")
    bad = f"tree {tree}\nauthor A <a@b> 1313584730 +051800\ncommitter A <a@b> 1313584730 +051800\n\nx\n"
    commit = (
        mine.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=bad.encode()).decode().strip()
    )
    mine.git("update-ref", "refs/heads/old", commit)
    assert await (await fetched(repositories, mine)).resolve("old") == commit


async def test_a_source_that_is_gone(mine: Person, repositories: Repositories, ground: Path) -> None:
    ref = await repositories.locate(str(mine.path), Path("/"))
    mine.path.rename(ground / "moved")
    with pytest.raises(UsageError, match="not there any more"):
        await repositories.fetch(ref)


async def test_nothing_that_a_hostile_repository_names_is_started(
    person: Person, repositories: Repositories, ground: Path
) -> None:
    canary = ground / "canary"
    trap = ground / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    trap.chmod(0o755)
    ground.chmod(0o777)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.alternateRefsCommand",
        "uploadpack.packObjectsHook",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.trap.process",
        "diff.trap.textconv",
        "diff.external",
    ):
        person.git("config", key, str(trap))
    person.write(".gitattributes", "* filter=trap diff=trap\n")
    person.write("README", "changed\n")
    for hook in ("post-index-change", "pre-push", "update", "post-update", "pre-receive", "reference-transaction"):
        person.write(f".git/hooks/{hook}", trap.read_bytes(), 0o755)
    store = await fetched(repositories, person)
    ref = await repositories.locate(str(person.path), Path("/"))
    assert await store.dirty(ref)
    taken = await store.take_changes(ref)
    assert taken
    assert await store.read(taken, "README") == b"changed\n"
    assert not canary.exists()


async def test_a_repository_below_a_closed_directory(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    """A parent that only its owner may pass, as a home directory is."""
    closed = ground / "home"
    closed.mkdir(mode=0o700)
    mine.path.rename(closed / "proj")
    assert await (await fetched(repositories, at(closed / "proj"))).resolve(None) == at(closed / "proj").rev("HEAD")


@pytest.fixture
def served(mine: Person, ground: Path) -> Iterator[str]:
    """The repository over HTTP, as plain files."""
    mine.git("clone", "-q", "--bare", ".", str(ground / "www" / "proj.git"))
    mine.git("--git-dir", str(ground / "www" / "proj.git"), "update-server-info")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return None

    handler = functools.partial(Quiet, directory=str(ground / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/proj.git"
        server.shutdown()
        thread.join()


async def test_a_repository_over_http(
    mine: Person, served: str, repositories: Repositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    ref = await repositories.locate(served, Path("/"))
    assert ref.name == "proj"
    store = await repositories.fetch(ref)
    assert await store.resolve(None) == mine.rev("HEAD")
    assert await store.read(mine.rev("HEAD"), "README") == b"hello\n"
    missing = await repositories.locate(served.replace("proj", "none"), Path("/"))
    with pytest.raises(RepositoryError, match=r"could not be fetched: .*not found"):
        await repositories.fetch(missing)


async def test_a_partial_clone_is_refused_plainly(mine: Person, repositories: Repositories, ground: Path) -> None:
    mine.git("config", "uploadpack.allowFilter", "true")
    mine.git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{mine.path}", str(ground / "partial"))
    ref = await repositories.locate(str(ground / "partial"), Path("/"))
    with pytest.raises(RepositoryError, match="partial clone"):
        await repositories.fetch(ref)
