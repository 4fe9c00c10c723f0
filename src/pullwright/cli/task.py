"""`task list|show|watch|diff|log|apply|message|cancel|retry`, and where to find its other commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from pullwright.cli.desk import with_desk

if TYPE_CHECKING:
    from pullwright.cli.desk import Desk
    from pullwright.domain.task import Task

app = App(name="task", help="Look at tasks and steer them. An ID may be shortened to its first letters.")

Background = Annotated[bool, Parameter(name="--no-wait", negative=())]


@app.command(name="list", sort_key=0)
def list_tasks(*, limit: int = 100, json: bool = False) -> int:
    """List the newest tasks.

    Args:
        limit: How many.
        json: Print them as a JSON array.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.cli.summary import table_rows
        from pullwright.domain.contract import TaskView

        tasks = await desk.tasks(max(limit, 0))
        if json:
            answer_json([TaskView.of(task).model_dump(mode="json") for task in tasks])
        elif tasks:
            answer_table(("ID", "STATE", "AGE", "REPOSITORY", "VERDICT", "RESULT", "TASK"), table_rows(tasks))
        else:
            answer([Line('no tasks yet; `pullwright run "TASK" --repo PATH` hands in the first')])
        return 0

    return with_desk(perform, looks=True)


@app.command(sort_key=1)
def show(task_id: str, /, *, json: bool = False) -> int:
    """Show a task, its attempts and what it came to.

    Args:
        task_id: The task.
        json: Print it as JSON.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.summary import refused_hosts, task_lines
        from pullwright.domain.contract import TaskView

        task = await desk.task(task_id)
        events = await desk.events(task)
        if json:
            answer_json(TaskView.of(task).model_dump(mode="json"))
        else:
            answer(task_lines(task, refused_hosts(events)))
        return 0

    return with_desk(perform, looks=True)


@app.command(sort_key=2)
def watch(task_id: str, /, *, json: bool = False) -> int:
    """Follow a task to its end; go on with it where nobody else does. Ctrl-C ends the watching, not the task.

    The exit status is that of `run`.

    Args:
        task_id: The task.
        json: Print the task as JSON once it has ended.
    """

    async def perform(desk: Desk) -> int:
        return await see(desk, await desk.task(task_id), json=json)

    return with_desk(perform)


@app.command(sort_key=3)
def diff(task_id: str, /, *, attempt: int | None = None, json: bool = False) -> int:
    """Print the change as a patch that `git apply` takes.

    Args:
        task_id: The task.
        attempt: Which attempt's change, counted from 1; the delivered one if not given.
        json: Print it as a JSON object with the key `patch`.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.summary import patch_lines

        patch = await desk.export(task_id, "patch", attempt)
        if json:
            answer_json({"patch": patch.decode(errors="surrogateescape")})
        elif sys.stdout.isatty():
            answer(patch_lines(patch))
        else:
            sys.stdout.buffer.write(patch)
        return 0

    return with_desk(perform)


