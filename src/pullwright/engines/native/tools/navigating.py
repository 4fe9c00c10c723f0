"""`code`: definitions, uses, outlines, a map and touched tests, from an index that sees the agent's own edits."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from weakref import WeakKeyDictionary

from pydantic import BaseModel, Field

from pullwright.code.index.codebase import Codebase
from pullwright.code.index.indexes import Building, Edited, Indexes
from pullwright.code.index.parsers import MAX_FILE
from pullwright.code.index.uses import Place, Use
from pullwright.domain.errors import MachineError, RepositoryError, SandboxError, SandboxLost
from pullwright.domain.transcript import Noticed, Progressed
from pullwright.engines.base import Work
from pullwright.engines.native.fence import fenced
from pullwright.engines.native.tools.base import Context, Result, Tool, text_of, tool
from pullwright.repos.mirror import Repositories
from pullwright.repos.names import path_text
from pullwright.sandbox.base import WORKSPACE, ExecRequest, Sandbox

MAP_FILES = 100  # indexed files from which on the model is shown a map before it begins
MAP_TOKENS = 1500
PATIENCE = 30.0  # seconds that the first question waits for an index; a tool's call waits until there is one
MOST_EDITED = 2000  # changed files that are looked at
_MOST_BYTES = 32 * 1024 * 1024  # of them together
_TELL_SECONDS = 2.0
_SHOWN = 60  # places shown of a result
_LISTED = 200
_SNIPPET = 30  # lines shown of the only definition

# What differs from the base: each path with its kind, size and times; what is gone is only in the first list.
_CHANGED = r"""
cd /workspace || exit 1
git rev-parse -q --verify "$1^{commit}" >/dev/null || set -- HEAD
changed() {
  git diff --name-only -z --no-renames --no-ext-diff --no-textconv "$1" --
  git ls-files -z --others --exclude-standard
}
changed "$1" | head -c 1048576
printf '\0'
changed "$1" | head -c 1048576 | xargs -0 -r stat --printf='%n\0%F\0%s\0%y %z %i\0' -- 2>/dev/null
true
"""

# Lines of files: `path`, then what `sed -n` takes. A NUL after each.
_LINES = r"""
cd /workspace || exit 1
while [ $# -gt 1 ]; do
  if [ -f "./$1" ]; then sed -n "$2" -- "./$1" | cut -c1-300 | tr -d '\000'; fi
  printf '\0'
  shift 2
done
"""

Action = Literal["find", "refs", "outline", "importers", "map", "tests"]


class CodeArguments(BaseModel):
    """What `code` takes."""

    action: Action = Field(
        description="find: where a symbol is defined. refs: where it is used. outline: what a file defines, or which "
        "files a folder holds. importers: who imports a file. map: the definitions that matter most to some words. "
        "tests: the tests that changed files touch."
    )
    target: str = Field(
        "",
        description="find, refs: `name`, `Owner.name` or `path:name`. outline, importers: a path. map: words. tests: "
        "paths, with spaces between; your changes if empty.",
    )


@dataclass
class _Edits:
    """What is known of a workspace's changed files: by path, when it was looked at, and the blob then."""

    seen: dict[str, tuple[str, str]] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # calls may be made side by side


class Navigation:
    """The index of the repositories that agents work on, with what each of them has changed laid over it."""

    def __init__(self, repositories: Repositories, indexes: Indexes, *, map_files: int = MAP_FILES) -> None:
        self._repositories = repositories
        self._indexes = indexes
        self._map_files = map_files
        self._edits: WeakKeyDictionary[Sandbox, _Edits] = WeakKeyDictionary()
        self._building: set[asyncio.Task[Codebase]] = set()

    def tool(self) -> Tool:
        """`code`."""
        return tool(
            "code",
            "Find your way by an index of definitions, uses and imports: surer than text search in Python, TypeScript, "
            "JavaScript, Go, Rust, Java, C and C++. Your own edits are seen.",
            CodeArguments,
            self._run,
        )

    async def introduce(self, work: Work, mark: str) -> str:
        """A map for the task, where the repository is so large that one helps and its index is there in time."""
        store = self._repositories.store(work.request.repository)
        try:
            if await self._indexes.count(store, work.request.base_commit) < self._map_files:
                return ""
            codebase = await asyncio.wait_for(asyncio.shield(self._started(work)), PATIENCE)
            text = await codebase.map(work.request.prompt, MAP_TOKENS)
        except TimeoutError:
            late = "the index of the code is not ready yet; the model begins without a map of the repository"
            await work.log.append(Noticed(text=late))
            return ""
        except (RepositoryError, MachineError) as error:
            await work.log.append(Noticed(text=f"there is no map of the repository: {error}", level="warning"))
            return ""
        files = len(codebase.snapshot.files)
        return (
            f"A map of the repository: of its {files:,} indexed files, the definitions that seem to matter most to the "
            f"task, each with its line. It is no list of all there is: `code` and `search` find the rest.\n\n"
            f"{fenced(text, mark)}"
        )

    def _started(self, work: Work) -> asyncio.Task[Codebase]:
        """The reading of the base commit, under way; it goes on when whoever asked has stopped waiting."""
        job = asyncio.create_task(self._base(work))
        self._building.add(job)
        job.add_done_callback(self._done)
        return job

    def _done(self, job: asyncio.Task[Codebase]) -> None:
        self._building.discard(job)
        if not job.cancelled():
            job.exception()  # whoever waited has been told; nobody may have

    async def _base(self, work: Work) -> Codebase:
        told = time.monotonic()
        waiting: list[asyncio.Task[int]] = []

        def tell(building: Building) -> None:
            nonlocal told
            if time.monotonic() - told >= _TELL_SECONDS and building.done < building.total:
                told = time.monotonic()
                event = Progressed(
                    step="index",
                    text=f"reading the code: {building.done:,} of {building.total:,} files",
                    done=building.done,
                    total=building.total,
                    seconds_left=building.seconds_left,
                )
                waiting.append(asyncio.create_task(_append(work, event)))

        store = self._repositories.store(work.request.repository)
        try:
            return await self._indexes.at(store, work.request.base_commit, tell)
        finally:
            await asyncio.gather(*waiting, return_exceptions=True)

    async def codebase(self, work: Work) -> tuple[Codebase, list[str]]:
        """The code as it is in the attempt's workspace, and the paths that differ from the base."""
        base = await asyncio.shield(self._started(work))
        edits = self._edits.setdefault(work.sandbox, _Edits())
        async with edits.lock:
            return await self._with_edits(work, base, edits)

    async def _with_edits(self, work: Work, base: Codebase, edits: _Edits) -> tuple[Codebase, list[str]]:
        listed, present = await _changed(work)
        changed: dict[str, Edited] = {}
        room = _MOST_BYTES
        for path in listed:
            kind, size, stamp = present.get(path, ("gone", 0, ""))
            if kind not in ("regular file", "regular empty file") or size > MAX_FILE:
                changed[path] = None
                continue
            known = edits.seen.get(path)
            if known and known[0] == stamp:
                changed[path] = known[1]
                continue
            if size > room:
                continue
            with contextlib.suppress(FileNotFoundError):
                data = await work.sandbox.read(f"{WORKSPACE}/{path}", MAX_FILE)
                room -= len(data)
                changed[path] = data
        over, blobs = await self._indexes.over(base, changed)
        edits.seen = {path: (present[path][2], blob) for path, blob in blobs.items() if path in present}
        return over, listed

    async def _run(self, context: Context, asked: CodeArguments) -> Result:
        try:
            codebase, changed = await self.codebase(context.work)
        except SandboxLost:
            raise
        except (RepositoryError, MachineError, SandboxError) as error:
            return Result(f"The code cannot be looked up: {error} Use `search` instead.", failed=True)
        target = text_of(asked.target).strip()
        answer = {
            "find": _find,
            "refs": _refs,
            "outline": _outline,
            "importers": _importers,
            "map": _map,
        }.get(asked.action)
        if answer is None:
            return await _tests(codebase, target.split() or changed)
        if not target and asked.action != "map":
            return Result(f"`{asked.action}` needs a target.", failed=True)
        return await answer(context.work.sandbox, codebase, _path(target) if "/" in target else target)


async def _append(work: Work, event: Progressed) -> int:
    return await work.log.append(event)


async def _changed(work: Work) -> tuple[list[str], dict[str, tuple[str, int, str]]]:
    """The paths that differ from the base, and what those that are there are like."""
    request = ExecRequest(
        argv=("bash", "-c", _CHANGED, "bash", work.request.base_commit), timeout=60.0, output_limit=8 * 1024 * 1024
    )
    fields = [path_text(part) for part in (await work.sandbox.run(request)).stdout.split(b"\0")]
    end = fields.index("") if "" in fields else len(fields)
    present: dict[str, tuple[str, int, str]] = {}
    about = fields[end + 1 :]
    for path, kind, size, stamp in zip(about[::4], about[1::4], about[2::4], about[3::4], strict=False):
        present[path] = (kind, int(size) if size.isdigit() else 0, stamp)
    return list(dict.fromkeys(fields[:end]))[:MOST_EDITED], present


async def _find(sandbox: Sandbox, codebase: Codebase, target: str) -> Result:
    found = await codebase.find(target)
    if not found.places:
        alike = f" Names like it: {', '.join(found.similar)}." if found.similar else ""
        return Result(f"{target} is not defined in the repository.{alike}", failed=True)
    shown = [_place(place) for place in found.places[:_SHOWN]]
    if len(found.places) == 1:
        (place,) = found.places
        one = place.definition
        last = min(one.end, one.line + _SNIPPET - 1)
        (text,) = await _lines(sandbox, {place.path: f"{one.line},{last}p"})
        shown.append(text.rstrip("\n") + ("\n..." if last < one.end else ""))
    count = len(found.places)
    what = "1 definition" if count == 1 else f"{count} definitions{_cut(count, _SHOWN)}"
    return Result(f"{what}:", data="\n".join(shown), places=_folders(place.path for place in found.places))


async def _refs(sandbox: Sandbox, codebase: Codebase, target: str) -> Result:
    found = await codebase.references(target)
    uses = (found.uses + found.possible) or found.others
    if not uses:
        return Result(f"{target} is used nowhere in the repository.", failed=not found.places)
    shown = uses[:_SHOWN]
    texts = await _texts(sandbox, shown)
    possible = set(found.possible)
    lines = [
        f"{use.path}:{use.line}: {texts.get((use.path, use.line), '').strip()}"
        + (f"  [in {use.within}]" if use.within else "")
        + ("  [possibly]" if use in possible else "")
        for use in shown
    ]
    heads = [f"Used in {len(found.uses):,} lines"] if found.uses else []
    heads += [f"Possibly used in {len(found.possible):,} lines, by objects of unknown type"] if found.possible else []
    if found.others:
        heads.append(f"{len(found.others):,} lines hold the same name and seem to mean another")
    head = "; ".join(heads) + _cut(len(uses), _SHOWN)
    return Result(f"{head}:", data="\n".join(lines), places=_folders(use.path for use in shown))


async def _outline(_: Sandbox, codebase: Codebase, target: str) -> Result:
    found = await codebase.outline(target)
    if found is None:
        files = await codebase.files(target)
        if not files:
            return Result(f"{target} is neither an indexed file nor a folder of such.", failed=True)
        return Result(f"{len(files):,} indexed files{_cut(len(files), _LISTED)}:", data="\n".join(files[:_LISTED]))
    lines = [
        f"{one.line}-{one.end} {'  ' * (one.container.count('.') + 1) if one.container else ''}{one.kind}: {one.text}"
        for one in found[:_LISTED]
    ]
    return Result(f"{target} defines{_cut(len(found), _LISTED)}:", data="\n".join(lines), places=(target,))


async def _importers(_: Sandbox, codebase: Codebase, target: str) -> Result:
    found = await codebase.importers(target)
    if not found:
        known = await codebase.outline(target) is not None
        return Result(f"{target} is {'imported by no file' if known else 'no indexed file'}.", failed=not known)
    lines = [f"{one.path}:{one.line}  {', '.join(one.names)}".rstrip() for one in found[:_LISTED]]
    return Result(f"Imported by {len(found):,} files{_cut(len(found), _LISTED)}:", data="\n".join(lines))


async def _map(_: Sandbox, codebase: Codebase, target: str) -> Result:
    text = await codebase.map(target, 2 * MAP_TOKENS)
    return Result("The definitions that matter most:" if text else "Nothing is indexed here.", data=text or None)


async def _tests(codebase: Codebase, paths: Sequence[str]) -> Result:
    changed = [_path(path) for path in paths]
    if not changed:
        return Result("Nothing is changed yet, and no path was given.")
    found = await codebase.tests_for(changed)
    lines = [f"{one.path}  {one.why}" for one in found.tests[:_SHOWN]]
    head = f"{len(found.tests):,} of {found.all_tests:,} files of tests, nearest first{_cut(len(found.tests), _SHOWN)}"
    if found.unknown:
        head += f"; nothing is known of {', '.join(found.unknown[:10])}"
    return Result(f"{head}:", data="\n".join(lines))


async def _lines(sandbox: Sandbox, wanted: Mapping[str, str]) -> list[str]:
    """For each path, the lines that `sed -n` prints for its words."""
    words = [word for path, script in wanted.items() for word in (path, script)]
    result = await sandbox.run(ExecRequest(argv=("bash", "-c", _LINES, "bash", *words), timeout=30.0))
    parts = result.stdout.decode(errors="replace").split("\0")
    return [*parts, *[""] * len(wanted)][: len(wanted)]


async def _texts(sandbox: Sandbox, uses: Sequence[Use]) -> dict[tuple[str, int], str]:
    by_path: dict[str, list[int]] = {}
    for use in uses:
        by_path.setdefault(use.path, []).append(use.line)
    scripts = {path: ";".join(f"{line}p" for line in lines) for path, lines in by_path.items()}
    found = {}
    for (path, lines), text in zip(by_path.items(), await _lines(sandbox, scripts), strict=True):
        found.update({(path, line): one for line, one in zip(lines, text.split("\n"), strict=False)})
    return found


def _place(place: Place) -> str:
    one = place.definition
    name = f"{one.container}.{one.name}" if one.container else one.name
    return f"{place.path}:{one.line}-{one.end}  {one.kind} {name}: {one.text}"


def _path(target: str) -> str:
    return target.removeprefix(f"{WORKSPACE}/").removeprefix("./").rstrip("/") if target != WORKSPACE else ""


def _cut(count: int, shown: int) -> str:
    return f", {shown} of them shown" if count > shown else ""


def _folders(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(paths))[:5]
