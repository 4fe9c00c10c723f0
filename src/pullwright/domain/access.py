"""Who may do what through the API."""

import hashlib
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pullwright.domain.value import Value


class Scope(StrEnum):
    """What a token allows; each includes the one before."""

    READ = "read"  # look at everything
    WRITE = "write"  # hand in tasks and steer them
    ADMIN = "admin"  # tokens, environments, settings

    def includes(self, other: "Scope") -> bool:
        """Whether who has this may do what takes the other."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


class Token(Value):
    """A token of the API; what its holder sends is known to the holder alone."""

    id: str
    name: str = Field(description="What a person calls it: where it is used.")
    scope: Scope
    created: datetime
    used: datetime | None = None
    revoked: datetime | None = None


def digest(token: str) -> str:
    """What is kept of a token: enough to know it by, too little to have it. It is long and random: one round does."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
