"""A store is brought up to date from its source, whoever owns it, and says what it holds."""

from pathlib import Path

from pullwright.repos.mirror import Repositories


async def test_fetch_brings_branches_tags_and_head(person, repositories: Repositories) -> None:
    ref = await repositories.locate(str(person.path / "src"), Path("/"))
    assert ref.location == str(person.path)
    assert ref.name == "proj"
    store = await repositories.fetch(ref)
    head = person.rev("HEAD")
    assert await store.resolve(None) == head
    assert await store.resolve("main") == head
    assert await store.resolve("main~1") == person.rev("v1")
    assert await store.resolve("v1") == person.rev("v1")
    assert await store.resolve(head[:10]) == head
    assert await store.branch_of(None) == "main"
    assert await store.read(head, "src/a.py") == b"a = 1\n"
    assert set(await store.files(head)) == {"README", "src/a.py", "src/b.py"}
