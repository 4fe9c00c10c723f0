"""The local forge: one branch and one pull request, written as the repository's owner, whatever happens in between."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.delivery import Delivery, Stage
from pullwright.domain.errors import BranchTaken, ForgeError
from pullwright.domain.task import PullRequest
from pullwright.forge.base import Forge, Proposal
from pullwright.forge.delivery import BEGIN, END, deliver
from pullwright.forge.local import LocalForge
from pullwright.repos.mirror import Repositories, Store

Person = Any  # conftest.Person
At = Callable[[Path], Any]
BRANCH = "pullwright/abc"


@dataclass
class Memory:
    """What the record remembers of deliveries and pull requests, without a database."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)
    requests: dict[tuple[str, str], PullRequest] = field(default_factory=dict)
    said: dict[int, tuple[str, str]] = field(default_factory=dict)
    comments: dict[tuple[int, str], str] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)

    async def delivery(self, task_id: str) -> Delivery | None:
        return self.deliveries.get(task_id)

    async def save_delivery(self, delivery: Delivery) -> None:
        self.deliveries[delivery.task] = delivery

    async def local_pull_request(self, repository_key: str, branch: str) -> PullRequest | None:
        return self.requests.get((repository_key, branch))

    async def save_local_pull_request(
        self, repository_key: str, pull_request: PullRequest, title: str, body: str
    ) -> PullRequest:
        key = (repository_key, pull_request.branch)
        number = self.requests[key].number if key in self.requests else len(self.requests) + 1
        self.requests[key] = pull_request.model_copy(update={"number": number})
        self.said[number] = (title, body)
        return self.requests[key]

    async def local_pull_request_by_number(self, repository_key: str, number: int) -> tuple[PullRequest, str] | None:
        found = [one for (key, _), one in self.requests.items() if key == repository_key and one.number == number]
        return (found[0], "closed" if number in self.closed else "open") if found else None

    async def open_local_pull_requests(self, repository_key: str, most: int) -> list[tuple[PullRequest, str]]:
        ours = [one for (key, _), one in self.requests.items() if key == repository_key]
        known = [(one, self.said[one.number][0]) for one in ours if one.number not in self.closed]
        return sorted(known, key=lambda one: -one[0].number)[:most]

    async def close_local_pull_request(self, repository_key: str, number: int) -> None:
        self.closed.add(number)

    async def save_local_comment(self, repository_key: str, number: int, marker: str, text: str) -> None:
        self.comments[number, marker] = text


@dataclass
class Place:
    """A person's repository with a change for it in our store."""

    person: Person
    store: Store
    forge: LocalForge
    memory: Memory
    proposal: Proposal

    async def another(self, text: str, parent: str | None = None) -> Proposal:
        """The same pull request with another commit, as a follow-up makes it."""
        parent = parent or self.person.rev("main")
        return replace(self.proposal, commit=await make_commit(self.store, parent, text))


async def make_commit(store: Store, parent: str, text: str) -> str:
    blob = (await store.run("hash-object", "-w", "--stdin", stdin=text.encode())).decode().strip()
    listed = await store.run("ls-tree", parent)
    tree = await store.run("mktree", stdin=listed + f"100644 blob {blob}\tchange\n".encode())
    return await store.commit(tree.decode().strip(), parent, f"Say {text}")


async def place_at(repositories: Repositories, person: Person, location: Path | None = None) -> Place:
    ref = await repositories.locate(str(location or person.path), Path("/"))
    store = await repositories.fetch(ref)
    commit = await make_commit(store, await store.resolve(None), "one")
    memory = Memory()
    proposal = Proposal(
        task="abc", branch=BRANCH, base="main", commit=commit, title="Title", body="Body", draft=False, attempt="abc-1"
    )
    return Place(person, store, LocalForge(memory, repositories, ref), memory, proposal)


@pytest.fixture
async def place(person: Person, repositories: Repositories) -> Place:
    return await place_at(repositories, person)


async def test_a_delivery_is_a_branch_and_a_record(place: Place) -> None:
    request = await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert request == PullRequest(
        forge="local",
        number=1,
        url=f"file://{place.person.path}#{BRANCH}",
        branch=BRANCH,
        head=place.proposal.commit,
        draft=False,
    )
    assert place.person.rev(BRANCH) == place.proposal.commit
    assert place.person.git("show", f"{BRANCH}:change") == b"one"
    place.person.git("fsck", "--strict", "--connectivity-only")
    assert place.person.rev("HEAD") == place.person.rev("main")
    assert place.memory.deliveries["abc"].stage is Stage.POSTED
    assert place.memory.deliveries["abc"].attempt == "abc-1"
    assert place.memory.said == {1: ("Title", f"{BEGIN}\nBody\n{END}\n")}


async def test_what_is_written_belongs_to_the_repositorys_owner(place: Place) -> None:
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    for path in (place.person.path / ".git").rglob("*"):
        assert path.stat().st_uid == place.person.uid, path
    place.person.git("switch", "-q", BRANCH)
    place.person.commit({"more": "more\n"})


