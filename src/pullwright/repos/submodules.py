"""A commit's submodules: which repositories they are, checked, and each fetched into a store of its own.

`.gitmodules` is a file of the repository's, so it is read with suspicion: a URL may be https or ssh, or relative to the
parent's; plain http only where the parent's is; a path on this machine only where the parent is one, too, and of the
same owner. Nothing is ever cloned by `git submodule`.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from pullwright.domain.environment import Module
from pullwright.domain.errors import DiskFull, PullwrightError, RepositoryError, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import address, git
from pullwright.repos.bare import BareStore
from pullwright.repos.mirror import Repositories
from pullwright.repos.names import path_text

MOST_MODULES = 200  # of one commit, those inside others too
MOST_DEEP = 8

_MOST_TEXT = 4 * 1024 * 1024  # bytes of `.gitmodules`

_KEY = re.compile(rb"submodule\.(.+)\.(path|url)", re.DOTALL | re.IGNORECASE)
_SCP = re.compile(r"(?P<host>(?:[^/@:\s]+@)?[^/@:\s]+):(?P<path>(?!//|:).+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Found:
    """The submodules of a commit, and what a person should know of them."""

    modules: list[Module] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


async def find(
    repositories: Repositories,
    ref: RepositoryRef,
    commit: str,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    sparse: tuple[str, ...] = (),
) -> Found:
    """The submodules of a commit, those inside others too, each with its commit in its own store.

    With `sparse`, only those in these directories. One that cannot be had is left out with a notice: its directory
    stays empty. Raises `DiskFull`.
    """
    found = Found()
    await _Search(repositories, found, on_progress, sparse).into(ref, commit, "", 1)
    return found


async def pinned(
    repositories: Repositories, ref: RepositoryRef, commit: str, known: tuple[Module, ...]
) -> tuple[Module, ...]:
    """The submodules of another commit or tree, of the repositories that are known already; nothing is fetched."""
    by_path = {module.path: module for module in known}
    modules: list[Module] = []
    open_places = [("", repositories.store(ref), commit)]
    while open_places:
        prefix, store, at = open_places.pop(0)
        for path, link in (await links(store, at)).items():
            module = by_path.get(prefix + path)
            if module is None:
                continue
            inner = repositories.store(module.repository)
            if await inner.commit_at(link) is None:
                continue
            modules.append(module.model_copy(update={"commit": link}))
            open_places.append((f"{module.path}/", inner, link))
    return tuple(modules)


async def links(store: BareStore, commit: str) -> dict[str, str]:
    """The paths of a commit or tree that stand for commits of other repositories, with those."""
    entries = await store.entries(commit)
    return {path_text(name): entry.id for name, entry in entries.items() if entry.mode == "160000"}


@dataclass
class _Search:
    """One walk through submodules and their submodules."""

    repositories: Repositories
    found: Found
    on_progress: Callable[[str], None]
    sparse: tuple[str, ...] = ()

    async def into(self, ref: RepositoryRef, commit: str, prefix: str, deep: int) -> None:
        """The submodules of one repository's commit."""
        store = self.repositories.store(ref)
        there = await links(store, commit)
        if not there:
            return
        told = await self._told(store, commit, prefix)
        for path, link in there.items():
            if self.sparse and not self._wanted(prefix + path):
                continue
            if path not in told:
                self._leave_out(prefix + path, "no entry of .gitmodules names it")
                continue
            if len(self.found.modules) >= MOST_MODULES or deep > MOST_DEEP:
                self._leave_out(prefix + path, f"more than {MOST_MODULES} submodules, or more than {MOST_DEEP} deep")
                continue
            name, url = told[path]
            try:
                inner = await self._fetched(ref, name, url, link)
            except DiskFull:
                raise
            except PullwrightError as error:
                self._leave_out(prefix + path, str(error))
                continue
            lfs = await self.repositories.store(inner).has_lfs(link)
            self.found.modules.append(Module(path=prefix + path, name=name, commit=link, repository=inner, lfs=lfs))
            await self.into(inner, link, f"{prefix}{path}/", deep + 1)

    def _wanted(self, path: str) -> bool:
        return any(f"{path}/".startswith(f"{place}/") or place.startswith(f"{path}/") for place in self.sparse)

    def _leave_out(self, path: str, why: str) -> None:
        self.found.notices.append(f"the submodule {path} is left empty: {why}")

    async def _told(self, store: BareStore, commit: str, prefix: str) -> dict[str, tuple[str, str]]:
        """Path to name and URL, as `.gitmodules` has them."""
        entry = (await store.entries(commit, b".gitmodules")).get(b".gitmodules")
        if entry is None or not entry.mode.startswith("100"):
            return {}
        command = ("config", "--blob", entry.id, "-z", "--get-regexp", r"^submodule\..*\.(path|url)$")
        try:
            answer = await git.attempt(store.call(limit=_MOST_TEXT), *command)
        except RepositoryError as error:
            self.found.notices.append(f"{prefix}.gitmodules cannot be read: {error}")
            return {}
        if answer.code > 1:
            self.found.notices.append(f"{prefix}.gitmodules cannot be read: {answer.error.strip()[:300]}")
            return {}
        sections: dict[bytes, dict[str, str]] = {}
        for line in answer.out.split(b"\0")[:-1]:
            key, _, value = line.partition(b"\n")
            if match := _KEY.fullmatch(key):
                text = path_text(value) if match[2].lower() == b"path" else value.decode("utf-8", "replace")
                sections.setdefault(match[1], {})[match[2].lower().decode()] = text
        return {
            section["path"].rstrip("/"): (path_text(name), section["url"])
            for name, section in sections.items()
            if "path" in section and "url" in section
        }

    async def _fetched(self, parent: RepositoryRef, name: str, url: str, commit: str) -> RepositoryRef:
        """The submodule's repository, its commit in the store."""
        check_name(name)
        ref = await self._cloned(parent, name) or await self._located(parent, name, url)
        store = self.repositories.store(ref)
        if (store.path / "HEAD").is_file() and await store.commit_at(commit):
            return ref
        store = await self.repositories.fetch(ref, self.on_progress)
        if await store.commit_at(commit) is None:
            await self.repositories.fetch_commit(ref, commit, self.on_progress)
        return ref

    async def _cloned(self, parent: RepositoryRef, name: str) -> RepositoryRef | None:
        """Where a person's own clone holds the submodule already: they let it in themselves."""
        if not address.is_path(parent):
            return None
        call = git.Call(directory=Path(parent.location), owner=git.owner_of(Path(parent.location)))
        answer = await git.attempt(call, "rev-parse", "--path-format=absolute", "--git-common-dir")
        inside = Path(os.fsdecode(answer.out.rstrip(b"\n"))) / "modules" / name
        if answer.code != 0 or not (inside / "HEAD").is_file() or not _same_owner(Path(parent.location), inside):
            return None
        # The git directory itself: the working tree that it names may be gone.
        return address.reference(str(inside), name.rsplit("/", 1)[-1])

    async def _located(self, parent: RepositoryRef, name: str, url: str) -> RepositoryRef:
        origin = None
        if address.is_path(parent):
            call = git.Call(directory=Path(parent.location), owner=git.owner_of(Path(parent.location)))
            answer = await git.attempt(call, "config", "--local", "--get", "remote.origin.url")
            origin = answer.out.decode("utf-8", "replace").strip() or None if answer.code == 0 else None
        where = resolve(parent.location, url, origin)
        if where.startswith("/"):
            if not _same_owner(Path(parent.location), Path(where)):
                raise UsageError(f"{url} is a repository of somebody else's on this machine, which is not followed")
            # A repository that came from elsewhere may name what is private here; its person has to let it in first.
            if origin and not origin.startswith(("/", "file:")) and not await self._initialised(parent, name):
                raise UsageError(
                    f"{url} is a path on this machine and {origin} is not; let it in with `git submodule init`"
                )
        return await address.locate(where, Path("/"))

    async def _initialised(self, parent: RepositoryRef, name: str) -> bool:
        call = git.Call(directory=Path(parent.location), owner=git.owner_of(Path(parent.location)))
        return (await git.attempt(call, "config", "--local", "--get", f"submodule.{name}.url")).code == 0


