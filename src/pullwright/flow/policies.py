"""What a person decides about a repository's environment, and what an environment learns about itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from pullwright.domain.errors import SetupFailed, UsageError
from pullwright.domain.limits import SandboxLimits
from pullwright.domain.network import canonical, parse_rule
from pullwright.domain.policy import Credential, EnvironmentPolicy, Phase, presets_for, smallest
from pullwright.domain.task import RepositoryRef
from pullwright.domain.transcript import EgressDecided, LimitReached, Progressed
from pullwright.domain.value import new_task_id
from pullwright.flow.desk import Order, Say, Surveyed, request_of, survey
from pullwright.flow.environment import Environments
from pullwright.flow.images import pinned
from pullwright.flow.platform import Platform

Change = Callable[[EnvironmentPolicy], EnvironmentPolicy]


@dataclass(frozen=True)
class Learned:
    """What setup asked for when it might ask for anything."""

    surveyed: Surveyed
    rules: tuple[str, ...]  # the narrowest that allow it
    presets: tuple[str, ...]  # those that cover all of it
    refused: tuple[EgressDecided, ...]  # refused even so: what is not public has to be named


async def change_policy(
    platform: Platform, repository: str, cwd: Path, change: Callable[[EnvironmentPolicy], EnvironmentPolicy]
) -> EnvironmentPolicy:
    """Decide anew about a repository; what is under way follows within seconds. Gives what holds now."""
    reference = await platform.repositories.locate(repository, cwd)
    return await platform.record.change_policy(reference.key, change)


async def attach(
    platform: Platform, repository: str, cwd: Path, host: str, header: str, value: str
) -> EnvironmentPolicy:
    """Put a header into the requests for a host; `header` is `NAME` or `NAME: TEXT` with `{}` for the value.

    Raises:
        UsageError: the host stands for several, or the header cannot be one.
    """
    name, colon, template = (part.strip() for part in header.partition(":"))
    if colon and "{}" not in template:
        raise UsageError(
            "the header's text has no {} for the value; write 'Authorization: Bearer {}' or its name alone"
        )
    text = template.replace("{}", value) if colon else value
    if not text.isprintable() or not text.isascii() or not text:
        raise UsageError("the value has characters that no header may hold; is there a newline at its end?")
    rule = parse_rule(host)
    if rule.host.startswith("*.") or rule.methods or not rule.host:
        raise UsageError(f"{host!r} is not one host: a header is attached to HOST or HOST:PORT")
    try:
        credential = Credential(host=rule.text, header=name)
    except ValidationError as error:
        raise UsageError(f"{name!r} is no name of a header") from error
    reference = await platform.repositories.locate(repository, cwd)
    await platform.record.save_secret(reference.key, credential.secret, text)
    return await platform.record.change_policy(reference.key, lambda policy: policy.attach(credential))


async def detach(platform: Platform, repository: str, cwd: Path, host: str) -> EnvironmentPolicy:
    """Put nothing more into the requests for a host, and forget the value. Raises `UsageError`."""
    reference = await platform.repositories.locate(repository, cwd)
    rule = canonical(host)
    before = await platform.record.policy(reference.key)
    gone = [one for one in before.credentials if one.host == rule]
    if not gone:
        raise UsageError(f"no header is attached to {rule}; `pullwright env credential list` shows them")
    policy = await platform.record.change_policy(reference.key, lambda policy: policy.detach(rule))
    for one in gone:
        await platform.record.drop_secret(reference.key, one.secret)
    return policy


async def set_limits(
    platform: Platform, repository: RepositoryRef, changes: Mapping[str, object], *, default: bool = False
) -> EnvironmentPolicy:
    """What a repository's sandboxes may use from now on: as before, or by default, but for these.

    Raises `UsageError`.
    """

    def change(policy: EnvironmentPolicy) -> EnvironmentPolicy:
        old = SandboxLimits() if default else policy.limits
        return policy.model_copy(update={"limits": SandboxLimits.model_validate({**old.model_dump(), **changes})})

    try:
        return await platform.record.change_policy(repository.key, change)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{first['loc'][0]}: {first['msg']}; {first['input']} was given") from error


def held(platform: Platform) -> str:
    """How this machine holds a sandbox's limits, in words."""
    return platform.sandboxes.wall().partition("limits: ")[2]


async def learn(platform: Platform, order: Order, say: Say = lambda _: None) -> Learned:
    """Run the setup once, with every public host open to it, and say what it asked for.

    Raises:
        UsageError: the repository has no setup.
        SetupFailed: the setup failed; the message ends with what it was refused.
    """
    surveyed = await survey(platform, order, say)
    environment = surveyed.chosen.environment
    if not (environment.setup.command or environment.maintenance.command):
        raise UsageError("this repository has no setup to learn from; name one with --setup, or use `env allow`")
    decided: list[EgressDecided] = []

    async def tell(event: Progressed | EgressDecided | LimitReached) -> None:
        if isinstance(event, EgressDecided):
            decided.append(event)
        else:
            say(event.text if isinstance(event, Progressed) else event.reason)

    name = f"learn-{new_task_id()}"
    request = request_of(order, surveyed)
    try:
        environment = await pinned(platform, request, environment, name, tell)
        await Environments(platform, learning=True).layers(request, environment, name, tell)
    except SetupFailed as error:
        said = [
            f"refused: {event.host}:{event.port}, {event.reason}. {event.remedy or ''}"
            for event in decided
            if not event.allowed
        ]
        raise SetupFailed("\n".join((str(error), *said)), line=error.line, output=error.output) from error
    rules = smallest(decided)
    refused = {(event.host, event.port): event for event in decided if not event.allowed}
    return Learned(surveyed, rules, presets_for(rules), tuple(refused.values()))


@dataclass(frozen=True)
class ScriptLog:
    """What a script of an environment printed when it was run last."""

    step: Literal["setup", "maintenance"]
    at: datetime
    failed: bool
    blob: str


@dataclass(frozen=True)
class ScriptRun:
    """The last run of a script, with what it printed."""

    at: datetime
    failed: bool
    text: str


async def last_run(platform: Platform, repository: RepositoryRef, step: str) -> ScriptRun:
    """The last run of a repository's `setup` or `maintenance`. Raises `UsageError` where there was none."""
    logs = [one for one in await script_logs(platform, repository) if one.step == step]
    if not logs:
        raise UsageError(f"no {step} of this repository has been run; `pullwright env prepare` runs it")
    text = await platform.record.blob(logs[0].blob)
    return ScriptRun(logs[0].at, logs[0].failed, text.decode("utf-8", "replace"))


async def script_logs(platform: Platform, repository: RepositoryRef) -> list[ScriptLog]:
    """The logs that are kept of a repository's setup and maintenance scripts, the newest first, failed runs too."""
    logs = []
    for one in await platform.record.environments():
        step = _STEPS.get(one.key.partition("-")[0])
        if step and one.log and one.repository == repository.key:
            logs.append(ScriptLog(step, one.prepared, failed=not one.layer, blob=one.log))
    return logs


_STEPS: dict[str, Literal["setup", "maintenance"]] = {"setup": "setup", "kept": "maintenance"}


async def lock(platform: Platform, learned: Learned) -> EnvironmentPolicy:
    """From now on setup reaches what was learned, and nothing else."""
    key = learned.surveyed.repository.key
    return await platform.record.change_policy(key, lambda policy: policy.locked(Phase.SETUP, learned.rules))
