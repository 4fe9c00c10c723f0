"""The indexes of all repositories: brought up to date with a commit when asked for, shared by all who ask."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from pullwright.code.index.codebase import Codebase
from pullwright.code.index.extract import Extract
from pullwright.code.index.languages import header_language, language_of
from pullwright.code.index.parsers import MAX_FILE, Parsers, Source
from pullwright.code.index.shelf import Key, Shelf
from pullwright.code.index.snapshot import Snapshot
from pullwright.domain.errors import RepositoryError
from pullwright.repos.bare import BareStore, TreeEntry
from pullwright.settings import Settings

MAX_FILES = 60_000  # of one tree
_KEPT = 8  # trees whose derived answers stay in memory
_BATCH_FILES = 400
_BATCH_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Building:
    """How far the reading of a tree's files is."""

    done: int
    total: int
    seconds_left: float | None


Edited = bytes | str | None
"""A changed file: what it holds now, or the blob of that where it was handed over before; None where it is gone."""

Progress = Callable[[Building], None]


class Indexes:
    """Every repository's index, below one folder."""

    def __init__(self, root: Path, *, uid: int | None = None) -> None:
        self._root = root
        self.parsers = Parsers(uid=uid)
        self._shelves: dict[str, Shelf] = {}
        self._kept: OrderedDict[tuple[str, str], Codebase] = OrderedDict()
        self._at_work: dict[tuple[str, str], asyncio.Lock] = {}

    @classmethod
    def of(cls, settings: Settings) -> "Indexes":
        """Those that these settings describe."""
        return cls(settings.indexes, uid=settings.sandbox_uid)

    def path(self, store: BareStore) -> Path:
        """Where a store's index is."""
        return self._root / f"{store.path.name.removesuffix('.git')}.sqlite"

    async def at(self, store: BareStore, commit: str, progress: Progress = lambda _: None) -> Codebase:
        """The repository at a commit, its files read where they have not been before.

        Raises `RepositoryError` for an unknown commit, `MachineError` where the index cannot be kept.
        """
        key = (store.path.name, commit)
        lock = self._at_work.setdefault(key, asyncio.Lock())
        async with lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            codebase = await self._read(store, commit, progress)
            self._kept[key] = codebase
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._at_work.pop(key, None)
        return codebase

    async def count(self, store: BareStore, commit: str) -> int:
        """How many files of a commit are of an indexed language; nothing is read for it."""
        kept = self._kept.get((store.path.name, commit))
        return len(kept.snapshot.keys if kept else _keys(await store.files(commit)))

    async def over(self, base: Codebase, changed: Mapping[str, Edited]) -> tuple[Codebase, dict[str, str]]:
        """The same with these files changed, and each of their blobs. What has been read before is not read again."""
        if not changed:
            return base, {}
        snapshot = base.snapshot
        headers = header_language(snapshot.keys)
        keys: dict[str, Key | None] = {}
        contents: dict[Key, bytes] = {}
        for path, data in changed.items():
            language = language_of(path, headers=headers)
            if data is None or language is None or len(data) > MAX_FILE:
                keys[path] = None
                continue
            key = (data if isinstance(data, str) else blob_id(data), language)
            keys[path] = key
            if isinstance(data, bytes):
                contents[key] = data
        missing = await asyncio.to_thread(snapshot.shelf.missing, list(contents))
        found = [
            ((source.blob, source.language), extract)
            async for source, extract in self.parsers.extract([Source(*key, contents[key]) for key in missing])
        ]
        if found:
            await asyncio.to_thread(snapshot.shelf.add, found)
        wanted = {key for key in keys.values() if key}
        read = await asyncio.to_thread(snapshot.shelf.known, wanted)
        blobs = {path: key[0] for path, key in keys.items() if key}
        return Codebase(snapshot.over(keys, read), base.notes, base.links), blobs

    async def keep_coverage(self, store: BareStore, rows: Sequence[tuple[str, str, str]]) -> None:
        """Keep which test ran lines of which file: file of tests, path, the path's blob at that time."""
        shelf = await asyncio.to_thread(self._shelf, store)
        await asyncio.to_thread(shelf.keep_coverage, rows)

    def close(self) -> None:
        """End the processes and close the files."""
        self.parsers.close()
        for shelf in self._shelves.values():
            shelf.close()
        self._shelves.clear()
        self._kept.clear()

    async def _read(self, store: BareStore, commit: str, progress: Progress) -> Codebase:
        entries = await store.files(commit)
        keys = _keys(entries)
        notes = []
        if len(keys) > MAX_FILES:
            notes.append(f"only the first {MAX_FILES} of {len(keys)} files are indexed")
            keys = dict(list(keys.items())[:MAX_FILES])
        shelf = await asyncio.to_thread(self._shelf, store)
        wanted = set(keys.values())
        missing = await asyncio.to_thread(shelf.missing, list(keys.values()))
        if missing:
            async with store.holding("index"):  # another process may be at it
                missing = await asyncio.to_thread(shelf.missing, missing)
                await self._fill(store, shelf, missing, progress)
        known = await asyncio.to_thread(shelf.known, wanted)
        if absent := len(wanted) - len(known):
            notes.append(f"{absent} files are not on this machine yet and are not indexed")
        await asyncio.to_thread(shelf.see, known)
        others = frozenset(entries.keys() - keys.keys())
        return Codebase(Snapshot(shelf, keys, known, others), tuple(notes))

    async def _fill(self, store: BareStore, shelf: Shelf, missing: Sequence[Key], progress: Progress) -> None:
        """Read these files and keep what was found, batch by batch."""
        sizes = await _sizes(store, [blob for blob, _ in missing])
        missing = [key for key in missing if key[0] in sizes]  # a partial store lacks some, until a checkout wants them
        started, done = time.monotonic(), 0
        writing: asyncio.Task[None] | None = None
        try:
            for batch in _batches(missing, sizes):
                contents = await _contents(store, [blob for blob, _ in batch if sizes[blob] <= MAX_FILE])
                sources = [Source(*key, contents[key[0]]) for key in batch if key[0] in contents]
                found = [(key, Extract([], [], {}, 0, "too large")) for key in batch if key[0] not in contents]
                async for source, extract in self.parsers.extract(sources):
                    found.append(((source.blob, source.language), extract))
                if writing:
                    await writing
                writing = asyncio.create_task(asyncio.to_thread(shelf.add, found))
                done += len(batch)
                passed = time.monotonic() - started
                progress(Building(done, len(missing), passed / done * (len(missing) - done)))
        finally:
            if writing:
                await writing

    def _shelf(self, store: BareStore) -> Shelf:
        path = self.path(store)
        if path.name not in self._shelves:
            self._shelves[path.name] = Shelf(path)
        return self._shelves[path.name]