def check_name(name: str) -> None:
    """Refuse a submodule name that leads elsewhere (as git's check_submodule_name). Raises `UsageError`."""
    if not name or name.startswith(("-", "/")) or _CONTROL.search(name) or ".." in re.split(r"[/\\]", name):
        raise UsageError(f"its name {name!r} is not one that git would take")


def resolve(parent: str, url: str, origin: str | None = None) -> str:
    """The repository that a submodule's URL means, as a URL or a path. Raises `UsageError` where it is not followed.

    `origin` is where a parent on this machine was cloned from: relative URLs are relative to that (gitmodules(5)).
    """
    if not url or url.startswith("-") or _CONTROL.search(unquote(url)):
        raise UsageError(f"its URL {url!r} is not one that git would take")
    if url.startswith(("./", "../")):
        return resolve(parent, _joined(origin or parent, url))
    local = parent.startswith("/")
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme in ("https", "ssh") or (scheme == "http" and parent.lower().startswith("http://")):
        return url
    if scheme == "http":
        raise UsageError(f"its URL {url} is plain http; use https")
    if local and (url.startswith("/") or scheme == "file"):
        return unquote(urlsplit(url).path) if scheme else url
    if url.startswith("/") or scheme == "file":
        raise UsageError(f"its URL {url} is a path on this machine, and the repository is not")
    if not scheme and _SCP.fullmatch(url):
        return url
    raise UsageError(f"its URL {url} is not followed; https, ssh, or relative to the repository's own will do")


def _joined(base: str, url: str) -> str:
    """A relative URL against its base, never above the base's root."""
    if "://" in base:
        split = urlsplit(base)
        return urlunsplit(split._replace(path="/" + _climbed(split.path, url)))
    if not base.startswith("/") and (match := _SCP.fullmatch(base)):
        return f"{match['host']}:{'/' if match['path'].startswith('/') else ''}{_climbed(match['path'], url)}"
    if not base.startswith("/"):
        raise UsageError(f"its URL {url} is relative to {base}, which is neither a URL nor an absolute path")
    return "/" + _climbed(base, url)


def _climbed(path: str, url: str) -> str:
    parts = [part for part in path.split("/") if part]
    for part in url.split("/"):
        if part == "..":
            if not parts:
                raise UsageError(f"its URL {url} leads above the root of the repository's host")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _same_owner(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_uid == other.stat().st_uid
    except OSError as error:
        raise UsageError(f"{other} is not there: {error.strerror}") from error
