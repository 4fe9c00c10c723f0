"""The engine of what needs none: git has done it all before the first turn, or there is a reason why it cannot."""

from pullwright.domain.errors import UsageError
from pullwright.domain.task import TaskRequest
from pullwright.engines.base import TurnOutcome, Work


class GitEngine:
    """Takes no turn of its own."""

    async def ready(self, request: TaskRequest) -> None:
        """Only for what git does by itself: reverts and backports."""
        if request.operation is None:
            raise UsageError("git alone can do reverts and backports only; use native or repair")

    async def turn(self, work: Work, number: int) -> TurnOutcome:  # noqa: ARG002 - the port's shape
        """There is nobody to take it."""
        return TurnOutcome("refused", "git did this change by itself, and there is no engine that could go on with it")
