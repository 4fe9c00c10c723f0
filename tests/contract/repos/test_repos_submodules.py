"""Submodules: found, checked, each in a store of its own; laid out and moved in a workspace."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import UsageError
from pullwright.repos import checkpoints, submodules
from pullwright.repos.checkpoints import Layout
from pullwright.repos.mirror import Repositories, Store
from pullwright.repos.submodules import resolve

Person = Any  # conftest.Person
At = Callable[[Path], Any]


def made(at: At, path: Path, files: dict[str, str]) -> Person:
    path.mkdir()
    person = at(path)
    person.git("init", "-q", "-b", "main")
    person.commit(files)
    return person


def add(parent: Person, url: str, path: str, commit: str, name: str | None = None) -> str:
    """A submodule as a tree may hold it, whatever git itself would have allowed."""
    modules = parent.path / ".gitmodules"
    text = modules.read_text() if modules.exists() else ""
    modules.write_text(f'{text}[submodule "{name or path}"]\n\tpath = {path}\n\turl = {url}\n')
    parent.git("add", ".gitmodules")
    parent.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    parent.git("commit", "-q", "-m", f"submodule {path}")
    head: str = parent.rev("HEAD")
    return head


async def found(repositories: Repositories, person: Person, commit: str) -> tuple[Store, submodules.Found]:
    ref = await repositories.locate(str(person.path), Path("/"))
    store = await repositories.fetch(ref)
    return store, await submodules.find(repositories, ref, commit)


class Bench:
    """A workspace with the stores where a sandbox has them."""

    def __init__(self, root: Path, repositories: Repositories, store: Store, modules: Any) -> None:
        self.root, self.repositories, self.store = root, repositories, store
        (root / "workspace").mkdir(parents=True)
        (root / "modules").mkdir()
        for module in modules:
            shown = root / "modules" / module.repository.key
            if not shown.is_symlink():
                shown.symlink_to(repositories.store(module.repository).objects)

    def sh(self, *argv: str) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home")}
        done = subprocess.run(argv, cwd=self.root, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        self.said = done.stderr
        return done.stdout.decode(errors="replace")

    def git(self, *arguments: str) -> str:
        return self.sh("git", "-C", str(self.root / "workspace"), *arguments)

    def places(self) -> dict[str, Any]:
        return {"workspace": str(self.root / "workspace"), "objects": str(self.store.objects),
                "state": str(self.root / "state")}  # fmt: skip

    def lay_out(self, commit: str, modules: Any) -> None:
        command = checkpoints.checkout_command(
            commit, layout=Layout(modules=tuple(modules)), modules=str(self.root / "modules"), **self.places()
        )
        self.sh(*command)

    def tree(self) -> str:
        out = self.sh(*checkpoints.capture_command(**self.places()))
        return out.split("\n", 1)[0].split()[1]


async def test_submodules_are_found_and_laid_out_also_inside_others(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    inner = made(at, ground / "inner", {"deep": "1\n"})
    lib = made(at, ground / "lib", {"lib.py": "1\n"})
    lib_head = add(lib, "../inner", "vendored/inner", inner.rev("HEAD"))
    head = add(mine, "../lib", "libs/lib one", lib_head)
    store, told = await found(repositories, mine, head)
    assert told.notices == []
    assert [(module.path, module.commit) for module in told.modules] == [
        ("libs/lib one", lib_head),
        ("libs/lib one/vendored/inner", inner.rev("HEAD")),
    ]
    bench = Bench(ground / "box", repositories, store, told.modules)
    bench.lay_out(head, told.modules)
    workspace = bench.root / "workspace"
    assert (workspace / "libs/lib one/lib.py").read_text() == "1\n"
    assert (workspace / "libs/lib one/vendored/inner/deep").read_text() == "1\n"
    assert bench.git("status", "--porcelain") == ""
    assert bench.git("submodule", "status", "--recursive").count("\n") == 2
    assert bench.git("-C", "libs/lib one", "log", "--format=%s").splitlines() == ["submodule vendored/inner", "work"]
    assert bench.tree() == await store.tree(head)
    assert bench.said == b""

    # What is changed inside is told, and the parent's tree is the base's.
    (workspace / "libs/lib one/lib.py").write_text("2\n")
    assert bench.tree() == await store.tree(head)
    assert bench.said == b"pullwright-left-out libs/lib one\n"


async def test_a_checkout_moves_submodules_and_takes_away_those_that_are_gone(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    lib = made(at, ground / "lib", {"lib.py": "1\n", "same": "s\n"})
    older = lib.rev("HEAD")
    newer = lib.commit({"lib.py": "2\n"})
    first = add(mine, "../lib", "lib", older)
    mine.git("update-index", "--cacheinfo", f"160000,{newer},lib")
    mine.git("commit", "-q", "-m", "moved")
    second = mine.rev("HEAD")
    mine.git("rm", "-q", "--cached", "lib", ".gitmodules")
    mine.git("commit", "-q", "-m", "gone")
    third = mine.rev("HEAD")

    store, told = await found(repositories, mine, first)
    ref = await repositories.locate(str(mine.path), Path("/"))
    bench = Bench(ground / "box", repositories, store, told.modules)
    workspace = bench.root / "workspace"
    for commit, holds in ((first, "1\n"), (second, "2\n"), (third, None), (second, "2\n"), (first, "1\n")):
        modules = await submodules.pinned(repositories, ref, commit, tuple(told.modules))
        bench.lay_out(commit, modules)
        assert (workspace / "lib").exists() == (holds is not None)
        if holds:
            assert (workspace / "lib/lib.py").read_text() == holds
        assert bench.git("status", "--porcelain") == ""
        assert bench.tree() == await store.tree(commit)


async def test_a_commit_that_no_branch_leads_to_is_fetched_by_name(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    lib = made(at, ground / "lib", {"lib.py": "1\n"})
    lost = lib.commit({"lib.py": "2\n"})
    lib.git("reset", "-q", "--hard", "HEAD~1")
    head = add(mine, "../lib", "lib", lost)
    _, told = await found(repositories, mine, head)
    assert [module.commit for module in told.modules] == [lost]
    (ground / "lib").rename(ground / "moved")
    ref = await repositories.locate(str(mine.path), Path("/"))
    assert await submodules.pinned(repositories, ref, head, tuple(told.modules)) == tuple(told.modules)


async def test_a_submodule_in_a_persons_own_clone_is_taken_from_there(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    lib = made(at, ground / "lib", {"lib.py": "1\n"})
    mine.git("submodule", "--quiet", "add", str(lib.path), "lib")
    mine.git("commit", "-q", "-m", "submodule")
    mine.git("remote", "add", "origin", "https://forge.invalid/team/proj.git")
    (ground / "lib").rename(ground / "moved")
    _, told = await found(repositories, mine, mine.rev("HEAD"))
    assert told.notices == []
    assert told.modules[0].repository.location == str(mine.path / ".git" / "modules" / "lib")


async def test_what_cannot_be_had_is_left_empty_with_a_reason(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    lib = made(at, ground / "lib", {"lib.py": "1\n"})
    commit = lib.rev("HEAD")
    for number, (url, name) in enumerate(
        (
            ("ext::sh -c touch%20/tmp/x", "a"),
            ("git://127.0.0.1/x", "d"),
            ("http://127.0.0.1:1/x", "e"),
            ("../gone", "f"),
            ("../../../../../../../../../x", "g"),
            ("https://me:secret@127.0.0.1/x", "h"),
        )
    ):
        head = add(mine, url, f"m{number}", commit, name)
    mine.git("update-index", "--add", "--cacheinfo", f"160000,{commit},untold")
    mine.git("commit", "-q", "-m", "untold")
    head = mine.rev("HEAD")
    _, told = await found(repositories, mine, head)
    assert told.modules == []
    assert len(told.notices) == 7
    said = "\n".join(told.notices)
    for words in ("not followed", "plain http", "not there", "above the root", "password", "no entry"):
        assert words in said
    assert "secret" not in said


async def test_a_path_in_a_repository_from_elsewhere_needs_its_persons_consent(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    private = made(at, ground / "private", {"diary": "dear me\n"})
    mine.git("remote", "add", "origin", "https://forge.invalid/team/proj.git")
    head = add(mine, str(private.path), "private", private.rev("HEAD"))
    _, told = await found(repositories, mine, head)
    assert told.modules == []
    assert "git submodule init" in told.notices[0]
    mine.git("submodule", "--quiet", "init", "private")
    _, told = await found(repositories, mine, head)
    assert [module.path for module in told.modules] == ["private"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads what is somebody else's")
async def test_a_path_of_somebody_elses_is_not_followed(
    person: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    other = at(ground / "other") if person.uid else type(person)(ground / "other", 64997)
    other.path.mkdir()
    os.chown(other.path, other.uid, other.uid)
    other.git("init", "-q", "-b", "main")
    commit = other.commit({"secret": "s\n"})
    person.write(".gitmodules", f'[submodule "x"]\n\tpath = x\n\turl = {other.path}\n')
    person.git("add", ".gitmodules")
    person.git("update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    person.git("commit", "-q", "-m", "x")
    _, told = await found(repositories, person, person.rev("HEAD"))
    assert told.modules == []
    assert "somebody else" in told.notices[0]


@pytest.mark.parametrize(
    ("parent", "url", "means"),
    [
        ("https://h/team/proj.git", "../lib.git", "https://h/team/lib.git"),
        ("https://h/team/proj", "../../other/lib", "https://h/other/lib"),
        ("https://h/team/proj", "./lib", "https://h/team/proj/lib"),
        ("git@h:team/proj.git", "../lib.git", "git@h:team/lib.git"),
        ("ssh://git@h:22/team/proj", "../lib", "ssh://git@h:22/team/lib"),
        ("/srv/proj", "../lib", "/srv/lib"),
        ("/srv/proj", "file:///srv/a%20b", "/srv/a b"),
        ("https://h/proj", "https://other/lib", "https://other/lib"),
        ("https://h/proj", "git@other:lib", "git@other:lib"),
        ("http://h/proj", "http://other/lib", "http://other/lib"),
    ],
)
def test_urls_that_are_followed(parent: str, url: str, means: str) -> None:
    assert resolve(parent, url) == means


@pytest.mark.parametrize(
    ("parent", "url"),
    [
        ("https://h/proj", "/srv/lib"),
        ("https://h/proj", "file:///srv/lib"),
        ("https://h/proj", "http://h/lib"),
        ("https://h/proj", "../../lib"),
        ("https://h/proj", "ext::sh -c x"),
        ("https://h/proj", "-u./payload"),
        ("https://h/proj", "https://h/x%0ahost=evil"),
        ("https://h/proj", "ftp://h/x"),
        ("git@h:proj", "../../lib"),
        ("/srv/proj", "ext::sh -c x"),
        ("/srv/proj", ""),
    ],
)
def test_urls_that_are_not(parent: str, url: str) -> None:
    with pytest.raises(UsageError):
        resolve(parent, url)
