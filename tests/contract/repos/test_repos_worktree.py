"""A person's own working tree: what is uncommitted is taken along, a change is put on, nothing else of theirs moves."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import NoCommits, RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos.change import change_between, patch, take_change
from pullwright.repos.commits import Hand, write_commit
from pullwright.repos.mirror import Repositories, Store
from pullwright.repos.worktree import Applied

Person = Any  # conftest.Person
At = Callable[[Path], Any]


async def opened(repositories: Repositories, person: Person) -> tuple[RepositoryRef, Store]:
    ref = await repositories.locate(str(person.path), Path("/"))
    return ref, await repositories.fetch(ref)


def untouched(person: Person) -> dict[str, object]:
    """All that a person could notice: files, modes and owners, and every byte of the git directory."""
    found: dict[str, object] = {}
    for path in sorted(person.path.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_mode, status.st_uid, content)
    return found


async def test_a_clean_tree_has_nothing_to_take(person: Person, repositories: Repositories) -> None:
    ref, store = await opened(repositories, person)
    assert await store.dirty(ref) is False
    assert await store.take_changes(ref) is None


async def test_a_dirty_tree_is_taken_along_and_left_as_it_is(person: Person, repositories: Repositories) -> None:
    person.write(".gitignore", "*.log\n")
    person.write("build.log", "ignored\n")
    person.write("src/a.py", "a = 2\n")
    person.write(b"caf\xe9", "new\n")
    person.write("staged", "staged\n")
    person.git("add", "staged")
    person.write("staged", "and changed again\n")
    (person.path / "src" / "b.py").unlink()
    before = untouched(person)
    ref, store = await opened(repositories, person)
    assert await store.dirty(ref) is True
    taken = await store.take_changes(ref)
    assert taken is not None
    assert untouched(person) == before
    assert await store.commit_at(f"{taken}^") == person.rev("HEAD")
    assert set(await store.files(taken)) == {"README", ".gitignore", "src/a.py", "caf\\xe9", "staged"}
    assert await store.read(taken, "src/a.py") == b"a = 2\n"
    assert await store.read(taken, "staged") == b"and changed again\n"
    assert await store.take_changes(ref) == taken


async def test_repositories_inside_the_tree_stay_out(mine: Person, at: At, repositories: Repositories) -> None:
    (mine.path / "inner").mkdir()
    inner = at(mine.path / "inner")
    inner.git("init", "-q")
    inner.commit({"x": "x\n"})
    mine.write("y", "y\n")
    ref, store = await opened(repositories, mine)
    taken = await store.take_changes(ref)
    assert taken
    assert set(await store.files(taken)) == {"README", "src/a.py", "src/b.py", "y"}


async def test_a_linked_worktree_has_changes_of_its_own(mine: Person, at: At, repositories: Repositories) -> None:
    linked = at(mine.path.parent / "linked")
    mine.git("worktree", "add", "-q", "-b", "linked", str(linked.path))
    linked.write("README", "linked\n")
    mine.write("README", "main\n")
    ref, store = await opened(repositories, linked)
    taken = await store.take_changes(ref)
    assert taken
    assert await store.read(taken, "README") == b"linked\n"


async def test_there_is_nothing_to_take_from_a_bare_repository_or_a_url(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    mine.git("clone", "-q", "--bare", ".", str(ground / "bare"))
    ref, store = await opened(repositories, at(ground / "bare"))
    assert await store.dirty(ref) is False
    assert await store.take_changes(ref) is None
    url = await repositories.locate("https://example.org/x.git", ground)
    assert await store.dirty(url) is False
    assert await store.take_changes(url) is None


async def test_changes_before_the_first_commit_have_nothing_to_stand_on(
    at: At, repositories: Repositories, ground: Path
) -> None:
    (ground / "new").mkdir()
    person = at(ground / "new")
    person.git("init", "-q")
    person.write("a", "a\n")
    ref, store = await opened(repositories, person)
    assert await store.dirty(ref) is True
    with pytest.raises(NoCommits):
        await store.take_changes(ref)


async def a_change(person: Person, store: Store, files: dict[str, str], base: str | None = None) -> tuple[str, str]:
    """Base and head as an attempt would have made it, from a commit that the person's repository does not know."""
    base = base or person.rev("HEAD")
    index = {"GIT_INDEX_FILE": str(store.path / "scratch")}
    blobs = {
        name: (await store.run("hash-object", "-w", "--stdin", stdin=text.encode())) for name, text in files.items()
    }
    listed = b"".join(b"100644 " + blob.strip() + b"\t" + name.encode() + b"\0" for name, blob in blobs.items())
    from pullwright.repos import git

    call = store.call(variables=index)
    await git.git(call, "read-tree", base)
    await git.git(call, "update-index", "-z", "--index-info", stdin=listed)
    tree = (await git.git(call, "write-tree")).decode().strip()
    change = await take_change(store, base, tree, "t-1")
    return base, change.head