async def test_a_second_delivery_changes_nothing(place: Place) -> None:
    first = await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert await deliver(place.memory, place.forge, place.store.path, place.proposal) == first
    place.memory.deliveries.clear()
    assert await deliver(place.memory, place.forge, place.store.path, place.proposal) == first
    assert len(place.memory.requests) == 1
    assert place.person.git("branch", "--list", "pullwright/*").decode().split() == [BRANCH]


async def test_a_follow_up_moves_the_same_branch(place: Place) -> None:
    first = await deliver(place.memory, place.forge, place.store.path, place.proposal)
    later = replace(await place.another("two"), draft=True, title="Better")
    second = await deliver(place.memory, place.forge, place.store.path, later)
    assert (second.number, second.head, second.draft) == (first.number, later.commit, True)
    assert place.person.rev(BRANCH) == later.commit
    assert place.memory.said[1][0] == "Better"


class Killed(Exception):
    """The process ends here."""


@dataclass
class Fragile:
    """Ports that end the process before or after their n-th call."""

    inner: Any
    calls: list[str]
    strike: int

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.inner, name)
        if not asyncio.iscoroutinefunction(verb):
            return verb

        async def struck(*arguments: Any) -> Any:
            self.point(f"before {name}")
            answer = await verb(*arguments)
            self.point(f"after {name}")
            return answer

        return struck

    def point(self, what: str) -> None:
        self.calls.append(what)
        if len(self.calls) == self.strike:
            raise Killed(what)


async def test_killed_at_any_point_there_is_one_branch_and_one_record(place: Place) -> None:
    calls: list[str] = []
    for strike in range(1, 100):
        calls.clear()
        place.memory.deliveries.clear()
        place.memory.requests.clear()
        place.person.git("update-ref", "-d", f"refs/heads/{BRANCH}")
        outbox: Any = Fragile(place.memory, calls, strike)
        forge: Any = Fragile(place.forge, calls, strike)
        try:
            await deliver(outbox, forge, place.store.path, place.proposal)
        except Killed:
            await deliver(place.memory, place.forge, place.store.path, place.proposal)
        else:
            break
        assert place.person.rev(BRANCH) == place.proposal.commit
        assert [request.number for request in place.memory.requests.values()] == [1]
    assert calls.count("after push") == 1
    assert strike == len(calls) + 1 > 10


async def test_two_deliveries_at_once_make_one(place: Place) -> None:
    await asyncio.gather(
        *(deliver(place.memory, place.forge, place.store.path, place.proposal) for _ in range(3)),
        return_exceptions=True,
    )
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert place.person.rev(BRANCH) == place.proposal.commit
    assert len(place.memory.requests) == 1


async def test_somebody_elses_branch_is_left_as_it_is_and_ours_gets_another_name(place: Place) -> None:
    place.person.git("branch", BRANCH, "v1")
    place.person.git("branch", f"{BRANCH}-2", "v1")
    request = await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert place.person.rev(BRANCH) == place.person.rev(f"{BRANCH}-2") == place.person.rev("v1")
    assert request.branch == f"{BRANCH}-3"
    assert place.person.rev(f"{BRANCH}-3") == place.proposal.commit
    # A follow-up stays there, whatever has become free since.
    place.person.git("branch", "-D", BRANCH)
    later = await place.another("two")
    assert (await deliver(place.memory, place.forge, place.store.path, later)).branch == f"{BRANCH}-3"
    assert len(place.memory.requests) == 1


async def test_where_no_name_is_free_the_change_stays_in_the_outbox(place: Place) -> None:
    for number in range(1, 10):
        place.person.git("branch", BRANCH if number == 1 else f"{BRANCH}-{number}", "v1")
    with pytest.raises(BranchTaken, match="left as it is"):
        await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert place.memory.requests == {}
    assert place.memory.deliveries["abc"].stage is Stage.PLANNED
    place.person.git("branch", "-m", f"{BRANCH}-9", "mine")
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert place.person.rev(f"{BRANCH}-9") == place.proposal.commit


async def test_what_a_person_put_onto_our_branch_is_left_as_it_is(place: Place) -> None:
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    place.person.git("switch", "-q", BRANCH)
    theirs = place.person.commit({"more": "more\n"})
    place.person.git("switch", "-q", "main")
    with pytest.raises(ForgeError, match="did not put it"):
        await deliver(place.memory, place.forge, place.store.path, await place.another("two"))
    assert place.person.rev(BRANCH) == theirs


