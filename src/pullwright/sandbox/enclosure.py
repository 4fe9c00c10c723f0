"""What is around a sandbox: a wall of ours, or a container."""

from typing import Protocol

from pullwright.sandbox.agent import Line
from pullwright.sandbox.layers import Writable


class Enclosure(Protocol):
    """It stands, and an agent behind it is on the line."""

    line: Line
    writable: Writable
    group: str

    @property
    def pid(self) -> int:
        """The process outside that is 1 inside, or holds it; 0 where nobody says."""
        ...

    async def gone(self, patience: float) -> bool:
        """Wait for it to end; after so many seconds it is ended. Gives whether it did by itself."""
        ...
