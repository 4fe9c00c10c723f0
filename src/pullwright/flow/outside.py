"""What a machine may reach and use, and where each decision about it is written down."""

import shlex
from collections.abc import Awaitable, Callable, Sequence

from pullwright.domain.limits import Limit, LimitHit, SandboxLimits
from pullwright.domain.network import Internet, Reach
from pullwright.domain.policy import Phase
from pullwright.domain.task import TaskRequest
from pullwright.domain.transcript import EgressDecided, LimitReached, Progressed
from pullwright.egress.base import Attachment, Door, Pass
from pullwright.flow.platform import Platform

Tell = Callable[[Progressed | EgressDecided | LimitReached], Awaitable[None]]

# What `env limits` calls each limit that it can raise, and what the field of it is.
_RAISED = {
    Limit.MEMORY: ("--memory", "memory"),
    Limit.PROCESSES: ("--processes", "processes"),
    Limit.DISK: ("--disk", "disk"),
    Limit.INODES: ("--files", "inodes"),
}


def limits_told(request: TaskRequest, limits: SandboxLimits, tell: Tell) -> Callable[[LimitHit, int], Awaitable[None]]:
    """Where a limit that a machine runs into is written down, with the command that would raise it."""

    async def told(hit: LimitHit, count: int) -> None:
        remedy = None
        if hit.limit in _RAISED:
            option, name = _RAISED[hit.limit]
            twice = 2 * getattr(limits, name)
            amount = str(twice) if twice % 1024**2 else f"{twice // 1024**2}MiB"
            remedy = f"pullwright env limits --repo {shlex.quote(request.repository.location)} {option} {amount}"
        await tell(LimitReached(limit=hit.limit, reason=hit.reason, command=hit.command, count=count, remedy=remedy))

    return told


async def agent_reach(platform: Platform, request: TaskRequest) -> Reach:
    """What engines may reach at present: what a person has decided for the environment, and for this task."""
    return (await platform.record.policy(request.repository.key)).reach(Phase.AGENT).plus(request.allow)


async def open_door(
    platform: Platform, request: TaskRequest, phase: Phase, name: str, tell: Tell, *, learning: bool = False
) -> Door | None:
    """The way out of a machine that is about to start; None where it has none.

    What holds is what a person has decided last, also while the machine runs. One that is `learning` may ask for more.
    """

    async def reach() -> Reach:
        if phase is Phase.AGENT:
            return await agent_reach(platform, request)
        decided = (await platform.record.policy(request.repository.key)).reach(phase)
        return decided.model_copy(update={"internet": Internet.ON}) if learning else decided

    async def attachments() -> Sequence[Attachment]:
        if phase is Phase.SETUP:
            return ()
        key = request.repository.key
        policy = await platform.record.policy(key)
        values = [(one, await platform.record.secret(key, one.secret)) for one in policy.credentials]
        return [Attachment(one.host, one.header, value) for one, value in values if value is not None]

    def remedy(rule: str) -> str:
        for_setup = " --phase setup" if phase is Phase.SETUP else ""
        where = shlex.quote(request.repository.location)
        return f"pullwright env allow --repo {where}{for_setup} {shlex.quote(rule)}"

    wanted = Pass(name, reach, tell, remedy, attachments, setup=phase is Phase.SETUP)
    return await platform.egress.door(wanted)