async def test_a_branch_that_is_checked_out_is_not_moved_under_its_files(place: Place, ground: Path) -> None:
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    os.chown(ground, place.person.uid, place.person.uid)
    place.person.git("config", "receive.denyCurrentBranch", "updateInstead")
    later = await place.another("two")
    place.person.git("worktree", "add", "-q", str(ground / "linked"), BRANCH)
    with pytest.raises(ForgeError, match="checked out there"):
        await deliver(place.memory, place.forge, place.store.path, later)
    place.person.git("worktree", "remove", str(ground / "linked"))
    place.person.git("switch", "-q", BRANCH)
    with pytest.raises(ForgeError, match=r"checked out there.*git fetch"):
        await deliver(place.memory, place.forge, place.store.path, later)
    assert place.person.rev(BRANCH) == place.proposal.commit
    assert place.person.git("status", "--porcelain") == b""
    place.person.git("switch", "-q", "main")
    await deliver(place.memory, place.forge, place.store.path, later)
    assert place.person.rev(BRANCH) == later.commit


async def test_no_hook_and_no_program_of_the_repository_is_started(place: Place, ground: Path) -> None:
    canary, trap = ground / "canary", ground / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {canary}\nexit 1\n")
    trap.chmod(0o755)
    ground.chmod(0o777)
    hooks = ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive")
    for hook in (*hooks, "push-to-checkout", "pre-push", "post-checkout"):
        place.person.write(f".git/hooks/{hook}", trap.read_bytes(), 0o755)
    for key in ("core.fsmonitor", "core.alternateRefsCommand", "gpg.program", "core.sshCommand"):
        place.person.git("config", key, str(trap))
    place.person.git("config", "core.hooksPath", str(place.person.path / ".git" / "hooks"))
    place.person.git("config", "receive.fsckObjects", "true")
    place.person.git("config", "receive.denyNonFastForwards", "true")
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    later = await place.another("two")
    await deliver(place.memory, place.forge, place.store.path, later)
    assert place.forge.name == "local"
    assert not canary.exists()
    assert place.person.rev(BRANCH) == later.commit


async def test_bare_linked_and_shallow_repositories(
    mine: Person, at: At, repositories: Repositories, ground: Path
) -> None:
    mine.git("clone", "-q", "--bare", ".", str(ground / "bare.git"))
    mine.git("worktree", "add", "-q", "-b", "linked", str(ground / "linked"))
    mine.git("clone", "-q", "--depth=1", f"file://{mine.path}", str(ground / "shallow"))
    for name in ("bare.git", "linked", "shallow"):
        person = at(ground / name)
        place = await place_at(repositories, person)
        await deliver(place.memory, place.forge, place.store.path, place.proposal)
        assert person.rev(BRANCH) == place.proposal.commit, name
        assert person.git("show", f"{BRANCH}:change") == b"one"


async def test_uncommitted_changes_that_were_taken_along_are_part_of_the_branch(
    mine: Person, repositories: Repositories
) -> None:
    place = await place_at(repositories, mine)
    mine.write("README", "not yet committed\n")
    taken = await place.store.take_changes(place.forge.repository)
    assert taken
    proposal = await place.another("two", taken)
    await deliver(place.memory, place.forge, place.store.path, proposal)
    assert mine.git("show", f"{BRANCH}:README") == b"not yet committed\n"
    assert mine.git("rev-list", "--count", f"main..{BRANCH}").strip() == b"2"


async def test_a_repository_that_cannot_be_written_loses_nothing(place: Place, at: At, ground: Path) -> None:
    if place.person.uid == 0:
        pytest.skip("root may write everywhere")
    git_dir = place.person.path / ".git"
    closed = [path for path in (git_dir, *git_dir.rglob("*")) if path.is_dir()]
    for path in closed:
        path.chmod(0o555)
    with pytest.raises(ForgeError, match="cannot be written") as raised:
        await deliver(place.memory, place.forge, place.store.path, place.proposal)
    for path in closed:
        path.chmod(0o755)
    line = str(raised.value).split("`")[1].split()
    assert line[:2] == ["git", "fetch"]
    (ground / "elsewhere").mkdir()
    elsewhere = at(ground / "elsewhere")
    elsewhere.git("init", "-q")
    elsewhere.git(*line[1:])
    assert elsewhere.rev("FETCH_HEAD") == place.proposal.commit
    await deliver(place.memory, place.forge, place.store.path, place.proposal)
    assert place.person.rev(BRANCH) == place.proposal.commit


async def test_a_repository_that_is_gone(place: Place, ground: Path) -> None:
    place.person.path.rename(ground / "moved")
    with pytest.raises(ForgeError, match="not there any more"):
        await deliver(place.memory, place.forge, place.store.path, place.proposal)


async def test_a_push_that_does_not_arrive_is_no_success(place: Place) -> None:
    @dataclass
    class Forgetful(LocalForge):
        async def push(self, store: Path, proposal: Proposal) -> None:
            return None

        async def open(self, proposal: Proposal) -> PullRequest:
            raise AssertionError("nothing is there to open a pull request for")

    forge: Forge = Forgetful(place.memory, place.forge.repositories, place.forge.repository)
    with pytest.raises(ForgeError, match="stands at nothing"):
        await deliver(place.memory, forge, place.store.path, place.proposal)
