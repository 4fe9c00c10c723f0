"""Merges in a bare store come to what git's own commands come to in a working tree."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import RepositoryError, UsageError
from pullwright.repos.commits import Hand
from pullwright.repos.export import exported, take_bundle
from pullwright.repos.merge import Conflict, commits_between, common, markers_left, merge, replay, three_way
from pullwright.repos.mirror import Repositories, Store

Person = Any  # conftest.Person
At = Callable[[Path], Any]
LONG = "".join(f"line {n}\n" for n in range(40))


async def opened(repositories: Repositories, person: Person) -> Store:
    return await repositories.fetch(await repositories.locate(str(person.path), Path("/")))


def tried(person: Person, *command: str) -> bool:
    """Whether a command of git's fits; it may leave conflicts behind."""
    identity = {"GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x"}
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **identity}
    words = ["git", "-C", str(person.path), *command]
    return subprocess.run(words, capture_output=True, check=False, env=variables, timeout=60).returncode == 0


def branched(person: Person, name: str, files: dict[str, str], at: str = "main") -> str:
    person.git("checkout", "-q", "-B", name, at)
    return str(person.commit(files, f"{name} changes {', '.join(files)}"))


async def test_two_commits_are_merged(mine: Person, repositories: Repositories) -> None:
    mine.commit({"long": LONG})
    one = branched(mine, "one", {"long": LONG.replace("line 3\n", "LINE 3\n")})
    two = branched(mine, "two", {"long": LONG.replace("line 30\n", "LINE 30\n"), "new": "n\n"})
    store = await opened(repositories, mine)
    merged = await merge(store, one, two)
    assert merged.clean
    both = LONG.replace("line 3\n", "LINE 3\n").replace("line 30\n", "LINE 30\n")
    assert await store.read(merged.tree, "long") == both.encode()
    assert await store.read(merged.tree, "new") == b"n\n"


async def test_every_kind_of_conflict_is_told(mine: Person, repositories: Repositories) -> None:
    base = mine.commit({"text": "a\n", "gone": "g\n", "moved": LONG, "dir": "was a file\n"})
    (mine.path / "binary").write_bytes(bytes(range(256)))
    base = mine.commit({})
    mine.git("checkout", "-q", "-B", "one")
    (mine.path / "binary").write_bytes(bytes(range(1, 256)))
    mine.git("rm", "-q", "gone")
    mine.git("mv", "moved", "here")
    one = mine.commit({"text": "b\n", "both\x01ways": "1\n"})
    mine.git("checkout", "-q", "-B", "two", base)
    (mine.path / "binary").write_bytes(bytes(range(2, 256)))
    mine.git("mv", "moved", "there")
    two = mine.commit({"text": "c\n", "gone": "h\n", "both\x01ways": "2\n"})
    store = await opened(repositories, mine)
    merged = await merge(store, one, two)
    kinds = {conflict.path: conflict.what for conflict in merged.conflicts}
    assert kinds["text"] == "contents"
    assert kinds["gone"] == "modify/delete"
    assert kinds["both\\x01ways"] == "contents"
    assert kinds["binary"] in ("binary", "contents")
    assert kinds.keys() >= {"here", "there", "moved"}
    assert await markers_left(store, merged.tree, merged.paths) == ("both\\x01ways", "text")


async def test_what_has_nothing_in_common_is_not_merged(mine: Person, repositories: Repositories) -> None:
    mine.git("checkout", "-q", "--orphan", "other")
    other = mine.commit({"x": "x\n"})
    store = await opened(repositories, mine)
    main = await store.resolve("main")
    assert await common(store, main, other) is None
    with pytest.raises(RepositoryError, match="no commit in common"):
        await merge(store, main, other)


async def test_random_reverts_and_picks_are_those_of_git(mine: Person, repositories: Repositories) -> None:
    chance = random.Random(4)
    lines = [f"{n}\n" for n in range(30)]
    mine.commit({"f": "".join(lines)})
    commits = []
    for step in range(12):
        at = chance.randrange(len(lines))
        lines[at : at + chance.randrange(3)] = [f"step {step} {n}\n" for n in range(chance.randrange(3))]
        commits.append(mine.commit({"f": "".join(lines)}, f"step {step}"))
    store = await opened(repositories, mine)
    tip = commits[-1]
    outcomes = set()
    for commit in commits[:-1]:
        for onto, base, theirs, command in (
            (tip, commit, f"{commit}^", ("revert", "--no-commit")),
            (commits[0], f"{commit}^", commit, ("cherry-pick", "--no-commit")),
        ):
            mine.git("checkout", "-q", "-f", onto)
            fits = tried(mine, *command, commit)
            merged = await three_way(store, base, onto, theirs)
            assert merged.clean == fits, (commit, command)
            outcomes.add((command[0], merged.clean))
            if merged.clean:
                assert merged.tree == mine.git("write-tree").decode().strip()
            else:
                assert merged.conflicts == (Conflict("f", "contents"),)
            mine.git("reset", "-q", "--hard")
            (mine.path / ".git" / "CHERRY_PICK_HEAD").unlink(missing_ok=True)
            (mine.path / ".git" / "REVERT_HEAD").unlink(missing_ok=True)
    assert len(outcomes) == 4, "both commands must have fitted and not fitted"


