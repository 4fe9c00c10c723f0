"""Repositories that were made to do harm: nothing of theirs runs on the host, and each gets a clear answer."""

import os
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import HostileObject, PullwrightError, RepositoryError, SandboxUnavailable
from pullwright.repos import checkpoints, lfs, submodules
from pullwright.repos.checkpoints import Layout
from pullwright.repos.credentials import Tokens
from pullwright.repos.mirror import Repositories, Store
from pullwright.sandbox.base import Bind, ExecRequest, Sandbox, SandboxSpec
from pullwright.sandbox.local import LocalSandboxes

Person = Any  # conftest.Person
At = Callable[[Path], Any]


@dataclass
class Trap:
    """A program that leaves a mark wherever it is started."""

    path: Path
    canary: Path

    @property
    def sprung(self) -> bool:
        return self.canary.exists()


@pytest.fixture
def trap(ground: Path) -> Trap:
    ground.chmod(0o777)
    path, canary = ground / "trap", ground / "canary"
    path.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    path.chmod(0o755)
    return Trap(path, canary)


async def everything(repositories: Repositories, location: Path) -> Store:
    """All that the host ever does with a repository before a sandbox starts, and what follows a change."""
    ref = await repositories.locate(str(location), Path("/"))
    store = await repositories.fetch(ref)
    head = await store.resolve(None)
    await store.files(head)
    for name in (".pullwright.toml", ".gitattributes", ".gitmodules", "README"):
        await store.read(head, name)
    await store.has_lfs(head)
    await store.dirty(ref)
    await store.take_changes(ref)
    found = await submodules.find(repositories, ref, head)
    await lfs.bring(store, ref, head, Tokens())
    await lfs.hand_back(store, ref, head, head, Tokens())
    for module in found.modules:
        await lfs.bring(repositories.store(module.repository), module.repository, module.commit, Tokens())
    return store


def raw(person: Person, kind: str, body: bytes) -> str:
    """An object that git itself would not make."""
    data = kind.encode() + b" " + str(len(body)).encode() + b"\0" + body
    name = sha1(data, usedforsecurity=False).hexdigest()
    person.write(f".git/objects/{name[:2]}/{name[2:]}", zlib.compress(data))
    return name


def tree_of(person: Person, *entries: tuple[str, bytes, str]) -> str:
    return raw(person, "tree", b"".join(f"{mode} ".encode() + n + b"\0" + bytes.fromhex(i) for mode, n, i in entries))


def commit_of(person: Person, tree: str) -> str:
    body = f"tree {tree}\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\nx\n"
    commit = raw(person, "commit", body.encode())
    person.write(".git/refs/heads/main", f"{commit}\n")
    return commit


def blob(person: Person, content: bytes = b"x\n") -> str:
    name: str = person.git("hash-object", "-w", "--stdin", stdin=content).decode().strip()
    return name


async def test_programs_planted_in_configuration_hooks_and_attributes(
    person: Person, repositories: Repositories, trap: Trap
) -> None:
    oid = "0" * 64
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 1\n"
    person.write(".gitattributes", "* filter=trap diff=trap merge=trap export-subst ident\n*.bin filter=lfs\n")
    person.write("a.bin", pointer)
    person.git("add", "-A")
    person.git("commit", "-q", "-m", "traps")
    keys = (
        "core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.alternateRefsCommand", "core.askPass",
        "core.gitProxy", "uploadpack.packObjectsHook", "receive.procReceiveRefs", "filter.trap.clean",
        "filter.trap.smudge", "filter.trap.process", "filter.lfs.clean", "filter.lfs.process", "diff.trap.textconv",
        "diff.trap.command", "diff.external", "merge.trap.driver", "credential.helper", "sequence.editor",
        "gpg.program", "trailer.x.command", "pager.log", "remote.origin.uploadpack", "remote.origin.receivepack",
        "interactive.diffFilter",
    )  # fmt: skip
    for key in keys:
        person.git("config", key, str(trap.path))
    for alias in ("ls-remote", "upload-pack", "fetch", "rev-parse", "pullwright-keep", "status"):
        person.git("config", f"alias.{alias}", f"!{trap.path}")
    person.git("config", "remote.origin.url", f"ext::{trap.path}")
    person.write("included", f"[core]\n\tfsmonitor = {trap.path}\n\thooksPath = {trap.path.parent}\n")
    person.git("config", "include.path", str(person.path / "included"))
    person.git("config", "core.hooksPath", str(person.path / "hooks"))
    for hook in ("post-index-change", "pre-push", "update", "post-update", "pre-receive", "reference-transaction"):
        for place in (".git/hooks", "hooks"):
            person.write(f"{place}/{hook}", trap.path.read_bytes(), 0o755)
    person.write("README", "changed\n")
    store = await everything(repositories, person.path)
    assert not trap.sprung
    ref = await repositories.locate(str(person.path), Path("/"))
    made = lfs.kept(store, oid)
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(b"x")
    await lfs.hand_back(store, ref, await store.resolve("v1"), await store.resolve(None), Tokens())
    assert (person.path / ".git/lfs/objects/00/00" / oid).read_bytes() == b"x"
    assert not trap.sprung


