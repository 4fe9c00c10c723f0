"""The one error tree. A message states the fact, then the remedy.

PullwrightError
├── UsageError (ValueError)           the request cannot be meant: wrong option, unknown task
│   ├── NotARepository                the location holds no git repository
│   ├── NoCommits                     the repository has no commit to start from
│   ├── UnknownBase                   the base names no commit
│   └── NothingToCheck                no test command is known and none was given
├── NotAllowed (PermissionError)      whoever asks may not do it
│   └── SignInRefused                 who comes from an issuer is not let in; `why` in one word
├── ConfigurationError (ValueError)   the platform's own settings are wrong
│   ├── ModelUnavailable              no model is configured, or its key, name or address is wrong
│   │   └── ModelUnreachable          nothing answers at its address
│   └── DatabaseUnavailable           Postgres does not answer, or not this user
├── ModelFailed (RuntimeError)        a model's provider kept failing
│   ├── ContextOverflow               the conversation is longer than the model takes
│   └── ModelPaused                   it is rate-limited or out for a while; `until` says when to ask again
├── MachineError (RuntimeError)       this machine cannot do it
│   ├── SandboxUnavailable            namespaces, bubblewrap or the launcher are missing or forbidden
│   ├── DataDirectoryError            the data directory is not writable, full, or of a newer version
│   └── DiskFull                      no room left
├── SandboxError (RuntimeError)       a sandbox did not do as asked
│   ├── SandboxLost                   it ended while in use
│   └── ImageUnavailable              what its root should be cannot be had, or is not fit for it
├── RepositoryError (RuntimeError)    git refused
│   └── HostileObject                 what a sandbox handed over failed its check
├── SetupFailed (RuntimeError)        the environment's setup ended with an error
├── ServiceFailed (RuntimeError)      a service that the environment names did not come up
├── ForgeError (RuntimeError)         the forge refused or could not be reached
│   ├── ForgeUnavailable              it cannot be reached, or asks to wait: trying again later helps
│   ├── ForgeRefused                  a credential, a permission or a rule of its own stands in the way
│   ├── BranchTaken                   the branch holds commits that are not ours
│   └── PullRequestEnded              a person closed or merged the pull request
├── SignInUnavailable (RuntimeError)  whoever vouches for people cannot be reached, or fails
└── IllegalMove (ValueError)          a state cannot follow another
"""

from datetime import datetime
from typing import Literal


class PullwrightError(Exception):
    """The root of every error that Pullwright raises on purpose."""


class UsageError(PullwrightError, ValueError):
    """The request cannot be meant as it stands."""


class NotARepository(UsageError):
    """The location holds no git repository."""


class NoCommits(UsageError):
    """The repository has no commit to start from."""


class UnknownBase(UsageError):
    """The base names no commit of the repository."""


class NothingToCheck(UsageError):
    """No check command is known for the repository and none was given."""


class NotAllowed(PullwrightError, PermissionError):
    """Whoever asks may not do it."""


SignInWhy = Literal[
    "denied",  # the issuer, or the person there, said no
    "stale",  # begun in another browser, ended, or too old
    "misconfigured",  # the platform's own settings, or what the issuer knows of it
    "unfit",  # what the issuer sent does not stand up
    "unreachable",
    "unverified",  # nobody has verified their address there, and by nothing else are they known
    "unknown",
    "removed",
]
"""Why somebody who comes from an issuer is not let in."""


class SignInRefused(NotAllowed):
    """Who comes from an issuer is not let in."""

    def __init__(self, message: str, why: SignInWhy) -> None:
        super().__init__(message)
        self.why = why


class ConfigurationError(PullwrightError, ValueError):
    """The platform's own settings are wrong."""


class ModelUnavailable(ConfigurationError):
    """No model is configured, or its key, name or address is wrong."""


class ModelUnreachable(ModelUnavailable):
    """Nothing answers at a model's address."""


class DatabaseUnavailable(ConfigurationError):
    """The server of the record's database does not answer, or refuses."""


class ModelFailed(PullwrightError, RuntimeError):
    """A model's provider kept failing, or answered with what cannot be used."""


class ContextOverflow(ModelFailed):
    """The conversation is longer than the model takes."""


class ModelPaused(ModelFailed):
    """A model's provider asks to wait, or is out, for longer than a turn waits.

    `until` is when it is worth asking again.
    """

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class MachineError(PullwrightError, RuntimeError):
    """This machine cannot do it."""


class SandboxUnavailable(MachineError):
    """What the wall is built from is missing or forbidden here."""


class DataDirectoryError(MachineError):
    """The data directory is not writable, or was written by a newer version."""


class DiskFull(MachineError):
    """There is no room left where the platform writes."""


class SandboxError(PullwrightError, RuntimeError):
    """A sandbox did not do as asked."""


class SandboxLost(SandboxError):
    """The sandbox ended while it was in use."""


class ImageUnavailable(SandboxError):
    """An image cannot be had, or cannot be the root of a sandbox."""


class RepositoryError(PullwrightError, RuntimeError):
    """Git refused an operation on one of our stores or on the person's repository."""


class HostileObject(RepositoryError):
    """What a sandbox handed over failed its check and was not taken in."""


class SetupFailed(PullwrightError, RuntimeError):
    """The environment's setup script ended with an error.

    `line` is the failing line of the script where it is known, `output` the last of what it printed.
    """

    def __init__(self, message: str, *, line: str | None = None, output: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.output = output


class ServiceFailed(PullwrightError, RuntimeError):
    """A service that the environment names did not come up; the message ends with what it printed."""


class ForgeError(PullwrightError, RuntimeError):
    """The forge refused, or could not be reached."""


class ForgeUnavailable(ForgeError):
    """The forge cannot be reached, failed, or asks to wait; `retry_after` is in seconds where it says for how long."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ForgeRefused(ForgeError):
    """The forge refused: a credential, a permission or one of its rules; a person has to act."""


class BranchTaken(ForgeError):
    """The branch holds commits that are not ours; `ours` where ours are below them."""

    def __init__(self, message: str, *, ours: bool = False) -> None:
        super().__init__(message)
        self.ours = ours


class PullRequestEnded(ForgeError):
    """A person closed or merged the pull request."""


class SignInUnavailable(PullwrightError, RuntimeError):
    """Whoever vouches for people cannot be reached, or fails."""


class IllegalMove(PullwrightError, ValueError):
    """A state cannot follow another."""
