"""`run`: hand in a task and follow it to its pull request."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from pullwright.cli.desk import with_desk
from pullwright.domain.errors import UsageError

if TYPE_CHECKING:
    from pullwright.cli.desk import Desk
    from pullwright.domain.limits import AttemptLimits
    from pullwright.flow.desk import Order


def run(
    task: str,
    /,
    *,
    repo: str = ".",
    base: str | None = None,
    from_pr: str | None = None,
    onto: bool = False,
    with_changes: bool = False,
    attempts: int | None = None,
    engine: list[str] | None = None,
    model: list[str] | None = None,
    check: str | None = None,
    setup: str | None = None,
    image: str | None = None,
    sparse: list[str] | None = None,
    mcp: list[str] | None = None,
    allow_host: list[str] | None = None,
    max_cost: float | None = None,
    max_minutes: float | None = None,
    max_turns: int | None = None,
    max_tokens: int | None = None,
    max_context: int | None = None,
    search_seconds: float | None = None,
    ask: bool = False,
    branch: str | None = None,
    author: str | None = None,
    co_author: list[str] | None = None,
    commits: Literal["squash", "keep"] | None = None,
    background: Annotated[bool, Parameter(name="--no-wait", negative=())] = False,
    json: bool = False,
) -> int:
    """Hand in a task and follow it to its pull request.

    Ctrl-C cancels the task. Exit status: 0 a ready pull request (with --ask: an answer), 3 no ready change, the reason
    is printed and a draft may exist, 2 wrong usage, 1 a fault of the platform, 130 cancelled.

    Args:
        task: What is to be done, in your own words.
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to start from; the repository's HEAD if not given.
        from_pr: Start from a person's open pull request: its number, or its address (then without --repo). The change
            gets a branch and a pull request of its own, offered to theirs.
        onto: Move the branch that it starts from (--base, --from-pr) forward instead; never by force.
        with_changes: Take the uncommitted changes of the working tree along.
        attempts: How many attempts to make; the best by verdict, then size, is delivered.
        engine: Who makes them: native, repair or acp:NAME; may be given more than once. The default is native where a
            model is configured, else repair.
        model: The model, PROVIDER:NAME; may be given more than once.
        check: The command that runs the tests, instead of what is detected.
        setup: The command that installs what the repository needs, instead of what is detected.
        image: What the sandboxes are made of, instead of this host's own tools: docker://NAME[:TAG], oci:LAYOUT[:TAG]
            or dir:DIRECTORY; host for this host's own tools, where the repository says otherwise.
        sparse: A directory to lay out, where only a part of the repository is wanted; may be given more than once.
            Files in the directories above it are there, too.
        mcp: An MCP server, NAME=COMMAND, whose tools the agent has. It runs in the agent's sandbox; may be given more
            than once. The repository's own are in `.pullwright.toml`.
        allow_host: A host that the engines may reach: HOST, HOST:PORT, '*.HOST', 'GET,HEAD HOST', or
            preset:package-registries; may be given more than once. Without it the environment's policy holds.
        max_cost: End an attempt before a call to the model that could make it cost more US dollars than this.
        max_minutes: End an attempt after this many minutes; waiting for an answer or a provider does not count.
        max_turns: End an attempt after so many questions to the model.
        max_tokens: End an attempt before a call that could make it use more tokens than this, in and out together.
        max_context: Sum the conversation up where it gets longer than so many tokens; by default near what the model
            takes.
        search_seconds: How long the repair engine searches for an edit, all its searches together.
        ask: Answer a question about the repository, changing nothing.
        branch: The branch that the change is delivered on, or a rule for it with {task}, {slug}, {user} or {repository}
            in it; pullwright/{task} if nothing else is configured.
        author: Who the commits are by, NAME <MAIL>.
        co_author: Who is named beside the author, NAME <MAIL>, or `none`; may be given more than once. The default is
            you, as your git knows you: you answer for the task.
        commits: squash: one commit for the whole change; keep: those that the agent makes.
        background: Hand it in and return; a worker in the background does it.
        json: Print the task as JSON on standard output.
    """
    if not task.strip():
        raise UsageError("the task is empty: say what is to be done")
    if attempts is not None and attempts < 1:
        raise UsageError(f"--attempts takes a number above 0, not {attempts}")
    from pullwright.domain.network import canonical
    from pullwright.flow.desk import Order

    order = Order(
        prompt=task,
        repository=repo,
        cwd=Path.cwd(),
        base=base,
        from_pr=from_pr,
        onto=onto,
        with_changes=with_changes,
        attempts=attempts or 1,
        engines=tuple(engine or ()),
        models=tuple(model or ()),
        check=check,
        setup=setup,
        image=image,
        sparse=tuple(sparse or ()),
        servers=tuple(_server(text) for text in mcp or ()),
        ask=ask,
        branch=branch,
        author=author,
        co_authors=tuple(co_author or ()),
        commits=commits,
        allow=tuple(canonical(rule) for rule in allow_host or ()),
        limits=_limits(max_cost, max_minutes, search_seconds, max_turns, max_tokens, max_context),
    )
    return _run(order, background=background, json=json)


def _server(text: str) -> tuple[str, str]:
    """`NAME=COMMAND`."""
    from pullwright.domain.environment import server_name

    name, equals, command = text.partition("=")
    if not equals or not command.strip():
        raise UsageError(f"--mcp takes NAME=COMMAND, not {text!r}")
    return server_name(name.strip()), command.strip()


def _limits(
    cost: float | None,
    minutes: float | None,
    search: float | None,
    turns: int | None,
    tokens: int | None,
    context: int | None,
) -> AttemptLimits:
    """The attempts' budget: what was said, and what holds by default."""
    from pydantic import ValidationError

    from pullwright.domain.limits import AttemptLimits

    said: dict[str, tuple[str, float | None]] = {
        "cost": ("--max-cost", cost),
        "minutes": ("--max-minutes", minutes),
        "search": ("--search-seconds", search),
        "turns": ("--max-turns", turns),
        "tokens": ("--max-tokens", tokens),
        "context": ("--max-context", context),
    }
    for option, value in said.values():
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{option} takes a number above 0, not {value}")
    try:
        return AttemptLimits.model_validate({name: value for name, (_, value) in said.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise UsageError(f"{said[str(first['loc'][0])][0]}: {first['msg']}") from error


def _run(order: Order, *, background: bool, json: bool) -> int:
    async def perform(desk: Desk) -> int:
        from pullwright.cli.screen import Screen
        from pullwright.cli.story import Line
        from pullwright.cli.words import first_line, shown

        screen = Screen()
        with screen.moving():
            task = await desk.submit(order, screen.step)
        where = f"{task.request.repository.name} at {task.request.base_commit[:12]}"
        screen.show(
            [Line(f"task {task.id}  {first_line(task.request.prompt)}", "head"), Line(f"        {shown(where)}")]
        )
        return await desk.see(task, json=json, background=background, cancels=True, news=False, quiet=True)

    return with_desk(perform)
