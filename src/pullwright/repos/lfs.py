"""The files that Git LFS keeps: had on this machine before a checkout, shown read-only in sandboxes, handed back after.

The pointer format is git-lfs's docs/spec.md, the server's side its docs/api/batch.md. A server's answer is data of a
stranger's: every object is checked against its name, a SHA-256, and its size; addresses are https, or http where the
repository's own is.
"""

import asyncio
import hashlib
import json
import netrc
import os
import re
import secrets
import ssl
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pullwright.domain.errors import RepositoryError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import address, disk, git
from pullwright.repos.bare import BareStore
from pullwright.repos.credentials import Tokens, basic

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 20 * 1024**3  # of one commit's objects that are fetched
AT_ONCE = 6
TRIES = 3
_BATCH = 100  # objects of one request
_SECONDS = 60.0  # without a byte
_MEDIA = "application/vnd.git-lfs+json"
_LARGEST_POINTER = 1024

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n"
)
_SSH = re.compile(r"(?:ssh://)?(?P<host>(?:[^/@:\s]+@)?[^/@:\s]+)(?::(?P<port>[0-9]+)(?=/))?[:/](?P<path>.+)")


@dataclass(frozen=True)
class Server:
    """A Git LFS server, and what to tell it."""

    url: str
    header: Mapping[str, str] = field(default_factory=dict, repr=False)


def kept(store: BareStore, oid: str) -> Path:
    """Where an object of a store's is, or would be."""
    return store.path / "lfs" / oid[:2] / oid[2:4] / oid


def make_place(store: BareStore) -> Path:
    """The directory that sandboxes see."""
    place = store.path / "lfs"
    with disk.writing(place):
        place.mkdir(mode=0o750, exist_ok=True)
    return place


async def pointers(store: BareStore, commit: str) -> dict[str, int]:
    """The objects that a commit's or tree's files point to, with their sizes in bytes."""
    blobs = {entry.id for entry in (await store.entries(commit)).values() if entry.mode.startswith("100")}
    listed = "".join(f"{blob}\n" for blob in sorted(blobs)).encode()
    sizes = await store.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=listed)
    small = [
        line.split()[0]
        for line in sizes.splitlines()
        if not line.endswith(b"missing") and int(line.split()[1]) <= _LARGEST_POINTER
    ]
    contents = await store.run("cat-file", "--batch=", stdin=b"".join(name + b"\n" for name in small))
    found = (_POINTER.finditer(contents)) if small else ()
    return {match[1].decode(): int(match[2]) for match in found}


