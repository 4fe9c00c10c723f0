"""`env limits`: what a repository's sandboxes may use of the machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pullwright.cli.environments import with_environments

if TYPE_CHECKING:
    from pullwright.cli.environments import Environments
    from pullwright.cli.story import Line
    from pullwright.domain.limits import SandboxLimits


def limits(
    *,
    repo: str = ".",
    memory: str | None = None,
    processes: int | None = None,
    cpus: str | None = None,
    disk: str | None = None,
    files: int | None = None,
    default: bool = False,
    json: bool = False,
) -> int:
    """Show or decide what each sandbox of a repository may use of this machine; what starts from now on follows.

    A repository's own files have no say in it. `pullwright doctor` says which limits this machine can hold, and how.

    Args:
        repo: The repository: a path on disk or a URL.
        memory: Bytes of memory, all processes and /dev/shm together, like 8GiB.
        processes: Processes and threads.
        cpus: Processors' worth of time, like 1.5; `all` for no limit.
        disk: Bytes that may be written: workspace, HOME, /opt/env and /tmp together, like 40GiB.
        files: Files, directories and links there.
        default: Begin from the defaults, not from what holds now.
        json: Print the limits as JSON.
    """
    changes = _changes(memory, processes, cpus, disk, files)

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import answer, answer_json

        if changes or default:
            hold, held = await all_of_them.set_limits(repo, changes, default=default)
        else:
            hold, held = await all_of_them.limits(repo)
        if json:
            answer_json(hold.model_dump(mode="json"))
        else:
            answer(limits_lines(hold, held))
        return 0

    return with_environments(perform)


def _changes(
    memory: str | None, processes: int | None, cpus: str | None, disk: str | None, files: int | None
) -> dict[str, object]:
    from pullwright.domain.limits import parse_size

    changes: dict[str, object] = {}
    if memory is not None:
        changes["memory"] = parse_size(memory)
    if disk is not None:
        changes["disk"] = parse_size(disk)
    if processes is not None:
        changes["processes"] = processes
    if files is not None:
        changes["inodes"] = files
    if cpus is not None:
        changes["cpus"] = None if cpus == "all" else _number(cpus)
    return changes


def _number(cpus: str) -> float:
    from pullwright.domain.errors import UsageError

    try:
        number = float(cpus)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{cpus!r} is no number of processors: write one like 1.5, or all")
    return number


def limits_lines(limits: SandboxLimits, held: str) -> list[Line]:
    """Each limit, and how this machine holds them."""
    from pullwright.cli.story import Line
    from pullwright.domain.limits import in_bytes

    rows = (
        ("memory", in_bytes(limits.memory)),
        ("processes", f"{limits.processes:,}"),
        ("cpus", "all" if limits.cpus is None else f"{limits.cpus:g}"),
        ("disk", in_bytes(limits.disk)),
        ("files", f"{limits.inodes:,}"),
    )
    return [*(Line(f"{name:<10} {value}") for name, value in rows), Line(f"here: {held}", "dim")]
