"""What a machine may reach, and where each decision about it is written down."""

import shlex
from collections.abc import Awaitable, Callable
from enum import StrEnum

from pullwright.domain.environment import Environment
from pullwright.domain.network import Reach
from pullwright.domain.task import TaskRequest
from pullwright.domain.transcript import EgressDecided, Progressed
from pullwright.egress.base import Door, Pass
from pullwright.flow.platform import Platform

Tell = Callable[[Progressed | EgressDecided], Awaitable[None]]


class Phase(StrEnum):
    """When a machine is used."""

    SETUP = "setup"  # setup and maintenance scripts of the base commit
    AGENT = "agent"  # an engine works, or a change is verified


async def open_door(
    platform: Platform, request: TaskRequest, environment: Environment, phase: Phase, name: str, tell: Tell
) -> Door | None:
    """The way out of a machine that is about to start; None where it has none."""

    async def reach() -> Reach:
        network = environment.network
        return network.setup if phase is Phase.SETUP else network.agent.plus(request.allow)

    def remedy(rule: str) -> str:
        for_setup = " --phase setup" if phase is Phase.SETUP else ""
        where = shlex.quote(request.repository.location)
        return f"pullwright env allow --repo {where}{for_setup} {shlex.quote(rule)}"

    wanted = Pass(name=name, reach=reach, tell=tell, remedy=remedy, setup=phase is Phase.SETUP)
    return await platform.egress.door(wanted)