async def bring(
    store: BareStore,
    ref: RepositoryRef,
    commit: str,
    tokens: Tokens,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Have every object that the commit points to. Gives what could not be had, in words; raises `DiskFull`."""
    make_place(store)
    wanted = {oid: size for oid, size in (await pointers(store, commit)).items() if not kept(store, oid).is_file()}
    if not wanted:
        return []
    if (total := sum(wanted.values())) > MOST_BYTES:
        return [f"its files come to {total} bytes; at most {MOST_BYTES} are fetched, so they stay pointers"]
    async with store.holding("lfs", lambda: on_progress(f"waiting for the LFS files of {ref.name}")):
        wanted = {oid: size for oid, size in wanted.items() if not kept(store, oid).is_file()}
        for place in await _local_places(ref):
            for oid, size in list(wanted.items()):
                if await asyncio.to_thread(_copied, store, place, oid, size):
                    del wanted[oid]
        if not wanted:
            return []
        try:
            server = await _server(store, ref, commit, "download")
            if server is None:
                return [f"{len(wanted)} of its files are not in {ref.location}/.git/lfs, and it has no origin to ask"]
            async with _client() as client:
                transfer = _Transfer(store, ref, server, tokens, client, on_progress)
                return await transfer.download(wanted)
        except RepositoryError as error:
            return [str(error)]


async def hand_back(store: BareStore, ref: RepositoryRef, base: str, head: str, tokens: Tokens) -> None:
    """Let the source have the objects that `head` points to and `base` does not. Raises `RepositoryError`."""
    before = await pointers(store, base)
    new = {oid: size for oid, size in (await pointers(store, head)).items() if oid not in before}
    new = {oid: size for oid, size in new.items() if kept(store, oid).is_file()}
    if not new:
        return
    for place in (await _local_places(ref))[:1]:
        for oid in new:
            await _give(ref, place, oid, kept(store, oid))
        return
    server = await _server(store, ref, base, "upload")
    if server is None:
        raise RepositoryError(f"{ref.location} has no place for the LFS files of the change.")
    async with _client() as client:
        await _Transfer(store, ref, server, tokens, client, lambda _: None).upload(new)


def take(store: BareStore, oid: str, content: bytes) -> None:
    """Keep an object that came out of a sandbox. Raises `RepositoryError` where it is not what it is called."""
    if hashlib.sha256(content).hexdigest() != oid:
        raise RepositoryError(f"The sandbox handed over an LFS object that is not {oid}; it was not taken in.")
    make_place(store)
    target = kept(store, oid)
    with disk.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{oid}.{secrets.token_hex(4)}")
        part.write_bytes(content)
        _publish(part, target)


def _publish(part: Path, target: Path) -> None:
    part.chmod(0o440)
    part.replace(target)


async def _local_places(ref: RepositoryRef) -> list[Path]:
    """Where a clone on this machine keeps its objects."""
    if not address.is_path(ref):
        return []
    call = git.Call(directory=Path(ref.location), owner=git.owner_of(Path(ref.location)))
    answer = await git.git(call, "rev-parse", "--path-format=absolute", "--git-common-dir")
    return [Path(os.fsdecode(answer.rstrip(b"\n"))) / "lfs" / "objects"]


def _copied(store: BareStore, place: Path, oid: str, size: int) -> bool:
    """Copy an object out of a person's clone; whatever is there is believed only where its content is."""
    source = place / oid[:2] / oid[2:4] / oid
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            return False
        target = kept(store, oid)
        part = target.with_name(f"{oid}.part")
        digest = hashlib.sha256()
        with disk.writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as copy:
                while piece := stream.read(1024 * 1024):
                    digest.update(piece)
                    copy.write(piece)
            if digest.hexdigest() != oid:
                part.unlink()
                return False
            _publish(part, target)
    return True


async def _give(ref: RepositoryRef, place: Path, oid: str, content: Path) -> None:
    """Write an object into a person's clone, as its owner: git starts the shell that does."""
    path = Path(ref.location)
    script = '!f() { mkdir -p "${1%/*}" && cat >"$1.part" && mv "$1.part" "$1"; }; f'
    call = git.Call(directory=path, owner=git.owner_of(path), settings={"alias.pullwright-keep": script})
    with content.open("rb") as stream:
        given = await git.attempt(call, "pullwright-keep", str(place / oid[:2] / oid[2:4] / oid), stdin=stream)
    git.check(given, ("lfs",))


async def _server(store: BareStore, ref: RepositoryRef, commit: str, operation: str) -> Server | None:
    """Where the source's objects are: as `.lfsconfig` says, else beside the repository."""
    location = ref.location
    if address.is_path(ref):
        call = git.Call(directory=Path(location), owner=git.owner_of(Path(location)))
        answer = await git.attempt(call, "config", "--local", "--get", "remote.origin.url")
        location = answer.out.decode("utf-8", "replace").strip()
        if answer.code != 0 or location.startswith(("/", "file:", "-")):
            return None
    if configured := await _configured(store, commit):
        return Server(configured)
    if location.startswith(("http://", "https://")):
        return Server(beside(location))
    return await _by_ssh(store, location, operation)


def beside(url: str) -> str:
    """The server of a repository that names none (git-lfs's docs/api/server-discovery.md)."""
    return f"{url.rstrip('/').removesuffix('.git')}.git/info/lfs"


async def _configured(store: BareStore, commit: str) -> str | None:
    entry = (await store.entries(commit, b".lfsconfig")).get(b".lfsconfig")
    if entry is None or not entry.mode.startswith("100"):
        return None
    answer = await git.attempt(store.call(), "config", "--blob", entry.id, "--get", "lfs.url")
    url = answer.out.decode("utf-8", "replace").strip()
    # A file of the repository's may not send us to whatever listens in our own network.
    return url.rstrip("/") if answer.code == 0 and url.startswith("https://") else None


async def _by_ssh(store: BareStore, location: str, operation: str) -> Server:
    match = _SSH.fullmatch(location)
    if match is None:
        raise RepositoryError(f"{location} names no Git LFS server.")
    path = match["path"] if "://" not in location else f"/{match['path']}"
    port = ("-p", match["port"]) if match["port"] else ()
    quoted = "'" + path.replace("'", "'\\''") + "'"
    call = git.Call(directory=store.path, personal=True, ssh=True, timeout=60.0)
    command = (*port, "--", match["host"], f"git-lfs-authenticate {quoted} {operation}")
    answer = await git.attempt(call, *command)
    try:
        said = json.loads(answer.out) if answer.code == 0 else {}
    except ValueError:
        said = {}
    if isinstance(href := said.get("href"), str):
        return Server(href.rstrip("/"), _strings(said.get("header")))
    return Server(beside(f"https://{match['host'].rpartition('@')[2]}/{path.lstrip('/')}"))


def _strings(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(name): str(text) for name, text in value.items() if not set(f"{name}{text}") & set("\r\n\0")}


def _client() -> "httpx.AsyncClient":
    import httpx

    # The machine's own certificates: companies intercept TLS.
    certificates = ssl.create_default_context()
    return httpx.AsyncClient(timeout=httpx.Timeout(_SECONDS), follow_redirects=True, verify=certificates)


@dataclass
class _Transfer:
    """Objects on their way from or to one server."""

    store: BareStore
    ref: RepositoryRef
    server: Server
    tokens: Tokens
    client: "httpx.AsyncClient"
    on_progress: Callable[[str], None]
    had: int = 0
    total: int = 0

    async def download(self, wanted: Mapping[str, int]) -> list[str]:
        """Have these objects; gives what could not be had, in words."""
        self.total = len(wanted)
        missing: list[str] = []
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(answer: dict[str, Any]) -> None:
            async with limit:
                if failed := await self._fetched(answer, wanted):
                    missing.append(failed)
                else:
                    self.had += 1
                    self.on_progress(f"LFS files of {self.ref.name}: {self.had} of {self.total}")

        for answers in [await self._batch("download", part) for part in _parts(wanted)]:
            await asyncio.gather(*(one(answer) for answer in answers))
        if not missing:
            return []
        return [f"{len(missing)} of {self.total} LFS files could not be fetched and stay pointers: {missing[0]}"]

    async def upload(self, new: Mapping[str, int]) -> None:
        """Let the server have these objects."""
        for part in _parts(new):
            for answer in await self._batch("upload", part):
                oid = str(answer.get("oid"))
                if oid not in part or "actions" not in answer:
                    if isinstance(error := answer.get("error"), dict):
                        raise RepositoryError(f"{self.server.url} refuses an LFS file: {error.get('message')}.")
                    continue
                await self._give(oid, part[oid], answer["actions"])

    async def _give(self, oid: str, size: int, actions: dict[str, Any]) -> None:
        if isinstance(action := actions.get("upload"), dict):
            header = {"content-type": "application/octet-stream", **_strings(action.get("header"))}
            header["content-length"] = str(size)
            content = _pieces(kept(self.store, oid))
            self._check(await self.client.put(self._href(action), content=content, headers=header))
        if isinstance(action := actions.get("verify"), dict):
            header = {"accept": _MEDIA, "content-type": _MEDIA, **_strings(action.get("header"))}
            self._check(await self.client.post(self._href(action), json={"oid": oid, "size": size}, headers=header))

    async def _batch(self, operation: str, part: Mapping[str, int]) -> list[dict[str, Any]]:
        body = {
            "operation": operation,
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": [{"oid": oid, "size": size} for oid, size in part.items()],
        }
        url = f"{self.server.url}/objects/batch"
        headers = {"accept": _MEDIA, "content-type": _MEDIA, **self.server.header}
        answer = await self._asked(url, body, {**headers, **self.tokens.header(url)})
        if answer.status_code == 401:
            answer = await self._asked(url, body, {**headers, **await self._credential(url)})
        self._check(answer)
        try:
            objects = answer.json()["objects"]
            return [answer for answer in objects if isinstance(answer, dict)]
        except (ValueError, KeyError, TypeError) as error:
            raise RepositoryError(f"{self.server.url} does not answer as a Git LFS server.") from error

    async def _asked(self, url: str, body: object, headers: Mapping[str, str]) -> "httpx.Response":
        import httpx

        try:
            return await self.client.post(url, json=body, headers=headers)
        except httpx.HTTPError as error:
            raise RepositoryError(
                f"{self.server.url} could not be reached: {error or type(error).__name__}."
            ) from error

    async def _credential(self, url: str) -> dict[str, str]:
        """What git's credential helpers, then `~/.netrc`, know of the server."""
        split = urlsplit(url)
        asked = f"protocol={split.scheme}\nhost={split.netloc}\npath={split.path.lstrip('/')}\n\n".encode()
        call = git.Call(directory=self.store.path, personal=True, variables=self.tokens.variables(url))
        answer = await git.attempt(call, "credential", "fill", stdin=asked)
        known = dict(line.split("=", 1) for line in answer.out.decode("utf-8", "replace").splitlines() if "=" in line)
        if answer.code == 0 and "password" in known:
            return basic(known.get("username", ""), known["password"])
        try:
            found = netrc.netrc().authenticators(split.hostname or "")
        except (OSError, netrc.NetrcParseError):
            found = None
        if found:
            return basic(found[0], found[2] or "")
        raise RepositoryError(
            f"{self.server.url} wants to know who asks. Give a token for {split.hostname}, or let a git credential "
            "helper or ~/.netrc answer."
        )

    async def _fetched(self, answer: dict[str, Any], wanted: Mapping[str, int]) -> str | None:
        """Have one object; gives why not."""
        import httpx

        oid = str(answer.get("oid"))
        if oid not in wanted:
            return "the server answered with an object that nobody asked for"
        if isinstance(error := answer.get("error"), dict):
            return f"{oid[:12]}: {error.get('message')}"
        action = (answer.get("actions") or {}).get("download")
        if not isinstance(action, dict):
            return f"{oid[:12]}: the server says nothing of it"
        for number in range(1, TRIES + 1):
            try:
                return await self._streamed(oid, wanted[oid], self._href(action), _strings(action.get("header")))
            except httpx.HTTPError as error:
                if number == TRIES:
                    return f"{oid[:12]}: {error or type(error).__name__}"
            except RepositoryError as error:
                return f"{oid[:12]}: {error}"
        return None

    async def _streamed(self, oid: str, size: int, url: str, header: dict[str, str]) -> str | None:
        """Append to what an earlier try left, and keep the whole if it is what it should be."""
        target = kept(self.store, oid)
        part = target.with_name(f"{oid}.part")
        with disk.writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        there = part.stat().st_size if part.exists() else 0
        if 0 < there < size:
            header = {**header, "range": f"bytes={there}-"}
        async with self.client.stream("GET", url, headers=header) as answer:
            self._check(answer)
            resumed = answer.status_code == 206 and 0 < there < size
            with disk.writing(target), part.open("ab" if resumed else "wb") as stream:
                async for piece in answer.aiter_bytes(256 * 1024):
                    stream.write(piece)
                    if stream.tell() > size:
                        break
        digest = await asyncio.to_thread(_digest, part)
        if part.stat().st_size != size or digest != oid:
            part.unlink()
            return f"{oid[:12]}: what came is not what was asked for"
        with disk.writing(target):
            _publish(part, target)
        return None

    def _href(self, action: dict[str, Any]) -> str:
        href = str(action.get("href"))
        plain = self.server.url.startswith("http://")
        if href.startswith("https://") or (plain and href.startswith("http://")):
            return href
        raise RepositoryError(f"{self.server.url} names an address that is not https.")

    def _check(self, answer: "httpx.Response") -> None:
        if answer.status_code >= 400:
            raise RepositoryError(f"{self.server.url} answered {answer.status_code} {answer.reason_phrase}.")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        while piece := await asyncio.to_thread(stream.read, 1024 * 1024):
            yield piece


def _parts(objects: Mapping[str, int]) -> Iterable[dict[str, int]]:
    items = list(objects.items())
    for start in range(0, len(items), _BATCH):
        yield dict(items[start : start + _BATCH])