@pytest.mark.parametrize(
    ("entry", "mode"),
    [(b".git", "40000"), (b".git", "120000"), (b".GIT", "40000"), (b"git~1", "40000"), (b"GIT~1", "120000"),
     (b".git ", "40000"), (b".g\xe2\x80\x8cit", "40000"), (b"..", "40000"), (b".", "120000"), (b"a/b", "40000"),
     (b"", "40000"), (b".git::$INDEX_ALLOCATION", "40000")],
    ids=repr,
)  # fmt: skip
async def test_git_in_disguise_and_paths_that_lead_out(
    mine: Person, repositories: Repositories, entry: bytes, mode: str
) -> None:
    inner = tree_of(mine, ("100644", b"config", blob(mine))) if mode == "40000" else blob(mine, b"/etc")
    commit_of(mine, tree_of(mine, (mode, entry, inner)))
    with pytest.raises(
        RepositoryError, match=r"git refuses, so nothing of it was taken in|fsck|bad tree|malformed|empty"
    ):
        await everything(repositories, mine.path)
    ref = await repositories.locate(str(mine.path), Path("/"))
    assert await repositories.store(ref).branches() == []


async def test_a_link_and_a_directory_of_one_name(mine: Person, repositories: Repositories, ground: Path) -> None:
    inner = tree_of(mine, ("100644", b"file", blob(mine)))
    commit_of(mine, tree_of(mine, ("120000", b"out", blob(mine, os.fsencode(ground))), ("40000", b"out", inner)))
    with pytest.raises(HostileObject, match="duplicateEntries"):
        await everything(repositories, mine.path)


@pytest.mark.parametrize(
    ("name", "path", "url", "says"),
    [
        ("../../hooks", "lib", "../lib", "gitmodulesName"),
        ("lib", "-lib", "../lib", "gitmodulesPath"),
        ("lib", "lib", "-u./payload", "gitmodulesUrl"),
        ("lib", "lib", "--upload-pack=touch x", "gitmodulesUrl"),
        ("lib", "lib", "https://h/x%0ahost=evil", "gitmodulesUrl"),
        ("lib\n\tupdate = !touch x #", "lib", "../lib", "gitmodulesUpdate"),
    ],
)
async def test_submodules_that_git_itself_refuses(
    mine: Person, repositories: Repositories, name: str, path: str, url: str, says: str
) -> None:
    text = f'[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n'
    if "update" in name:
        text = f'[submodule "lib"]\n\tpath = {path}\n\turl = {url}\n\tupdate = !touch x\n'
    mine.write(".gitmodules", text)
    mine.git("add", "-A")
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{mine.rev('HEAD')},lib")
    mine.git("commit", "-q", "-m", "x")
    with pytest.raises(HostileObject, match=says):
        await everything(repositories, mine.path)


