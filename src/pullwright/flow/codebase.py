"""A repository's code index: opened for a person, told what a check recorded."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pullwright.code.index.codebase import Codebase
from pullwright.code.index.indexes import Building, Indexes
from pullwright.domain.errors import MachineError, RepositoryError, SandboxError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos.change import change_between
from pullwright.repos.mirror import Repositories, Store
from pullwright.review import coverage
from pullwright.sandbox.base import ExecRequest, Sandbox

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """Which tree a person wants to look at."""

    repository: str
    cwd: Path
    base: str | None = None  # None: the working tree as it is


@dataclass(frozen=True)
class Opened:
    """A repository's tree with its index."""

    repository: RepositoryRef
    store: Store
    commit: str
    with_changes: bool  # the working tree as it is, uncommitted changes included
    codebase: Codebase


async def open_codebase(
    repositories: Repositories, indexes: Indexes, wanted: Wanted, say: Say = lambda _: None
) -> Opened:
    """The tree that a person wants to look at, its files read where they are new."""
    reference = await repositories.locate(wanted.repository, wanted.cwd)
    store = await repositories.fetch(reference, say)
    taken = await store.take_changes(reference) if wanted.base is None else None
    commit = taken or await store.resolve(wanted.base)

    def tell(building: Building) -> None:
        left = f", about {building.seconds_left:.0f} s left" if building.seconds_left is not None else ""
        say(f"reading files for the index: {building.done:,} of {building.total:,}{left}")

    codebase = await indexes.at(store, commit, tell)
    return Opened(reference, store, commit, taken is not None, codebase)


async def changed_paths(opened: Opened, since: str | None) -> list[str]:
    """The paths that differ between `since` (without it HEAD, or HEAD's parent where nothing is uncommitted) and this.

    Raises `UsageError` where there is nothing to compare with.
    """
    store = opened.store
    if since is not None:
        base = await store.resolve(since)
    else:
        parent = await store.commit_at(f"{opened.commit}^")
        if parent is None:
            raise UsageError(f"{opened.commit[:12]} is the first commit. Name the paths, or a commit with --since.")
        base = parent
    return [file.path for file in (await change_between(store, base, opened.commit)).files]


async def keep_coverage(indexes: Indexes, store: Store, commit: str, sandbox: Sandbox) -> None:
    """Keep which tests ran what, where the check that has just ended in this machine recorded it."""
    with contextlib.suppress(SandboxError, RepositoryError, MachineError):  # a help, never a reason to fail
        found = await sandbox.run(ExecRequest(argv=("test", "-s", ".coverage"), timeout=10.0))
        if found.exit_code != 0:
            return
        files = await store.files(commit)
        pairs = await coverage.recorded(sandbox, files.keys())
        if pairs:
            rows = [(test, path, files[path].id) for test, path in pairs]
            await indexes.keep_coverage(store, rows)
