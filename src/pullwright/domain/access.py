"""Who may do what through the API."""

import hashlib
from collections.abc import Iterable
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


class Role(StrEnum):
    """What a person is on this platform."""

    VIEWER = "viewer"  # looks at what their teams' repositories hold
    MEMBER = "member"  # hands in and steers tasks there, too
    ADMIN = "admin"  # sees and does everything

    @property
    def scope(self) -> Scope:
        """The most that tokens and sessions of such a person may do."""
        return {Role.VIEWER: Scope.READ, Role.MEMBER: Scope.WRITE, Role.ADMIN: Scope.ADMIN}[self]


EVERYTHING = "*"
"""The rule by which a team has every repository."""

HANDLE = r"[a-z0-9][a-z0-9._@+-]{0,99}"
"""How users and teams are called: what a person can type on a command line, without two that look alike."""


def has_repository(rules: Iterable[str], location: str) -> bool:
    """Whether one of these rules names the repository there: its location, what is below `PREFIX/*`, or all.

    `.git` at the end of a location is as good as none, in rules and in what is asked after.
    """
    location = location.removesuffix(".git")
    return any(
        rule in (EVERYTHING, location) or (rule.endswith("/*") and _below(rule[:-1], location)) for rule in rules
    )


def _below(folder: str, location: str) -> bool:
    """Whether it is below for everybody who reads it: an address may hold steps up that only its reader takes."""
    rest = location.removeprefix(folder)
    plain = rest != location and not set(rest) & set("%?#\\")
    return plain and not {"", ".", ".."} & set(rest.split("/"))


class User(Value):
    """A person whom several tokens and sessions may speak for."""

    id: str
    name: str = Field(pattern=HANDLE)
    role: Role
    email: str | None = None
    issuer: str | None = Field(None, description="Who vouches for them at sign-in (OIDC); None: tokens alone do.")
    subject: str | None = Field(None, description="What the issuer calls them; never changes.")
    created: datetime
    removed: datetime | None = None
    claimed: bool = Field(False, description="Whether the issuer gave the role, and may take it back.")


class Team(Value):
    """People, and the repositories whose tasks they see."""

    name: str = Field(pattern=HANDLE)
    repositories: tuple[str, ...] = Field((), description="Locations, `PREFIX/*`, or `*`.")
    members: tuple[str, ...] = Field((), description="Names of users.")


class Caller(Value):
    """Who asks: what they may do at most, and which repositories they see."""

    name: str
    scope: Scope = Field(description="What this token or session may do at most.")
    user: str | None = Field(None, description="The user's id; None for the house's own tokens.")
    role: Role
    teams: tuple[str, ...] = ()
    rules: tuple[str, ...] | None = Field(None, description="Repositories that they may use; None: every one.")
    repositories: frozenset[str] | None = Field(None, description="Keys of those that are known; None: every one.")

    def sees(self, repository_key: str) -> bool:
        """Whether a known repository, and so its tasks, may be shown to them."""
        return self.repositories is None or repository_key in self.repositories

    def may_use(self, location: str) -> bool:
        """Whether they may name this repository, known or not."""
        return self.rules is None or has_repository(self.rules, location)


class Token(Value):
    """A token of the API; what its holder sends is known to the holder alone."""

    id: str
    name: str = Field(description="What a person calls it: where it is used.")
    scope: Scope
    user: str | None = Field(None, description="The id of the user whom it speaks for; None: the house's own.")
    created: datetime
    used: datetime | None = None
    revoked: datetime | None = None


class Session(Value):
    """A browser that has signed in, by a token or as a user; what it sends is kept as a digest only."""

    digest: str
    user: str | None = None
    token: str | None = Field(None, description="The id of the token that it signed in with: it ends with that.")
    hint: str | None = Field(None, description="The ID token it began with: the issuer knows its own session by it.")
    created: datetime
    expires: datetime


class SignIn(Value):
    """A sign-in at an issuer that was begun and has to end in the same browser; what travels is kept as digests."""

    state: str
    browser: str
    nonce: str
    verifier: str = Field(description="PKCE's: what shows that whoever brings the code has begun (RFC 7636).")
    redirect: str
    back: str = Field(description="Where in the console the browser goes afterwards.")
    expires: datetime


def digest(token: str) -> str:
    """What is kept of a token: enough to know it by, too little to have it. It is long and random: one round does."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
