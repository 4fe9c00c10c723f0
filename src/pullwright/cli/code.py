"""`code map|find|refs|tests`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

if TYPE_CHECKING:
    from pullwright.code.index.uses import Place, Use
    from pullwright.flow.codebase import Opened

app = App(name="code", help="Find one's way in a repository: map, find, refs, tests.")

_LINES = 100  # of uses that are printed


@app.command(name="map", sort_key=0)
def show_map(*words: str, repo: str = ".", base: str | None = None, tokens: int = 2000, json: bool = False) -> int:
    """Show the definitions that matter most, and most of all to what the words speak of.

    Args:
        words: What the map is for, such as a task; names and files in it are preferred.
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to look at; the working tree as it is if not given.
        tokens: How long the map may be, in tokens of a model, about.
        json: Print it as JSON.
    """

    async def perform() -> int:
        async with _opened(repo, base) as opened:
            text = await opened.codebase.map(" ".join(words), tokens)
            _print({"map": text, "files": len(opened.codebase.snapshot.files)}, text.splitlines(), opened, json=json)
            return 0

    return asyncio.run(perform())


@app.command(sort_key=1)
def find(symbol: str, *, repo: str = ".", base: str | None = None, json: bool = False) -> int:
    """Find where a symbol is defined, or what a file defines. Exit status 1 where nothing is found.

    Args:
        symbol: `name`, `Owner.name`, `path:name`, or the path of a file.
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to look at; the working tree as it is if not given.
        json: Print it as JSON.
    """

    async def perform() -> int:
        from pullwright.code.index.codebase import Found
        from pullwright.code.index.uses import Place

        async with _opened(repo, base) as opened:
            outline = await opened.codebase.outline(symbol)
            found = await opened.codebase.find(symbol) if outline is None else Found(())
            places = list(found.places) if outline is None else [Place(symbol, one) for one in outline]
            lines = [_place(one) for one in places]
            if not lines:
                alike = f"; there is {', '.join(found.similar)}" if found.similar else ""
                lines = [f"{symbol} is not defined here{alike}"]
            value = {"definitions": [_place_value(one) for one in places], "similar": list(found.similar)}
            _print(value, lines, opened, json=json)
            return 0 if places else 1

    return asyncio.run(perform())


@app.command(sort_key=2)
def refs(symbol: str, *, repo: str = ".", base: str | None = None, everything: bool = False, json: bool = False) -> int:
    """Find where a symbol is used, or who imports a file. Exit status 1 where nothing is found.

    Uses that imports and syntax speak for come first, then possible ones: members of objects of unknown type.

    Args:
        symbol: `name`, `Owner.name`, `path:name`, or the path of a file.
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to look at; the working tree as it is if not given.
        everything: Show the lines that only hold the same name, too, and do not cut the list.
        json: Print it as JSON.
    """

    async def perform() -> int:
        async with _opened(repo, base) as opened:
            codebase = opened.codebase
            if symbol in codebase.snapshot.files:
                importers = await codebase.importers(symbol)
                lines = [f"{one.path}:{one.line}  {', '.join(one.names)}".rstrip() for one in importers]
                value: dict[str, Any] = {
                    "importers": [{"path": i.path, "line": i.line, "names": list(i.names)} for i in importers]
                }
                _print(value, lines or [f"no file imports {symbol}"], opened, json=json)
                return 0 if importers else 1
            found = await codebase.references(symbol)
            groups = [("", found.uses), ("possibly:", found.possible)]
            groups += [("the same name, but seemingly of another:", found.others)] if everything else []
            uses = found.uses + found.possible
            lines = _grouped(groups, None if everything else _LINES)
            if found.others and not everything:
                lines.append(
                    f"{len(found.others):,} lines hold the same name and seem to mean another; see --everything"
                )
            value = {
                "definitions": [_place_value(one) for one in found.places],
                "uses": [one._asdict() for one in found.uses],
                "possible": [one._asdict() for one in found.possible],
                "others": [one._asdict() for one in found.others],
            }
            _print(value, lines or [f"{symbol} is not used here"], opened, json=json)
            return 0 if uses else 1

    return asyncio.run(perform())


@app.command(name="tests", sort_key=3)
def list_tests(
    *paths: str, repo: str = ".", base: str | None = None, since: str | None = None, json: bool = False
) -> int:
    """List the tests that a change touches, nearest first: along imports, and by coverage where a check recorded it.

    Args:
        paths: The changed files, from the repository's root; without them, what differs from `since`.
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to look at; the working tree as it is if not given.
        since: The branch, tag or commit that the change starts from; the commit before if not given.
        json: Print it as JSON.
    """

    async def perform() -> int:
        from pullwright.flow.codebase import changed_paths

        async with _opened(repo, base) as opened:
            changed = list(paths) or await changed_paths(opened, since)
            touched = await opened.codebase.tests_for(changed)
            lines = [f"{one.path}  {one.why}" for one in touched.tests]
            lines.append(
                f"{len(touched.tests):,} of {touched.all_tests:,} files of tests, for {len(changed):,} changed files"
            )
            if touched.unknown:
                lines.append(
                    f"nothing is known of {', '.join(touched.unknown[:10])}: not a file of an indexed language"
                )
            value = {
                "changed": changed,
                "tests": [{"path": one.path, "distance": one.distance, "why": one.why} for one in touched.tests],
                "all_tests": touched.all_tests,
                "unknown": list(touched.unknown),
            }
            _print(value, lines, opened, json=json)
            return 0

    return asyncio.run(perform())


@asynccontextmanager
async def _opened(repo: str, base: str | None) -> AsyncIterator[Opened]:
    from pullwright.cli.house import settings
    from pullwright.cli.screen import Screen
    from pullwright.code.index.indexes import Indexes
    from pullwright.flow.codebase import Wanted, open_codebase
    from pullwright.repos.mirror import Repositories

    # Neither the record nor the rest of the platform: they take longer to load than a question takes.
    screen, chosen = Screen(), settings()
    indexes = Indexes.of(chosen)
    try:
        with screen.moving():
            wanted = Wanted(repo, Path.cwd(), base)
            yield await open_codebase(Repositories.of(chosen), indexes, wanted, screen.step)
    finally:
        indexes.close()


def _print(value: dict[str, Any], lines: list[str], opened: Opened, *, json: bool) -> None:
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line
    from pullwright.cli.words import shown

    if json:
        about = {"repository": opened.repository.location, "commit": opened.commit, "with_changes": opened.with_changes}
        answer_json({**about, **value})
        return
    answer([Line(shown(line)) for line in lines])
    answer([Line(f"note: {shown(note)}", "dim") for note in opened.codebase.notes])


def _place(place: Place) -> str:
    one = place.definition
    name = f"{one.container}.{one.name}" if one.container else one.name
    return f"{place.path}:{one.line}  {one.kind} {name}  {one.text}".rstrip()


def _place_value(place: Place) -> dict[str, Any]:
    one = place.definition
    return {
        "path": place.path,
        "line": one.line,
        "end": one.end,
        "name": one.name,
        "kind": one.kind,
        "container": one.container,
        "text": one.text,
    }


def _grouped(groups: list[tuple[str, tuple[Use, ...]]], room: int | None) -> list[str]:
    """The uses below their headings, at most `room` of them all together."""
    lines: list[str] = []
    left = room
    for heading, uses in groups:
        shown = uses if left is None else uses[:left]
        lines += [heading] if heading and shown else []
        lines += [_use(one) for one in shown]
        if len(shown) < len(uses):
            lines.append(
                f"and {len(uses) - len(shown):,} more{' ' + heading.rstrip(':') if heading else ''}; see --everything"
            )
        left = left if left is None else left - len(shown)
    return lines


def _use(use: Use) -> str:
    return f"{use.path}:{use.line}  {'import' if use.imported else use.within}".rstrip()
