"""Where a store is fetched from, and as whom; a transfer that breaks off goes on from what has arrived."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pullwright.domain.errors import HostileObject, PullwrightError, RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import address, git, standing
from pullwright.repos.bare import SOURCE, BareStore
from pullwright.repos.credentials import Tokens
from pullwright.repos.progress import Progress, parse, worded

FETCH_SECONDS = 3600.0
PARTIAL_OBJECTS = 2_000_000  # a first transfer of more objects is taken without the contents of files
MOST_BYTES = 64 * 1024**3  # of one transfer
STEPS = (1, 100, 1_000, 10_000, 100_000)  # commits deep: how a transfer that keeps breaking is cut up
TRIES = 4  # of one step
PROMISOR = "source"  # what a partial store calls its source

# Faults that old, honest histories are full of (psf/requests has a bad time zone); none of them can do harm here.
_HISTORIC = (
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "multipleAuthors",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
)
_FETCH_SETTINGS = {
    **{f"fetch.fsck.{fault}": "ignore" for fault in _HISTORIC},
    "fetch.writeCommitGraph": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
}
_REFSPECS = (f"+refs/heads/*:{SOURCE}/heads/*", f"+refs/tags/*:{SOURCE}/tags/*")
_HEAD = f"+HEAD:{SOURCE}/HEAD"
_FETCH = ("fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")

# What git says where the line went dead on the way, not where it was refused.
_BROKEN = re.compile(
    r"early EOF|unexpected disconnect|RPC failed|hung up unexpectedly|Connection (?:reset|timed out|closed)|"
    r"transfer closed|Operation too slow|unexpected eof|bytes of (?:body|length header)|Broken pipe|invalid index-pack",
    re.IGNORECASE,
)


_FAULT = re.compile(
    r"^(?:remote: )?(?:error|fatal): (object [0-9a-f]{40}: .+|.*(?:is corrupt|bad object).*)$", re.MULTILINE
)


_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Broken(RepositoryError):
    """The transfer broke off on the way; trying again makes sense."""


class _TooMany(Exception):
    """More objects are coming than are wanted whole."""


@dataclass(frozen=True)
class Source:
    """Where a store is fetched from, and as whom."""

    ref: RepositoryRef
    upload_pack: str | None = None  # for a path: run as the repository's owner
    tokens: Tokens = field(default_factory=Tokens)
    partial_objects: int = PARTIAL_OBJECTS
    most_bytes: int = MOST_BYTES
    patience: float = 1.0  # seconds before a broken step is tried again; doubled each time

    @classmethod
    def of(cls, ref: RepositoryRef, tokens: Tokens) -> "Source":
        """The source of a reference. Raises `UsageError` where a path is gone."""
        upload_pack = None
        if address.is_path(ref):
            path = Path(ref.location)
            if not path.is_dir():
                raise UsageError(f"{ref.location} is not there any more. Give the path of a git repository, or a URL.")
            upload_pack = git.as_owner(git.owner_of(path), "upload-pack")
        return cls(ref, upload_pack, tokens)

    def call(self, store: BareStore, variables: Mapping[str, str] | None = None) -> git.Call:
        """How git reaches the source from the store: with the credentials of who runs the platform."""
        remote = self.upload_pack is None
        settings = dict(_FETCH_SETTINGS)
        if standing.read(store.path).partial:
            # Only here does git know that objects may be missing, and where they are had: anywhere else it would ask.
            settings[f"remote.{PROMISOR}.url"] = self.ref.location
            settings[f"remote.{PROMISOR}.promisor"] = "true"
            settings[f"remote.{PROMISOR}.partialCloneFilter"] = "blob:none"
        return git.Call(
            directory=store.path,
            git_dir=store.path,
            umask=store.umask,
            timeout=FETCH_SECONDS,
            settings=settings,
            variables={**(self.tokens.variables(self.ref.location) if remote else {}), **(variables or {})},
            personal=remote,
        )

    def _program(self) -> list[str]:
        return [f"--upload-pack={self.upload_pack}"] if self.upload_pack else []

    async def advertised(self, store: BareStore) -> tuple[str | None, str | None, dict[str, str]]:
        """HEAD's commit, HEAD's branch, and what each of the refs that we fetch stands at."""
        command = ("ls-remote", "--symref", *self._program(), "--", self.ref.location)
        answer = await git.attempt(self.call(store), *command)
        self.check(answer, command)
        head = branch = None
        refs: dict[str, str] = {}
        for line in answer.out.decode("utf-8", "surrogateescape").splitlines():
            value, _, name = line.partition("\t")
            if name == "HEAD" and value.startswith("ref: "):
                branch = value.removeprefix("ref: ").removeprefix("refs/heads/")
            elif name == "HEAD":
                head = refs["HEAD"] = value
            elif name.startswith(("refs/heads/", "refs/tags/")) and not name.endswith("^{}"):
                refs[name.removeprefix("refs/")] = value
        return head, branch, refs

    async def fetch(self, store: BareStore, *, with_head: bool, on_progress: Callable[[str], None]) -> None:
        """Everything that the source holds, in one transfer, or in steps where that one breaks.

        A repository of very many objects is taken without the contents of its files, if its server can do that.
        """
        first = standing.read(store.path).depth is not None or not await store.branches()
        if not first or self.upload_pack is not None or not with_head:
            await self._patiently(store, ("--prune",), self._everything(with_head), on_progress)
            return
        if standing.read(store.path).depth is None:
            if self.partial_objects == 0:
                standing.write(store.path, standing.read(store.path).model_copy(update={"partial": True}))
                await self._patiently(store, ("--prune",), self._everything(with_head), on_progress)
                return
            try:
                await self._once(store, ("--prune",), self._everything(with_head), on_progress, most=True)
                return
            except _TooMany:
                standing.write(store.path, standing.read(store.path).model_copy(update={"partial": True}))
                on_progress(f"{self.ref.name} is huge: the contents of its files are fetched as they are needed")
                await self._patiently(store, ("--prune",), self._everything(with_head), on_progress)
                return
            except Broken:
                on_progress("the transfer broke off; going on in smaller steps")
                standing.write(store.path, standing.read(store.path).model_copy(update={"depth": 0}))
        await self._in_steps(store, on_progress)

    async def fetch_commit(self, store: BareStore, commit: str, name: str, on_progress: Callable[[str], None]) -> None:
        """One commit by its id, kept under the ref `name`."""
        await self._patiently(store, (), (f"+{commit}:{name}",), on_progress)

    async def fetch_commits(self, store: BareStore, refspecs: Collection[str]) -> None:
        """Commits by their ids, each kept under a ref, in one transfer that is not tried again."""
        await self._once(store, (), tuple(refspecs), lambda _: None)

    async def fetch_objects(
        self, store: BareStore, objects: Collection[str], on_progress: Callable[[str], None]
    ) -> None:
        """Objects by their ids, in one transfer: how git itself completes a partial clone."""
        command = (*_FETCH, "--filter=blob:none", "--progress", "--stdin", PROMISOR)
        call = self.call(store)
        call = replace(call, settings={**call.settings, "fetch.negotiationAlgorithm": "noop"})
        listed = "".join(f"{name}\n" for name in objects).encode()
        for number in range(1, TRIES + 1):
            try:
                listen = worded(self.ref.name, on_progress)
                self.check(await git.attempt(call, *command, stdin=listed, on_line=listen), command)
                return
            except Broken:
                if number == TRIES:
                    raise
                await asyncio.sleep(self.patience * 2 ** (number - 1))

    async def _in_steps(self, store: BareStore, on_progress: Callable[[str], None]) -> None:
        """A history that deepens step by step; each step that arrives is kept, also when this process ends."""
        for depth in STEPS:
            now = standing.read(store.path)
            if depth <= (now.depth or 0):
                continue
            await self._patiently(store, (f"--depth={depth}",), (_HEAD,), on_progress)
            standing.write(store.path, now.model_copy(update={"depth": depth}))
            if not (store.path / "shallow").exists():
                break
        if (store.path / "shallow").exists():
            await self._patiently(store, ("--unshallow",), (_HEAD,), on_progress)
        await self._patiently(store, ("--prune",), self._everything(with_head=True), on_progress)
        standing.write(store.path, standing.read(store.path).model_copy(update={"depth": None}))

    def _everything(self, with_head: bool) -> tuple[str, ...]:
        return (*_REFSPECS, *([_HEAD] if with_head else []))

    async def _patiently(
        self,
        store: BareStore,
        options: tuple[str, ...],
        refspecs: tuple[str, ...],
        on_progress: Callable[[str], None],
    ) -> None:
        """One transfer, tried again where it breaks off."""
        for number in range(1, TRIES + 1):
            try:
                await self._once(store, options, refspecs, on_progress)
                return
            except Broken as error:
                if number == TRIES:
                    depth = standing.read(store.path).depth
                    kept = f"the newest {depth} commits of its history are kept and" if depth else "what there was is"
                    raise RepositoryError(
                        f"The transfer of {self.ref.location} broke off {TRIES} times: {error} "
                        f"Try again: {kept} built on."
                    ) from error
                on_progress(f"the transfer broke off; try {number + 1} of {TRIES}")
                await asyncio.sleep(self.patience * 2 ** (number - 1))

    async def _once(
        self,
        store: BareStore,
        options: tuple[str, ...],
        refspecs: tuple[str, ...],
        on_progress: Callable[[str], None],
        *,
        most: bool = False,
    ) -> None:
        partial = standing.read(store.path).partial
        where = [PROMISOR] if partial else ["--", self.ref.location]
        if partial:
            options = (*options, "--filter=blob:none")
        elif "--prune" in options:
            options = (*options, "--update-shallow")
        tell = worded(self.ref.name, on_progress)

        def listen(line: str) -> None:
            progress = parse(line)
            if progress and progress.bytes() > self.most_bytes:
                raise RepositoryError(
                    f"{self.ref.location} sends more than the {self.most_bytes} bytes that one transfer may have. "
                    "It was stopped, and nothing of it was taken in."
                )
            if most and progress and _is_too_much(progress, self.partial_objects):
                raise _TooMany
            tell(line)

        command = (*_FETCH, *options, "--progress", *self._program(), *where, *refspecs)
        self.check(await git.attempt(self.call(store), *command, on_line=listen), command)

    def check(self, answer: git.Finished, command: tuple[str, ...]) -> None:
        """Raise what a failed transfer stands for: `Broken` where it broke off on the way."""
        # Half of it is the far side's own words, which may try to steer a terminal.
        said = _CONTROL.sub("?", answer.error)
        answer = replace(answer, error=said)
        if "mismatched algorithms" in said:
            raise UsageError(
                f"{self.ref.name} uses SHA-256 object names; only SHA-1 repositories are supported. "
                "Work on a clone that was converted to SHA-1."
            )
        if answer.code != 0 and (faults := _FAULT.findall(said)):
            some = "; ".join(dict.fromkeys(faults[:3]))
            raise HostileObject(
                f"{self.ref.location} holds objects that git refuses, so nothing of it was taken in: {some}. "
                "`git fsck` there names them all."
            )
        if answer.code != 0 and "lazy fetching disabled" in said:
            raise RepositoryError(
                f"{self.ref.location} is a partial clone and lacks objects. Complete it with `git fetch --refetch "
                "--filter=blob:limit=100g`, or give the URL it was cloned from."
            )
        if answer.code != 0 and address.is_path(self.ref) is False:
            words = (line.strip() for line in said.splitlines() if line.strip() and parse(line.strip()) is None)
            said = "; ".join(words).rstrip(".")
            kind: type[PullwrightError] = Broken if _BROKEN.search(said) else RepositoryError
            raise kind(
                f"{self.ref.location} could not be fetched: {said}. Try `git ls-remote {self.ref.location}` "
                "as the same user: an address, a credential or the network is wrong."
            )
        git.check(answer, command)


def _is_too_much(progress: Progress, most: int) -> bool:
    return progress.receiving and progress.total is not None and progress.total > most
