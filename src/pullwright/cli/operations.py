"""`task export|update|revert|backport|conflicts`: what git can do with a change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pullwright.cli.desk import with_desk
from pullwright.cli.task import see
from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from pullwright.cli.desk import Desk

Background = Annotated[bool, Parameter(name="--no-wait", negative=())]


def export(
    task_id: str,
    /,
    *,
    form: Annotated[Literal["patch", "mbox", "bundle"], Parameter(name="--format")] = "patch",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    attempt: int | None = None,
    json: bool = False,
) -> int:
    """Write the change to a file: a patch for `git apply`, mails for `git am`, a bundle for `git fetch`.

    Args:
        task_id: The task.
        form: patch, mbox or bundle.
        output: The file to write, which must not be there yet; standard output if not given.
        attempt: Which attempt's change, counted from 1; the delivered one if not given.
        json: Print the path and its size as a JSON object; needs --output.
    """
    if json and output is None:
        raise UsageError("--json tells about a file: name one with --output")
    if output is None and form == "bundle" and sys.stdout.isatty():
        raise UsageError("a bundle is nothing for a terminal: name a file with --output")

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        data = await desk.export(task_id, form, attempt)
        if output is None:
            sys.stdout.buffer.write(data)
            return 0
        _write_new(output, data)
        if json:
            answer_json({"path": str(output), "size": len(data)})
        else:
            answer([Line(f"{shown(str(output))}: {len(data):,} bytes")])
        return 0

    return with_desk(perform)


def update(
    task_id: str,
    /,
    *,
    merge: bool = False,
    rebase: bool = False,
    background: Background = False,
    json: bool = False,
) -> int:
    """Bring a delivered change up to date with its base branch, and with what others added to its own branch.

    Git does it; conflicts are handed to the engine. It is verified again and delivered to the same pull request. The
    exit status is that of `run`.

    Args:
        task_id: The task.
        merge: Merge the base branch into the change, which keeps every commit; the default.
        rebase: Carry the change's commits over to where the base branch is now.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """
    if merge and rebase:
        raise UsageError("choose --merge or --rebase, not both")

    async def perform(desk: Desk) -> int:
        from pullwright.cli.follow import conclude
        from pullwright.cli.screen import Screen
        from pullwright.cli.story import Line
        from pullwright.cli.summary import exit_status
        from pullwright.cli.words import shown

        screen = Screen()
        with screen.moving():
            updated = await desk.update(task_id, "rebase" if rebase else "merge", screen.step)
        screen.show([Line(shown(updated.text), "plain" if updated.needed else "good")])
        if not updated.needed:
            conclude(updated.task, json=json)
            return exit_status(updated.task)
        return await see(desk, updated.task, background=background, json=json, news=True)

    return with_desk(perform)


def revert(
    task_id: str,
    /,
    *,
    base: str | None = None,
    model: str | None = None,
    background: Background = False,
    json: bool = False,
) -> int:
    """Hand in a task that takes back what another delivered: by git, with a model's help where later changes conflict.

    It is verified and delivered as a pull request of its own. The exit status is that of `run`.

    Args:
        task_id: The task whose change is to be taken back.
        base: The branch to take it back on; the one it was made for if not given.
        model: The model for conflicts, PROVIDER:NAME.
        background: Do not follow; a worker in the background does it.
        json: Print the new task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        task = await desk.steer("revert", task_id, base=base, model=model)
        return await see(desk, task, background=background, json=json, cancels=True)

    return with_desk(perform)


def backport(
    task_id: str,
    /,
    *,
    onto: list[str] | None = None,
    model: str | None = None,
    background: Background = False,
    json: bool = False,
) -> int:
    """Carry a delivered change over to other branches: a task, a verification and a pull request for each.

    The exit status is that of `run`, of the first that did not come to a ready pull request.

    Args:
        task_id: The task whose change is to be carried over.
        onto: A branch; may be given more than once.
        model: The model for conflicts, PROVIDER:NAME.
        background: Do not follow; a worker in the background does it.
        json: Print the new tasks as a JSON array on standard output.
    """

    async def perform(desk: Desk) -> int:
        tasks = await desk.backport(task_id, tuple(onto or ()), model)
        return await desk.see_all(tasks, json=json, background=background)

    return with_desk(perform)


def conflicts(*, repo: str = ".", json: bool = False) -> int:
    """Show which open changes of a repository conflict, and the order to merge them in.

    Looked at are the pull requests that tasks have delivered and that are not merged yet, what running attempts have so
    far, and on a forge the newest open pull requests of others. Exit status 3 where there are conflicts.

    Args:
        repo: The repository: a path on disk or a URL.
        json: Print the order and the conflicts as a JSON object.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import Screen, answer, answer_json
        from pullwright.cli.summary import landing_lines

        screen = Screen()
        with screen.moving():
            screen.step("comparing the open changes")
            found = await desk.landing(repo)
        if json:
            answer_json(
                {
                    "order": [candidate.model_dump(mode="json") for candidate in found.order],
                    "conflicts": [clash.model_dump(mode="json") for clash in found.clashes],
                    "with_base": found.with_base,
                    "untold": found.untold,
                }
            )
        else:
            answer(landing_lines(found.order, found.clashes, found.with_base, found.untold))
        return 3 if found.clashes or found.with_base else 0

    return with_desk(perform)


def _write_new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as stream:
            stream.write(data)
    except FileExistsError:
        raise UsageError(f"{path} is there already; name another file with --output") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}. Name another file with --output") from error
