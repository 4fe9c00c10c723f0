"""Every forge with a change for it in a store of ours: local, a plain git server, and the far sides on loopback."""

import importlib.util
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pullwright.domain.delivery import Delivery
from pullwright.domain.forge import FORGE
from pullwright.forge.access import Access
from pullwright.forge.base import Forge, Proposal
from pullwright.forge.local import LocalForge
from pullwright.repos.mirror import Repositories, Store
from pullwright.settings import Settings
from pullwright.store.record import Record
from pullwright.testing.forges.gitea import Gitea
from pullwright.testing.forges.github import GitHub
from pullwright.testing.forges.gitlab import GitLab
from pullwright.testing.forges.side import FarSide, Person
from pullwright.testing.git_server import GitServer
from pullwright.testing.http_server import Reply, Request
from pullwright.wiring import Forges

BRANCH = "pullwright/abc"
REPOSITORY = "team/tool"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    **{f"GIT_{who}_{what}": "ada@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    **{f"GIT_{who}_DATE": "@1700000000 +0100" for who in ("AUTHOR", "COMMITTER")},
}


def openapi() -> Any:
    """The module beside this one: tests are no package."""
    spec = importlib.util.spec_from_file_location("openapi", Path(__file__).with_name("openapi.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def description() -> Any:
    """GitHub's description of itself."""
    module = openapi()
    try:
        return module.Description.read(module.fetched())
    except module.Unavailable as error:
        pytest.skip(str(error))


@dataclass
class Memory:
    """The outbox without a database."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)

    async def delivery(self, task_id: str) -> Delivery | None:
        return self.deliveries.get(task_id)

    async def save_delivery(self, delivery: Delivery) -> None:
        self.deliveries[delivery.task] = delivery


@dataclass
class Place:
    """A forge, its far side, and a change for it."""

    kind: str
    forge: Forge
    store: Store
    bare: Path  # the repository that the forge is about
    proposal: Proposal
    memory: Memory
    side: FarSide | None = None  # of a forge with pull requests
    git: GitServer | None = None  # of a forge over HTTP
    record: Record | None = None

    def far(self, *words: str) -> str:
        """Plain git in the forge's repository."""
        command = ["git", "-c", "safe.directory=*", "-C", str(self.bare), *words]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tip(self, branch: str) -> str | None:
        """Where a branch stands on the forge."""
        found = self.far("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        return found or None

    def branches(self) -> list[str]:
        """Every branch but `main`."""
        listed = self.far("for-each-ref", "--format=%(refname:short)", "refs/heads/").splitlines()
        return [name for name in listed if name != "main"]

    def commit_there(self, branch: str, text: str) -> str:
        """A person's commit on top of a branch of the forge."""
        tree = self.far("rev-parse", f"{branch}^{{tree}}")
        made = self.far("commit-tree", "-p", branch, "-m", text, tree)
        self.far("update-ref", f"refs/heads/{branch}", made)
        return made

    async def another(self, text: str, parent: str | None = None) -> Proposal:
        """The same pull request with another commit, as a follow-up makes it."""
        commit = await make_commit(self.store, parent or await self.store.resolve(None), text)
        return replace(self.proposal, commit=commit)


async def make_commit(store: Store, parent: str, text: str) -> str:
    blob = (await store.run("hash-object", "-w", "--stdin", stdin=text.encode())).decode().strip()
    listed = (await store.run("ls-tree", parent)).splitlines(keepends=True)
    kept = b"".join(line for line in listed if not line.endswith(b"\tchange\n"))
    tree = await store.run("mktree", stdin=kept + f"100644 blob {blob}\tchange\n".encode())
    return await store.commit(tree.decode().strip(), parent, f"Say {text}")


def filled(path: Path) -> None:
    """One commit on `main` of a bare repository."""

    def git(*words: str, data: str = "") -> str:
        command = ["git", "-c", "safe.directory=*", "-C", str(path), *words]
        done = subprocess.run(command, env=ENVIRONMENT, input=data, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    blob = git("hash-object", "-w", "--stdin", data="hello\n")
    tree = git("mktree", data=f"100644 blob {blob}\tREADME\n")
    git("update-ref", "refs/heads/main", git("commit-tree", "-m", "first", tree))


FAR_SIDES: dict[str, Callable[[Path], FarSide]] = {
    "github": lambda root: GitHub(root),
    "gitlab": lambda root: GitLab(root),
    "gitea": lambda root: Gitea(root),
}
KINDS = ("local", "git", *FAR_SIDES)


@pytest.fixture
async def record(tmp_path: Path) -> AsyncIterator[Record]:
    record = await Record.open(Settings.from_environment({"PULLWRIGHT_HOME": str(tmp_path / "home")}))
    yield record
    await record.close()


@pytest.fixture
async def place_at(
    tmp_path: Path, record: Record, request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[str], Any]]:
    """Makes the place of any kind; GitHub's requests are held against its description."""
    async with AsyncExitStack() as stack:

        async def made(kind: str) -> Place:
            far = tmp_path / "far"
            repositories = Repositories(tmp_path / "repos", group=None)
            side: FarSide | None = None
            git: GitServer | None = None
            entry: dict[str, str] = {}
            if kind in FAR_SIDES:
                side = await stack.enter_async_context(FAR_SIDES[kind](far))
                git = side.git
                entry = {"kind": kind, "host": f"{side.host}:{side.port}", "api": side.api, "token_variable": "T"}
                location = f"{side.url}/{REPOSITORY}.git"
                if kind == "github":
                    side.watch = watching(request.getfixturevalue("description"), side, stack)
            elif kind == "git":
                git = await stack.enter_async_context(GitServer(far))
                location = f"{git.url}/{REPOSITORY}.git"
            else:
                git = GitServer(far)
                git.prepare()
                location = str(git.path(REPOSITORY))
            filled(await git.create(REPOSITORY))
            ref = await repositories.locate(location, tmp_path)
            entries = (FORGE.validate_python(entry),) if entry else ()
            forges = Forges(record, repositories, Access({"T": "t-owner"}), entries)
            store = await repositories.fetch(ref)
            commit = await make_commit(store, await store.resolve(None), "one")
            proposal = Proposal(
                task="abc",
                branch=BRANCH,
                base="main",
                commit=commit,
                title="Title",
                body="Body",
                draft=False,
                attempt="abc-1",
                receipt="## Receipt: fixed",
            )
            forge = await forges.of(ref)
            assert isinstance(forge, LocalForge) == (kind == "local")
            return Place(kind, forge, store, git.path(REPOSITORY), proposal, Memory(), side, git, record)

        yield made


def watching(description: Any, side: FarSide, stack: AsyncExitStack) -> Callable[[Request, Reply | None], None]:
    """Whatever leaves GitHub's description fails the test, at its end."""
    found: list[str] = []

    def watch(request: Request, reply: Reply | None) -> None:
        if request.path.endswith("/graphql"):
            return  # not part of the REST description; the far side knows only the queries that GitHub does
        path = request.path.removeprefix(side.prefix)
        status, answer = (reply.status, reply.body) if reply else (None, b"")
        found.extend(description.faults(request.method, path, request.query, request.body, status, answer))

    def end() -> None:
        assert found == []

    stack.callback(end)
    return watch


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest, place_at: Callable[[str], Any]) -> Place:
    """Each forge."""
    return await place_at(request.param)  # type: ignore[no-any-return]


@pytest.fixture(params=list(FAR_SIDES))
async def hosted(request: pytest.FixtureRequest, place_at: Callable[[str], Any]) -> Place:
    """Each forge that has pull requests of its own."""
    return await place_at(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def people() -> dict[str, Person]:
    """Who may write, who may only read, and who came by."""
    return {
        "writer": Person("wanda", "t-wanda", "write"),
        "reader": Person("rita", "t-rita", "read"),
        "stranger": Person("sam", "t-sam", "none"),
    }
