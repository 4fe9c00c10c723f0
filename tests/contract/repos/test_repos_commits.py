"""Commits as they are asked for: who they are by, and signed with a key that git verifies."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.errors import ConfigurationError
from pullwright.repos.commits import Hand, Signing, check_signing, person_of, write_commit
from pullwright.repos.mirror import Repositories, Store

Person = Any  # conftest.Person
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def opened(repositories: Repositories, person: Person) -> Store:
    return await repositories.fetch(await repositories.locate(str(person.path), Path("/")))


async def test_the_same_commit_each_time(mine: Person, repositories: Repositories) -> None:
    store = await opened(repositories, mine)
    base = mine.rev("main")
    hand = Hand(author="Ada <ada@example.org>", committer="Bot <bot@example.org>")
    made = await write_commit(store, await store.tree(base), (base,), "Why", hand, WHEN)
    assert await write_commit(store, await store.tree(base), (base,), "Why", hand, WHEN) == made
    shown = await store.run("show", "-s", "--format=%an %ae|%cn %ce|%aI|%P", made)
    assert shown.decode().strip() == f"Ada ada@example.org|Bot bot@example.org|2026-01-02T03:04:05+00:00|{base}"


def a_key(path: Path, kind: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True, timeout=60)
    return path


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])  # ecdsa signs otherwise each time
async def test_signed_with_an_ssh_key(mine: Person, repositories: Repositories, ground: Path, kind: str) -> None:
    key = a_key(ground / "key", kind)
    store = await opened(repositories, mine)
    base = mine.rev("main")
    hand = Hand(author="Bot <bot@example.org>", signing=Signing(str(key)))
    made = await write_commit(store, await store.tree(base), (base,), "Signed", hand, WHEN)
    assert await write_commit(store, await store.tree(base), (base,), "Signed", hand, WHEN) == made
    allowed = ground / "allowed"
    allowed.write_text(f"bot@example.org {key.with_suffix('.pub').read_text()}")
    mine.git("fetch", "-q", str(store.path), made)
    settings = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}")
    mine.git(*settings, "verify-commit", made)
    other = await write_commit(store, await store.tree(base), (base,), "Other", Hand(), WHEN)
    mine.git("fetch", "-q", str(store.path), other)
    with pytest.raises(AssertionError):
        mine.git(*settings, "verify-commit", other)


async def test_a_key_that_cannot_sign_is_told_before_any_work(
    mine: Person, repositories: Repositories, ground: Path
) -> None:
    store = await opened(repositories, mine)
    (ground / "none").write_text("no key\n")
    with pytest.raises(ConfigurationError, match="PULLWRIGHT_SIGNING_KEY"):
        await check_signing(store, mine.rev("main"), Signing(str(ground / "none")))


async def test_a_person_is_who_their_git_says(person: Person, repositories: Repositories) -> None:
    ref = await repositories.locate(str(person.path), Path("/"))
    person.git("config", "user.name", "Ada Lovelace")
    person.git("config", "user.email", "")
    assert await person_of(ref) is None
    person.git("config", "user.email", "ada@example.org")
    assert await person_of(ref) == "Ada Lovelace <ada@example.org>"