async def test_a_gitmodules_that_is_a_link_or_nonsense_or_huge(
    mine: Person, repositories: Repositories, trap: Trap
) -> None:
    before = mine.rev("HEAD")
    commit_of(mine, tree_of(mine, ("120000", b".gitmodules", blob(mine, b"/etc/passwd"))))
    with pytest.raises(HostileObject, match="gitmodulesSymlink"):
        await everything(repositories, mine.path)
    mine.write(".git/refs/heads/main", f"{before}\n")
    lines = "".join(f'[submodule "m{n}"]\n\tpath = m{n}\n\turl = ../m{n}\n' for n in range(30_000))
    mine.commit({".gitmodules": f"[include]\n\tpath = {trap.path}\n[submodule]\n\turl\n{lines}"})
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{mine.rev('HEAD')},m1")
    mine.git("commit", "-q", "-m", "x")
    ref = await repositories.locate(str(mine.path), Path("/"))
    await repositories.fetch(ref)
    found = await submodules.find(repositories, ref, mine.rev("HEAD"))
    assert found.modules == []
    assert "m1 is left empty" in found.notices[-1]
    assert not trap.sprung


async def test_submodules_without_end(mine: Person, repositories: Repositories) -> None:
    """A repository that is its own submodule, each commit naming the one before."""
    for number in range(submodules.MOST_DEEP + 3):
        mine.write(".gitmodules", f'[submodule "self"]\n\tpath = self\n\turl = ../{mine.path.name}\n# {number}\n')
        mine.git("add", ".gitmodules")
        mine.git("update-index", "--add", "--cacheinfo", f"160000,{mine.rev('HEAD')},self")
        mine.git("commit", "-q", "-m", f"c{number}")
    ref = await repositories.locate(str(mine.path), Path("/"))
    await repositories.fetch(ref)
    found = await submodules.find(repositories, ref, mine.rev("HEAD"))
    assert len(found.modules) == submodules.MOST_DEEP
    assert "deep" in found.notices[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could be led to what its user may not read")
async def test_what_leads_to_somebody_elses_objects(person: Person, repositories: Repositories, ground: Path) -> None:
    """Alternates, a gitdir file, a linked .git, a linked object directory: all read as the repository's owner."""
    secret = ground / "secret"
    secret.mkdir(mode=0o700)
    inner = type(person)(secret / "proj", 0)
    inner.path.mkdir()
    inner.git("init", "-q", "-b", "main")
    commit = inner.commit({"key": "private\n"})
    if person.uid == 0:
        pytest.skip("root may read what is root's")
    person.write(".git/objects/info/alternates", f"{inner.path}/.git/objects\n")
    person.write(".git/refs/heads/stolen", f"{commit}\n")
    with pytest.raises(PullwrightError):
        await everything(repositories, person.path)
    for lead in ("file", "link"):
        place = ground / lead
        place.mkdir()
        if lead == "file":
            (place / ".git").write_text(f"gitdir: {inner.path}/.git\n")
            os.chown(place / ".git", person.uid, person.uid)
        else:
            (place / ".git").symlink_to(inner.path / ".git")
        os.chown(place, person.uid, person.uid)
        with pytest.raises(PullwrightError, match=r"not in a git repository|cannot be read"):
            await everything(repositories, place)
    for store in repositories.root.glob("*.git"):
        assert not (store / "objects" / commit[:2] / commit[2:]).exists()


async def test_names_that_differ_only_in_case_or_in_bytes(mine: Person, repositories: Repositories) -> None:
    for name in (
        b"Read me",
        b"read me",
        b"caf\xc3\xa9",
        b"cafe\xcc\x81",
        b"caf\xe9",
        b"new\nline",
        b"\x1b[31m",
        b"-rf",
        b"a\\b",
    ):
        mine.write(name, b"x\n" + name)
    mine.git("add", "-A")
    mine.git("commit", "-q", "-m", "names")
    store = await everything(repositories, mine.path)
    files = await store.files(mine.rev("HEAD"))
    assert len(files) == 3 + 9
    assert not any("\x1b" in name or "\n" in name for name in files)


async def test_a_transfer_has_a_limit(mine: Person, repositories: Repositories) -> None:
    mine.write("noise", os.urandom(3_000_000))
    mine.commit({})
    small = Repositories(repositories.root, group=repositories.group, most_bytes=1_000_000)
    with pytest.raises(RepositoryError, match="more than the 1000000 bytes"):
        await everything(small, mine.path)
    ref = await small.locate(str(mine.path), Path("/"))
    assert await small.store(ref).branches() == []


async def test_a_file_that_is_small_packed_and_huge_unpacked(mine: Person, repositories: Repositories) -> None:
    mine.write(".pullwright.toml", b"\0" * 20_000_000)
    head = mine.commit({})
    store = await everything_but_reading(repositories, mine.path)
    with pytest.raises(RepositoryError, match="holds 20000000 bytes"):
        await store.read(head, ".pullwright.toml")


async def everything_but_reading(repositories: Repositories, location: Path) -> Store:
    ref = await repositories.locate(str(location), Path("/"))
    store = await repositories.fetch(ref)
    await lfs.pointers(store, await store.resolve(None))
    return store


@pytest.mark.parametrize("what", ["bit", "short", "missing", "commit", "ref", "head", "loop", "index", "pack"])
async def test_what_is_broken_gets_an_answer(mine: Person, repositories: Repositories, what: str) -> None:
    head = mine.rev("HEAD")
    loose = mine.path / f".git/objects/{head[:2]}/{head[2:]}"
    inner = mine.rev("HEAD:README")
    file = mine.path / f".git/objects/{inner[:2]}/{inner[2:]}"
    for path in (loose, file):
        path.chmod(0o644)
    match what:
        case "bit":
            file.write_bytes(zlib.compress(b"blob 6\0hellx\n"))
        case "short":
            file.write_bytes(file.read_bytes()[:10])
        case "missing":
            file.unlink()
        case "commit":
            commit_of(mine, "0" * 40)
        case "ref":
            mine.write(".git/refs/heads/main", f"{inner}\n")
        case "head":
            mine.write(".git/HEAD", "not a head\n")
        case "loop":
            mine.write(".git/HEAD", "ref: refs/heads/a\n")
            mine.write(".git/refs/heads/a", "ref: refs/heads/b\n")
            mine.write(".git/refs/heads/b", "ref: refs/heads/a\n")
        case "index":
            mine.write(".git/index", b"DIRC nonsense")
        case "pack":
            mine.git("gc", "-q")
            (pack,) = (mine.path / ".git/objects/pack").glob("*.pack")
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes()[:60] + b"\0" * 20)
    with pytest.raises(PullwrightError) as raised:
        await everything(repositories, mine.path)
    said = str(raised.value)
    assert len(said) < 3000
    assert "Traceback" not in said


