"""`env list|remove|clean`: what is prepared on this machine, and room for more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pullwright.cli.environments import with_environments

if TYPE_CHECKING:
    from pullwright.cli.environments import Environments
    from pullwright.flow.shelf import Removed


def list_environments(*, json: bool = False) -> int:
    """List the environments that are prepared on this machine, and what they take on the disk.

    Args:
        json: Print them as a JSON array.
    """

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line

        there = await all_of_them.shelf()
        if json:
            answer_json([one.model_dump(mode="json") for one in there.environments])
            return 0
        rows = [
            (
                one.repository,
                *_named(one.key),
                f"{one.prepared.astimezone():%Y-%m-%d %H:%M}",
                f"{one.used.astimezone():%Y-%m-%d %H:%M}",
                amount(one.bytes),
                "needed" if one.needed else "in use" if one.held else "",
            )
            for one in reversed(there.environments)
        ]
        rows += [
            (one.repository, *_named(one.key), f"{one.prepared.astimezone():%Y-%m-%d %H:%M}", "", "", "failed")
            for one in there.failed
        ]
        if rows:
            answer_table(("REPOSITORY", "LAYER", "ENVIRONMENT", "PREPARED", "USED", "SIZE", "STATE"), rows)
            answer([Line(f"{amount(there.bytes)} on the disk, of {amount(there.budget)} that they may take", "dim")])
        else:
            answer([Line("no environment is prepared yet; `pullwright env prepare --repo PATH` prepares one")])
        return 0

    return with_environments(perform)


def remove(*, repo: str = ".", json: bool = False) -> int:
    """Remove what is prepared of a repository; the next task prepares it anew. What is in use stays.

    Args:
        repo: The repository: a path on disk or a URL.
        json: Print what was removed as JSON.
    """

    async def perform(all_of_them: Environments) -> int:
        _tell(await all_of_them.remove(repo), json=json)
        return 0

    return with_environments(perform)


def clean(*, everything: bool = False, json: bool = False) -> int:
    """Remove what nothing needs: remains of what died, and prepared environments beyond what they may take.

    A worker does so by itself. How much they may take is PULLWRIGHT_LAYER_BYTES, else a fifth of the disk.

    Args:
        everything: All that no sandbox and no unfinished task uses, whatever there is room for.
        json: Print what was removed as JSON.
    """

    async def perform(all_of_them: Environments) -> int:
        _tell(await all_of_them.clean(everything=everything), json=json)
        return 0

    return with_environments(perform)


def amount(size: int) -> str:
    """Bytes in words."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def _named(key: str) -> tuple[str, str]:
    """What a layer is, and the environment's own part of its key."""
    kind, _, rest = key.partition("-")
    return {"tree": "checkout", "kept": "maintenance"}.get(kind, kind), rest[:12]


def _tell(removed: Removed, *, json: bool) -> None:
    from pullwright.cli.screen import Screen, answer, answer_json
    from pullwright.cli.story import Line
    from pullwright.cli.words import count, shown

    if json:
        answer_json({"environments": removed.environments, "bytes": removed.size, "kept": list(removed.kept)})
        return
    answer([Line(f"removed {count(removed.environments, 'environment')}, {amount(removed.size)}")])
    Screen().show([Line(f"kept: {shown(why)}", "dim") for why in removed.kept[:20]])