async def test_commits_are_carried_over_with_their_authors(mine: Person, repositories: Repositories) -> None:
    mine.commit({"long": LONG})
    base = mine.rev("main")
    branched(mine, "work", {"long": LONG.replace("line 3\n", "LINE 3\n")})
    mine.git("commit", "-q", "--allow-empty", "-m", "Nothing", "--author", "Bob <bob@example.org>")
    mine.write("new", "n\n")
    mine.git("add", "-A")
    mine.git("commit", "-q", "-m", "A file\n\nWith a reason.", "--author", "Bob <bob@example.org>")
    head = mine.rev("work")
    mine.git("checkout", "-q", "main")
    onto = mine.commit({"long": LONG.replace("line 30\n", "LINE 30\n")})
    store = await opened(repositories, mine)
    commits = await commits_between(store, base, head)
    hand = Hand(author="Bot <bot@example.org>")
    carried = await replay(store, commits, onto, hand)
    assert carried == await replay(store, commits, onto, hand)
    assert carried.merged is None
    said = (await store.run("log", "--format=%an|%cn|%s|%ad", "--date=raw", f"{onto}..{carried.head}")).decode()
    assert said == "Bob|Bot|A file|1700000000 +0100\nAda|Bot|work changes long|1700000000 +0100\n"
    assert await store.contains(carried.head, onto)
    assert not await store.contains(onto, carried.head)
    mine.git("checkout", "-q", "main")
    conflicting = mine.commit({"long": LONG.replace("line 3\n", "Three\n")})
    store = await opened(repositories, mine)
    stopped = await replay(store, commits, conflicting, hand)
    assert (stopped.head, stopped.stopped_at) == (conflicting, commits[0])
    assert stopped.merged is not None
    assert stopped.merged.paths == ("long",)


@pytest.mark.parametrize("with_merge", [False, True])
async def test_a_change_is_carried_elsewhere_in_every_form(
    mine: Person, at: At, repositories: Repositories, ground: Path, with_merge: bool
) -> None:
    base = mine.commit({"long": LONG, "mode": "m\n"})
    mine.git("checkout", "-q", "-B", "work")
    (mine.path / "mode").chmod(0o755)
    (mine.path / "binary").write_bytes(bytes(range(256)))
    head = mine.commit({"long": LONG.replace("line 3\n", "LINE 3\n")})
    if with_merge:
        side = branched(mine, "side", {"side": "s\n"}, base)
        mine.git("checkout", "-q", "work")
        mine.git("merge", "-q", "--no-edit", side)
        head = mine.rev("work")
    tree = mine.rev("work^{tree}")
    store = await opened(repositories, mine)
    forms = {form: await exported(store, base, head, "pullwright/abc", form) for form in ("patch", "mbox", "bundle")}
    mine.git("clone", "-q", "--no-local", "-b", "main", ".", str(ground / "clone"))
    clone = at(ground / "clone")
    clone.git("apply", "--index", "-", stdin=forms["patch"])
    assert clone.git("write-tree").decode().strip() == tree
    clone.git("reset", "-q", "--hard")
    clone.git("am", "-q", stdin=forms["mbox"])
    assert clone.rev("HEAD^{tree}") == tree
    clone.git("reset", "-q", "--hard", base)
    (ground / "bundle").write_bytes(forms["bundle"])
    clone.git("bundle", "verify", str(ground / "bundle"))
    clone.git("fetch", "-q", str(ground / "bundle"), "pullwright/abc:taken")
    assert clone.rev("taken") == head
    mine.git("clone", "-q", "--no-local", "--single-branch", "-b", "main", ".", str(ground / "another"))
    another = at(ground / "another")
    theirs = await opened(repositories, another)
    assert await theirs.commit_at(head) is None
    assert await take_bundle(theirs, forms["bundle"]) == (base, head)
    ref = await repositories.locate(str(ground / "another"), ground)
    (ground / "another" / "long").write_text(LONG.replace("line 9\n", "LINE 9\n"))
    applied = await repositories.apply_to_working_tree(ref, base, head)
    assert set(applied.paths) == {"binary", "long", "mode", *(["side"] if with_merge else [])}
    assert "LINE 3\n" in (text := (ground / "another" / "long").read_text())
    assert "LINE 9\n" in text


async def test_a_bundle_that_does_not_fit_is_told_and_left_out(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    base = mine.commit({"long": LONG})
    mine.git("clone", "-q", "--no-local", ".", str(ground / "behind"))
    late = mine.commit({"long": LONG.replace("line 1\n", "one\n")})
    head = mine.commit({"long": LONG.replace("line 3\n", "three\n")})
    store = await opened(repositories, mine)
    bundle = await exported(store, late, head, "pullwright/abc", "bundle")
    behind = await opened(repositories, at(ground / "behind"))
    with pytest.raises(UsageError, match="git fetch"):
        await take_bundle(behind, bundle)
    with pytest.raises(RepositoryError, match="is none of one change"):
        await take_bundle(behind, b"<html>")
    broken = bundle.replace(late.encode(), base.encode())  # made on another commit than it says
    with pytest.raises(RepositoryError, match="was not taken in"):
        await take_bundle(behind, broken)
    assert await behind.commit_at(head) is None