async def test_a_broken_source_costs_nothing_of_what_was_fetched(mine: Person, repositories: Repositories) -> None:
    store = await everything(repositories, mine.path)
    head = mine.rev("HEAD")
    commit_of(mine, tree_of(mine, ("40000", b".git", tree_of(mine, ("100644", b"x", blob(mine))))))
    with pytest.raises(HostileObject):
        await everything(repositories, mine.path)
    assert await store.resolve(None) == head
    await store.run("fsck", "--connectivity-only")


async def test_the_far_sides_words_cannot_steer_a_terminal(mine: Person, repositories: Repositories) -> None:
    hook = mine.write("speak", "#!/bin/sh\nprintf 'ERR \\033]0;pwned\\007\\033[2J' >&2\nexit 1\n", 0o755)
    mine.git("config", "uploadpack.packObjectsHook", str(hook))
    mine.write(".git/refs/heads/\x1b[31mred", f"{mine.rev('HEAD')}\n")
    mine.write(".git/packed-refs", "nonsense \x1b[2J\n")
    with pytest.raises(PullwrightError) as raised:
        await everything(repositories, mine.path)
    assert not set(str(raised.value)) & {chr(code) for code in (*range(10), *range(11, 32), 127)}


@pytest.fixture
async def sandboxes(ground: Path) -> AsyncIterator[LocalSandboxes]:
    (ground / "machines").mkdir()
    made = LocalSandboxes(ground / "machines", uid=64200)
    yield made
    await made.close()


