"""What is still to be told to the person's webhook."""

from datetime import datetime

from pydantic import Field

from pullwright.domain.task import State
from pullwright.domain.value import Value

TOLD = (State.DONE, State.FAILED, State.WAITING)
"""The states of a task that are told."""


class Call(Value):
    """One call of the webhook: a task has moved."""

    task: str
    number: int = Field(description="Of the event in the task's log that moved it.")
    state: State
    reason: str | None = None
    waiting_for: str | None = None
    at: datetime
    due: datetime = Field(description="When it is made next.")
    tries: int = 0

    @property
    def id(self) -> str:
        """Stays the same however often the call is made."""
        return f"{self.task}-{self.number}"