async def test_a_change_is_put_onto_the_tree_as_its_owner(person: Person, repositories: Repositories) -> None:
    ref, store = await opened(repositories, person)
    difference = await a_change(person, store, {"src/a.py": "a = 2\n", "new/c.py": "c = 3\n"})
    index = (person.path / ".git" / "index").read_bytes()
    assert await repositories.apply_to_working_tree(ref, *difference) == Applied(("new/c.py", "src/a.py"))
    assert (person.path / "src" / "a.py").read_text() == "a = 2\n"
    assert (person.path / "new" / "c.py").stat().st_uid == person.uid
    assert (person.path / ".git" / "index").read_bytes() == index
    assert await repositories.apply_to_working_tree(ref, *difference) == Applied(())


async def test_a_change_is_merged_with_what_has_happened_since(person: Person, repositories: Repositories) -> None:
    base = person.commit({"long": "".join(f"line {n}\n" for n in range(30))})
    ref, store = await opened(repositories, person)
    changed = "".join(f"line {n}{' changed' if n == 15 else ''}\n" for n in range(30))
    difference = await a_change(person, store, {"long": changed}, base)
    since = "".join(f"{'line' if n != 12 else 'LINE'} {n}\n" for n in range(-5, 30))
    person.write("long", since)
    assert await repositories.apply_to_working_tree(ref, *difference) == Applied(("long",))
    assert (person.path / "long").read_text() == since.replace("line 15", "line 15 changed")


@pytest.mark.parametrize("standing", ["mine\n", "a = 3\n"])
async def test_a_change_that_does_not_fit_changes_nothing(
    person: Person, repositories: Repositories, standing: str
) -> None:
    ref, store = await opened(repositories, person)
    difference = await a_change(person, store, {"src/a.py": "a = 2\n", "src/b.py": "b = 3\n"})
    person.write("src/a.py", standing)
    before = untouched(person)
    with pytest.raises(UsageError, match=r"src/a\.py") as raised:
        await repositories.apply_to_working_tree(ref, *difference)
    assert "src/b.py" not in str(raised.value)
    assert untouched(person) == before


async def test_a_new_file_does_not_overwrite_an_untracked_one(mine: Person, repositories: Repositories) -> None:
    ref, store = await opened(repositories, mine)
    difference = await a_change(mine, store, {"new": "theirs\n"})
    mine.write(".git/info/exclude", "new\n")
    mine.write("new", "mine\n")
    before = untouched(mine)
    with pytest.raises(UsageError, match="new"):
        await repositories.apply_to_working_tree(ref, *difference)
    assert untouched(mine) == before


async def test_a_change_cannot_leave_the_tree(mine: Person, repositories: Repositories, ground: Path) -> None:
    ref, store = await opened(repositories, mine)
    (mine.path / "out").symlink_to(ground)
    base = mine.rev("HEAD")
    blob = (await store.run("hash-object", "-w", "--stdin", stdin=b"evil\n")).decode().strip()
    entry = f"100755 blob {blob}\tevil\n"
    for folder in ("..", ".git", "out"):
        inner = (await store.run("mktree", stdin=entry.encode())).decode().strip()
        tree = await store.run("mktree", stdin=f"040000 tree {inner}\t{folder}\n".encode())
        head = await store.commit(tree.decode().strip(), base, "evil")
        with pytest.raises((UsageError, RepositoryError)):
            await repositories.apply_to_working_tree(ref, base, head, markers=True)
    assert not list(ground.rglob("evil"))
    assert (mine.path / "README").exists()


async def test_markers_are_left_on_wish_only(person: Person, repositories: Repositories) -> None:
    ref, store = await opened(repositories, person)
    difference = await a_change(person, store, {"src/a.py": "a = 2\n", "src/b.py": "b = 3\n"})
    person.write("src/a.py", "a = 7\n")
    index = (person.path / ".git" / "index").read_bytes()
    applied = await repositories.apply_to_working_tree(ref, *difference, markers=True)
    assert applied == Applied(("src/a.py", "src/b.py"), ("src/a.py",))
    said = (person.path / "src" / "a.py").read_text()
    assert "a = 7" in said
    assert "a = 2" in said
    assert "<<<<<<<" in said
    assert (person.path / "src" / "a.py").stat().st_uid == person.uid
    assert (person.path / ".git" / "index").read_bytes() == index


