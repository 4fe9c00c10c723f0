"""`env internet|allow|deny|learn|image`: what a repository's environment may reach, and what it is made of."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pullwright.cli.environments import Phase, with_environments

if TYPE_CHECKING:
    from pullwright.cli.environments import Environments, Lesson
    from pullwright.cli.story import Line
    from pullwright.domain.network import Reach
    from pullwright.domain.policy import EnvironmentPolicy


def internet(
    mode: Literal["off", "allow", "on"] | None = None,
    /,
    *,
    repo: str = ".",
    phase: Phase = "agent",
    json: bool = False,
) -> int:
    """Show or decide what a repository's environment may reach on the internet.

    off: nothing. allow: the hosts that `env allow` names. on: every public host. Addresses that are not public have to
    be named in any case. The default is on for setup and off while an engine works.

    Args:
        mode: off, allow or on; if not given, what holds is shown.
        repo: The repository: a path on disk or a URL.
        phase: Whom it is for: setup and maintenance scripts, or engines and the verification of their changes.
        json: Print the policy as JSON.
    """
    return _told(
        lambda all_of_them: all_of_them.set_internet(repo, phase, mode) if mode else all_of_them.policy(repo), json=json
    )


def allow(*hosts: str, repo: str = ".", phase: Phase = "agent", json: bool = False) -> int:
    """Let a repository's environment reach hosts; attempts that are under way may too, within seconds.

    Args:
        hosts: HOST, HOST:PORT, '*.HOST', 'GET,HEAD HOST', an ADDRESS or NETWORK/BITS, preset:package-registries or
            preset:code-hosts. Without a port: 80 and 443; :* for every port.
        repo: The repository: a path on disk or a URL.
        phase: Whom it is for: setup and maintenance scripts, or engines and the verification of their changes.
        json: Print the policy as JSON.
    """
    rules = _rules(hosts, "allow")
    return _told(lambda all_of_them: all_of_them.allow(repo, phase, rules), json=json)


def deny(*hosts: str, repo: str = ".", phase: Phase = "agent", json: bool = False) -> int:
    """Keep a repository's environment from reaching hosts, whatever else allows them.

    Args:
        hosts: As `env allow` takes them; what was allowed in the same words is so no more.
        repo: The repository: a path on disk or a URL.
        phase: Whom it is for: setup and maintenance scripts, or engines and the verification of their changes.
        json: Print the policy as JSON.
    """
    rules = _rules(hosts, "deny")
    return _told(lambda all_of_them: all_of_them.deny(repo, phase, rules), json=json)


def image(
    reference: str | None = None,
    /,
    *,
    repo: str = ".",
    forget: bool = False,
    json: bool = False,
) -> int:
    """Show or decide what a repository's environment is made of, whatever its own file says.

    Args:
        reference: docker://NAME[:TAG], oci:LAYOUT[:TAG] or dir:DIRECTORY; host for this host's own tools.
        repo: The repository: a path on disk or a URL.
        forget: Decide nothing any more: what the repository says holds, or else this host's own tools.
        json: Print the policy as JSON.
    """
    from pullwright.domain.errors import UsageError
    from pullwright.domain.image import NONE, image_reference

    if reference and forget:
        raise UsageError("name an image or --forget the one that was named, not both")
    kept = None if reference is None else image_reference(reference, cwd=Path.cwd()) or NONE

    decides = bool(kept or forget)
    return _told(
        lambda all_of_them: all_of_them.set_image(repo, kept) if decides else all_of_them.policy(repo), json=json
    )


def learn(
    *,
    repo: str = ".",
    base: str | None = None,
    setup: str | None = None,
    lock: bool = False,
    json: bool = False,
) -> int:
    """Run a repository's setup once with every public host open to it, and propose the smallest list that allows it.

    Args:
        repo: The repository: a path on disk or a URL.
        base: The branch, tag or commit to set up; the repository's HEAD if not given.
        setup: A setup command, as `run` would be given it.
        lock: Take the proposal at once: from then on setup reaches those hosts and nothing else.
        json: Print what was learned as JSON.
    """

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import Screen, answer, answer_json
        from pullwright.flow.desk import Order

        screen = Screen()
        order = Order(prompt="", repository=repo, cwd=Path.cwd(), base=base, setup=setup)
        with screen.moving():
            learned = await all_of_them.learn(order, screen.step, lock=lock)
        if json:
            refused = [{"host": event.host, "port": event.port, "reason": event.reason} for event in learned.refused]
            answer_json({"rules": learned.rules, "presets": learned.presets, "refused": refused, "locked": lock})
            return 0
        answer(_learned_lines(learned, repo, locked=lock))
        if learned.policy:
            answer(policy_lines(learned.policy))
        return 0

    return with_environments(perform)


def _rules(hosts: tuple[str, ...], verb: Literal["allow", "deny"]) -> list[str]:
    from pullwright.domain.errors import UsageError
    from pullwright.domain.network import canonical

    if not hosts:
        raise UsageError(f"name a host: pullwright env {verb} HOST")
    return [canonical(host) for host in hosts]


def _told(ask: Callable[[Environments], Awaitable[EnvironmentPolicy]], *, json: bool) -> int:
    """Ask for a policy, or decide on it, and tell what holds."""

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import answer, answer_json

        policy = await ask(all_of_them)
        if json:
            answer_json(policy.model_dump(mode="json"))
        else:
            answer(policy_lines(policy))
        return 0

    return with_environments(perform)


def policy_lines(policy: EnvironmentPolicy) -> list[Line]:
    """What each phase may reach."""
    from pullwright.cli.story import Line
    from pullwright.cli.words import shown

    network = policy.network
    made = [Line(f"image  {shown(policy.image)}", "head")] if policy.image else []
    return [*made, *_reach_lines("setup", network.setup), *_reach_lines("agent", network.agent)]


def _reach_lines(phase: str, reach: Reach) -> list[Line]:
    from pullwright.cli.story import Line
    from pullwright.domain.network import Internet

    meaning = {
        Internet.OFF: "off: no network",
        Internet.ALLOW: "allow: what is named below, nothing else",
        Internet.ON: "on: every public host",
    }[reach.internet]
    idle = " (not in use while it is off)" if reach.internet is Internet.OFF else ""
    lines = [Line(f"{phase:<6} {meaning}", "head")]
    lines += [Line(f"  allow  {rule}{idle}") for rule in reach.allow]
    return lines + [Line(f"  deny   {rule}{idle}") for rule in reach.deny]


def _learned_lines(learned: Lesson, repo: str, *, locked: bool) -> list[Line]:
    from pullwright.cli.story import Line
    from pullwright.cli.words import count, shown

    asked = f"setup asked for {count(len(learned.rules), 'host')}" if learned.rules else "setup asked for no host"
    lines = [Line(asked, "head"), *(Line(f"  {shown(rule)}") for rule in learned.rules)]
    lines += [Line(f"  all of them are in {name}", "dim") for name in learned.presets]
    for event in learned.refused:
        lines.append(Line(f"  refused: {shown(event.host)}:{event.port}, {shown(event.reason)}", "warning"))
        if event.remedy:
            lines.append(Line(f"    to allow it: {shown(event.remedy)}", "warning"))
    if not locked:
        where = f"--repo {shlex.quote(repo)} --phase setup"
        lines.append(Line("to let setup reach these and nothing else:", "dim"))
        rules = " ".join(shlex.quote(rule) for rule in learned.rules)
        if rules:
            lines.append(Line(f"  pullwright env allow {where} {rules}"))
        lines.append(Line(f"  pullwright env internet {'allow' if rules else 'off'} {where}"))
    return lines