def _keys(entries: Mapping[str, TreeEntry]) -> dict[str, Key]:
    """The indexed files of a tree."""
    files = {path: entry for path, entry in entries.items() if entry.type == "blob" and entry.mode != "120000"}
    headers = header_language(files)
    languages = {path: language_of(path, headers=headers) for path in files}
    return {path: (files[path].id, language) for path, language in languages.items() if language}


def blob_id(data: bytes) -> str:
    """The name that git gives to these bytes as a blob."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


async def _sizes(store: BareStore, blobs: Sequence[str]) -> dict[str, int]:
    listed = "\n".join(dict.fromkeys(blobs)).encode() + b"\n"
    out = await store.run("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=listed)
    found = {}
    for line in out.decode().splitlines():
        blob, _, size = line.partition(" ")
        if size.isdigit():  # an object that the store lacks is `missing`
            found[blob] = int(size)
    return found


async def _contents(store: BareStore, blobs: Sequence[str]) -> dict[str, bytes]:
    wanted = list(dict.fromkeys(blobs))
    if not wanted:
        return {}
    out = await store.run("cat-file", "--batch=%(objectname) %(objectsize)", stdin="\n".join(wanted).encode() + b"\n")
    found, at = {}, 0
    while at < len(out):
        end = out.index(b"\n", at)
        blob, _, size = out[at:end].decode().partition(" ")
        if not size.isdigit():
            raise RepositoryError(f"{store.name} lacks the object {blob}. Fetch the repository again.")
        found[blob] = out[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
    return found


def _batches(keys: Sequence[Key], sizes: Mapping[str, int]) -> list[list[Key]]:
    batches: list[list[Key]] = []
    room = 0
    for key in keys:
        size = min(sizes[key[0]], MAX_FILE)
        if not batches or len(batches[-1]) >= _BATCH_FILES or size > room:
            batches.append([])
            room = _BATCH_BYTES
        batches[-1].append(key)
        room -= size
    return batches