async def test_every_kind_of_change_is_put_on(mine: Person, repositories: Repositories) -> None:
    base = mine.commit({"moved": "".join(f"{n}\n" for n in range(20)), "mode": "m\n", "gone": "g\n", "kept": "k\n"})
    mine.git("mv", "moved", "elsewhere")
    mine.git("rm", "-q", "gone")
    (mine.path / "mode").chmod(0o755)
    (mine.path / "binary").write_bytes(bytes(range(256)))
    (mine.path / "kept").unlink()
    (mine.path / "kept").symlink_to("README")
    head = mine.commit({"README": "hello\nthere\n"})
    ref, _ = await opened(repositories, mine)
    mine.git("checkout", "-q", base)
    # What was edited where it was moved away from follows it.
    mine.write("moved", "".join(f"{n}\n" for n in range(19)) + "mine\n")
    await repositories.apply_to_working_tree(ref, base, head)
    assert not (mine.path / "moved").exists()
    assert (mine.path / "elsewhere").read_text().endswith("18\nmine\n")
    assert not (mine.path / "gone").exists()
    assert (mine.path / "mode").stat().st_mode & 0o111
    assert (mine.path / "binary").read_bytes() == bytes(range(256))
    assert (mine.path / "kept").is_symlink()


async def test_no_merge_driver_of_theirs_runs(mine: Person, repositories: Repositories, ground: Path) -> None:
    ref, store = await opened(repositories, mine)
    difference = await a_change(mine, store, {"src/a.py": "a = 2\n"})
    mine.git("config", "merge.evil.driver", f"touch {ground}/ran")
    mine.write(".gitattributes", "* merge=evil\n")
    mine.write("src/a.py", "a = 7\n")
    with pytest.raises(UsageError, match=r"src/a\.py"):
        await repositories.apply_to_working_tree(ref, *difference)
    assert not (ground / "ran").exists()


async def test_where_a_change_cannot_be_put(mine: Person, at: At, repositories: Repositories, ground: Path) -> None:
    mine.git("clone", "-q", "--bare", ".", str(ground / "bare"))
    ref, _ = await opened(repositories, at(ground / "bare"))
    with pytest.raises(UsageError, match="bare"):
        await repositories.apply_to_working_tree(ref, "HEAD", "HEAD")
    elsewhere = await repositories.locate("https://example.org/x", ground)
    with pytest.raises(UsageError, match="not on this machine"):
        await repositories.apply_to_working_tree(elsewhere, "HEAD", "HEAD")


async def test_a_change_tells_every_file(mine: Person, repositories: Repositories) -> None:
    base = mine.commit({"moved": "same\n" * 10, "mode": "m\n", "gone": "g\n"})
    mine.git("mv", "moved", "elsewhere")
    mine.git("rm", "-q", "gone")
    (mine.path / "mode").chmod(0o755)
    (mine.path / "binary").write_bytes(bytes(range(256)))
    (mine.path / "src" / "a.py").unlink()
    (mine.path / "src" / "a.py").symlink_to("b.py")
    head = mine.commit({"README": "hello\nthere\n"})
    _, store = await opened(repositories, mine)
    change = await change_between(store, base, head)
    assert {file.path: (file.status, file.insertions, file.deletions) for file in change.files} == {
        "README": ("M", 1, 0),
        "binary": ("A", None, None),
        "elsewhere": ("A", 10, 0),
        "gone": ("D", 0, 1),
        "mode": ("M", 0, 0),
        "moved": ("D", 0, 10),
        "src/a.py": ("T", 1, 1),
    }
    mine.git("checkout", "-q", base)
    mine.git("apply", "--index", "-", stdin=await patch(store, base, head))
    assert mine.git("write-tree").decode().strip() == await store.tree(head)


async def test_the_same_change_gives_the_same_commit(mine: Person, repositories: Repositories) -> None:
    _, store = await opened(repositories, mine)
    base, tree = mine.rev("v1"), mine.rev("HEAD^{tree}")
    change = await take_change(store, base, tree, "t-1", message="Why\n\nBecause of \udcff.")
    assert await take_change(store, base, tree, "t-1", message="Why\n\nBecause of \udcff.") == change
    said = (await store.run("show", "-s", "--format=%an <%ae> %cd|%B", "--date=iso", change.head)).decode()
    assert said.startswith("Pullwright <pullwright@localhost> 2023-11-14 23:13:20 +0100|Why\n\nBecause of \\udcff.")
    other = await write_commit(store, tree, (base,), "Why", Hand(author="Ada <ada@example.org>"))
    assert other != change.head
    empty = await take_change(store, base, await store.tree(base), "t-1")
    assert (empty.empty, empty.head) == (True, base)


async def test_a_persons_own_ignore_patterns_hold(
    mine: Person, repositories: Repositories, ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person ignores everywhere, such as files with secrets, is not taken along."""
    (ground / "home" / ".config" / "git").mkdir(parents=True)
    (ground / "home" / ".config" / "git" / "ignore").write_text(".env\n")
    monkeypatch.setenv("HOME", str(ground / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    mine.write(".env", "SECRET=1\n")
    ref, store = await opened(repositories, mine)
    assert await store.dirty(ref) is False
    assert await store.take_changes(ref) is None
    assert os.environ["HOME"] == str(ground / "home")
