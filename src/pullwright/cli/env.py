"""`env show|prepare|shell|log`, and the internet's commands beside them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from pullwright.cli.credential import app as credential
from pullwright.cli.environments import with_environments
from pullwright.cli.internet import allow, deny, image, internet, learn, policy_lines
from pullwright.cli.limits import limits
from pullwright.cli.secret import app as secret
from pullwright.cli.shelf import clean, list_environments, remove

if TYPE_CHECKING:
    from pullwright.cli.environments import Environments, Seen, Step
    from pullwright.flow.desk import Order

app = App(name="env", help="The environments that tasks work in.")
app.command(internet, sort_key=5)
app.command(allow, sort_key=6)
app.command(deny, sort_key=7)
app.command(learn, sort_key=8)
app.command(limits, sort_key=9)
app.command(list_environments, name="list", sort_key=0)
app.command(remove, sort_key=11)
app.command(clean, sort_key=12)
app.command(image, sort_key=10)
app.command(credential)
app.command(secret)

_SHELL = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh")


@app.command(sort_key=1)
def show(
    *,
    repo: str = ".",
    base: str | None = None,
    check: str | None = None,
    setup: str | None = None,
    image: str | None = None,
    sparse: list[str] | None = None,
    json: bool = False,
) -> int:
    """Show what would be chosen for a repository, and why.

    Args:
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to look at; the repository's HEAD if not given.
        check: A check command, as `run` would be given it.
        setup: A setup command, as `run` would be given it.
        image: What is inside, as `run` would be given it.
        sparse: A directory to lay out, as `run` would be given it.
        json: Print it as JSON.
    """
    return _survey(_order(repo, base, check, setup, image, sparse), prepare=False, json=json)


@app.command(sort_key=2)
def prepare(
    *,
    repo: str = ".",
    base: str | None = None,
    check: str | None = None,
    setup: str | None = None,
    image: str | None = None,
    sparse: list[str] | None = None,
    json: bool = False,
) -> int:
    """Prepare a repository's environment now, before a task needs it.

    Args:
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to prepare; the repository's HEAD if not given.
        check: A check command, as `run` would be given it.
        setup: A setup command, as `run` would be given it.
        image: What is inside, as `run` would be given it.
        sparse: A directory to lay out, as `run` would be given it.
        json: Print it as JSON.
    """
    return _survey(_order(repo, base, check, setup, image, sparse), prepare=True, json=json)


@app.command(sort_key=3)
def shell(
    *argv: Annotated[str, Parameter(allow_leading_hyphen=True)],
    repo: str = ".",
    base: str | None = None,
    setup: str | None = None,
    image: str | None = None,
    sparse: list[str] | None = None,
    json: bool = False,
) -> int:
    """Run a command, or an interactive shell, in a fresh sandbox of a repository's environment.

    It is what an attempt would have. The command's exit status is passed on; what it writes is discarded.

    Args:
        argv: The command and its arguments, after `--`; a shell if not given.
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to check out; the repository's HEAD if not given.
        setup: A setup command, as `run` would be given it.
        image: What is inside, as `run` would be given it.
        sparse: A directory to lay out, as `run` would be given it.
        json: Print the exit status as JSON on standard output once it has ended; its output goes to standard error.
    """
    return asyncio.run(_shell(_order(repo, base, None, setup, image, sparse), argv or _SHELL, json=json))


@app.command(sort_key=4)
def log(*, repo: str = ".", maintenance: bool = False) -> int:
    """Print what a repository's setup printed when it was run last, also where it failed.

    Args:
        repo: The repository: a path on disk or a URL.
        maintenance: The maintenance script's instead.
    """

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import Screen
        from pullwright.cli.story import Line

        step: Step = "maintenance" if maintenance else "setup"
        last = await all_of_them.last_run(repo, step)
        how = "failed" if last.failed else "done"
        Screen().show([Line(f"{step} of {last.at.astimezone():%Y-%m-%d %H:%M:%S}, {how}", "head")])
        sys.stdout.buffer.write(last.text.encode())
        sys.stdout.flush()
        return 0

    return with_environments(perform)


def _order(
    repo: str,
    base: str | None,
    check: str | None,
    setup: str | None,
    image: str | None,
    sparse: list[str] | None,
) -> Order:
    from pullwright.flow.desk import Order

    return Order(
        prompt="",
        repository=repo,
        cwd=Path.cwd(),
        base=base,
        check=check,
        setup=setup,
        image=image,
        sparse=tuple(sparse or ()),
    )


def _survey(order: Order, *, prepare: bool, json: bool) -> int:
    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import Screen
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        screen = Screen()
        warnings: list[str] = []
        try:
            with screen.moving():
                if prepare:
                    seen = await all_of_them.prepare(order, screen.step, warnings.append)
                else:
                    seen = await all_of_them.survey(order, screen.step)
        finally:
            screen.show([Line(shown(text), "warning") for text in warnings])
        screen.show([Line(f"note: {shown(notice)}", "warning") for notice in seen.notices])
        _show(seen, prepared=prepare, json=json)
        return 0

    return with_environments(perform)


def _show(seen: Seen, *, prepared: bool, json: bool) -> None:
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line, environment_lines
    from pullwright.cli.words import shown
    from pullwright.domain.policy import EnvironmentPolicy

    environment = seen.chosen.environment
    if json:
        about = {"repository": seen.repository, "commit": seen.commit, "key": environment.key()}
        answer_json({**about, **seen.chosen.model_dump(mode="json", exclude={"kind"})})
        return
    answer([Line(f"{shown(seen.repository)} at {seen.commit[:12]}", "head")])
    answer(environment_lines(seen.chosen))
    answer([Line("internet:", "head")])
    answer([Line(f"  {line.text}") for line in policy_lines(EnvironmentPolicy(network=environment.network))])
    if prepared:
        answer([Line("prepared", "good")])


async def _shell(order: Order, argv: tuple[str, ...], *, json: bool) -> int:
    from pullwright.cli.console import attach
    from pullwright.cli.house import opened_platform
    from pullwright.cli.screen import Screen, answer_json
    from pullwright.cli.story import Line
    from pullwright.cli.words import shown
    from pullwright.flow import desk

    screen = Screen()
    warnings: list[str] = []
    pty = os.isatty(0) and os.isatty(1) and not json
    async with opened_platform() as platform:
        with screen.moving():
            say, warn = screen.step, warnings.append
            sandbox, process = await desk.shell(platform, order, argv, pty=pty, say=say, warn=warn)
        try:
            status = await attach(process, pty=pty, out=sys.stderr.fileno() if json else sys.stdout.fileno())
        finally:
            await asyncio.shield(sandbox.stop())
            screen.show([Line(shown(text), "warning") for text in warnings])
    if json:
        answer_json({"exit_status": status})
    return status