_PLANT = r"""
set -e
printf '#!/bin/sh\ntouch %s /tmp/inside\ncat\n' "$1" >/tmp/trap && chmod +x /tmp/trap
for key in core.fsmonitor filter.x.clean filter.x.smudge filter.x.process core.sshCommand core.pager diff.external; do
  git config $key /tmp/trap
  git -C lib config $key /tmp/trap
done
echo '* filter=x' >.gitattributes
mkdir -p .git/hooks && cp /tmp/trap .git/hooks/post-index-change && cp /tmp/trap .git/hooks/reference-transaction
echo /etc >>.git/objects/info/alternates
ln -s /etc/passwd passwd && ln -s ../../../../../../etc out
mkdir -p n/.git a/.GIT && echo x >a/.GIT/config
git init -q b && (cd b && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x)
printf 'gitdir: /etc\n' >n/.gitfile && mkdir c && printf 'gitdir: /etc\n' >c/.git
(cd lib && git commit -q --allow-empty -m mine)
"""


@pytest.mark.parametrize("planted", [True, False])
async def test_what_an_agent_plants_stays_inside(
    mine: Person, at: At, repositories: Repositories, sandboxes: LocalSandboxes, ground: Path, trap: Trap, planted: bool
) -> None:
    (ground / "lib").mkdir()
    lib = at(ground / "lib")
    lib.git("init", "-q", "-b", "main")
    link = lib.commit({"lib.py": "1\n"})
    mine.write(".gitmodules", '[submodule "lib"]\n\tpath = lib\n\turl = ../lib\n')
    odd = (b"-rf", b"--help", b"new\nline", b"caf\xe9", b" $(touch x)", b"READ ME", b"read me", b"a\\b")
    for name in odd:
        mine.write(name, b"x\n" + name)
    mine.git("add", "-A")
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{link},lib")
    mine.git("commit", "-q", "-m", "lib")
    store = await everything(repositories, mine.path)
    head = mine.rev("HEAD")
    ref = await repositories.locate(str(mine.path), Path("/"))
    found = await submodules.find(repositories, ref, head)
    binds = [Bind(store.objects, checkpoints.OBJECTS)]
    for module in found.modules:
        inner = repositories.store(module.repository)
        binds.append(Bind(inner.objects, f"{checkpoints.MODULES}/{module.repository.key}"))
    try:
        sandbox = await sandboxes.start(SandboxSpec(name="hostile", binds=tuple(binds)))
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    layout = Layout(modules=tuple(found.modules))
    await run(sandbox, checkpoints.checkout_command(head, layout=layout))
    assert await run(sandbox, ("git", "status", "--porcelain")) == b""
    assert await run(sandbox, ("cat", "./-rf", "READ ME")) == b"x\n-rfx\nREAD ME"
    # Moved onto itself: what is there is known to be there.
    await run(sandbox, checkpoints.checkout_command(head, layout=layout))
    assert await run(sandbox, ("git", "status", "--porcelain")) == b""
    if planted:
        await run(sandbox, ("sh", "-c", _PLANT, "plant", str(trap.canary)))
    await run(sandbox, ("sh", "-c", "echo 2 >README"))
    captured = await run(sandbox, checkpoints.capture_command())
    await sandbox.stop()
    taken = await checkpoints.take_in(store, "t-1/1", captured, head, "x")
    files = await store.files(taken.tree)
    assert await store.read(taken.commit, "README") == b"2\n"
    assert not any(part.lower() in (".git", "git~1") for name in files for part in name.split("/"))
    if planted:
        assert files["passwd"].mode == "120000"
        assert await store.read(taken.commit, "passwd") is None
        # The repository inside is no part of it; the submodule's new commit is settled by whoever knows its store.
        assert "b" not in files
        assert {name for name, entry in files.items() if entry.mode == "160000"} == {"lib"}
    assert not trap.sprung
    await store.run("fsck", "--connectivity-only")


async def run(sandbox: Sandbox, argv: tuple[str, ...]) -> bytes:
    result = await sandbox.run(ExecRequest(argv=argv, output_limit=checkpoints.MAX_BYTES))
    assert result.exit_code == 0, (result.stdout[-2000:], result.stderr[-2000:])
    return result.stdout