@app.command(sort_key=4)
def log(task_id: str, /, *, attempt: int | None = None, json: bool = False) -> int:
    """Print everything that happened.

    Args:
        task_id: The task.
        attempt: Only this attempt's log, counted from 1.
        json: Print the events as they are recorded, one JSON object a line.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer
        from pullwright.cli.transcript import transcript
        from pullwright.domain.errors import UsageError

        task = await desk.task(task_id)
        events = await desk.events(task)
        if attempt is not None:
            wanted = [one.id for one in task.attempts if one.ordinal == attempt]
            if not wanted:
                raise UsageError(f"task {task.id} has no attempt {attempt}; it has {len(task.attempts)}")
            events = [recorded for recorded in events if recorded.log in wanted]
        if json:
            for recorded in events:
                sys.stdout.write(recorded.model_dump_json() + "\n")
        else:
            answer(transcript(task, events))
        return 0

    return with_desk(perform, looks=True)


@app.command(sort_key=5)
def apply(
    task_id: str,
    /,
    *,
    attempt: int | None = None,
    repo: str | None = None,
    markers: Annotated[bool, Parameter(name="--3way", negative=())] = False,
    json: bool = False,
) -> int:
    """Put the change on the working tree of the repository, merged with what is there. Nothing of yours is overwritten.

    Exit status 3 where files are left with markers in them.

    Args:
        task_id: The task.
        attempt: Which attempt's change, counted from 1; the delivered one if not given.
        repo: The checkout to put it on, instead of the task's own repository. Of a server's task it is one of this
            machine, the current directory's if not given.
        markers: Where the change does not fit, leave both sides between markers instead of changing nothing.
        json: Print the changed paths as a JSON object with the keys `paths` and `conflicts`.
    """

    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.cli.words import count, shown

        applied = await desk.apply(task_id, attempt, repo, markers=markers)
        if json:
            answer_json({"paths": applied.paths, "conflicts": applied.conflicts})
        else:
            answer([Line(f"applied to {count(len(applied.paths), 'file')}")])
            answer([Line(f"  {shown(path)}") for path in applied.paths if path not in applied.conflicts])
            answer([Line(f"  {shown(path)}  both sides are in it", "warning") for path in applied.conflicts])
        return 3 if applied.conflicts else 0

    return with_desk(perform)


for _name in ("export", "update", "revert", "backport", "conflicts"):
    app.command(f"pullwright.cli.operations:{_name}", name=_name, sort_key=5)


@app.command(sort_key=6)
def message(
    task_id: str,
    text: str,
    /,
    *,
    on: list[str] | None = None,
    background: Background = False,
    json: bool = False,
) -> int:
    """Say something to the agent, then follow the task. A task that has ended is taken up again.

    Args:
        task_id: The task.
        text: What it should know or do.
        on: The line of the change that it is about, PATH:LINE; may be given more than once.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        task = await desk.steer("message", task_id, text=text, **({"on": on} if on else {}))
        return await see(desk, task, background=background, json=json)

    return with_desk(perform)


@app.command(sort_key=7)
def cancel(task_id: str, /, *, json: bool = False) -> int:
    """Stop a task. What its attempts have done so far stays in the record.

    Args:
        task_id: The task.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        # A worker that runs stops it; where none does, this process is the worker.
        await see(desk, await desk.steer("cancel", task_id), json=json, news=True, quiet=True)
        return 0

    return with_desk(perform)


@app.command(sort_key=8)
def retry(task_id: str, /, *, background: Background = False, json: bool = False) -> int:
    """Hand the same task in once more, from the same base, and follow it.

    Args:
        task_id: The task.
        background: Do not follow; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """

    async def perform(desk: Desk) -> int:
        return await see(desk, await desk.steer("retry", task_id), background=background, json=json, cancels=True)

    return with_desk(perform)


async def see(
    desk: Desk,
    task: Task,
    *,
    json: bool,
    background: bool = False,
    cancels: bool = False,
    news: bool = False,
    quiet: bool = False,
) -> int:
    """Follow a task to its end, or leave it to whoever works in the background; `quiet`: without naming it first."""
    return await desk.see(task, json=json, background=background, cancels=cancels, news=news, quiet=quiet)


app.command("pullwright.cli.feedback:deliver", name="deliver", sort_key=9)
app.command("pullwright.cli.feedback:sync", name="sync", sort_key=9)
app.command("pullwright.cli.steering:answer", name="answer", sort_key=10)
app.command("pullwright.cli.steering:pause", name="pause", sort_key=11)
app.command("pullwright.cli.steering:resume", name="resume", sort_key=12)
app.command("pullwright.cli.steering:rewind", name="rewind", sort_key=13)
app.command("pullwright.cli.steering:fork", name="fork", sort_key=14)
app.command("pullwright.cli.steering:undo_compaction", name="undo-compaction", sort_key=15)
