"""What clients send."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from pullwright.domain.access import Scope
from pullwright.domain.environment import server_name
from pullwright.domain.errors import UsageError
from pullwright.domain.image import NONE, image_reference
from pullwright.domain.limits import AttemptLimits
from pullwright.domain.network import Internet
from pullwright.domain.policy import Phase
from pullwright.flow.desk import Order


class Sent(BaseModel):
    """What is sent has no keys that are not known."""

    model_config = ConfigDict(extra="forbid")


class TaskOrder(Sent):
    """A task as it is handed in; what is left out is decided as `pullwright run` decides it."""

    prompt: str = Field(min_length=1, max_length=200_000, description="What is to be done, or with `ask` the question.")
    repository: str = Field(min_length=1, max_length=4096, description="A URL, or an absolute path on the server.")
    base: str | None = Field(None, max_length=1024, description="Branch, tag or commit; the HEAD if not given.")
    from_pr: str | None = Field(None, max_length=4096, description="A person's pull request: its number or address.")
    onto: bool = Field(False, description="Move the branch that it starts from forward instead of making one.")
    with_changes: bool = Field(False, description="Take along what is uncommitted in a path on the server.")
    attempts: int = Field(1, ge=1, le=8)
    engines: tuple[str, ...] = Field((), max_length=8, description="`native`, `repair` or `acp:NAME`.")
    models: tuple[str, ...] = Field((), max_length=8, description="`PROVIDER:NAME`.")
    setup: str | None = Field(None, max_length=100_000)
    check: str | None = Field(None, max_length=100_000)
    image: str | None = Field(None, max_length=1000, description="`docker://NAME[:TAG]`, or `host`.")
    sparse: tuple[str, ...] = Field((), max_length=100, description="The only directories to lay out.")
    servers: dict[str, str] = Field(
        default_factory=dict, max_length=20, description="MCP servers: name to command line."
    )
    allow: tuple[str, ...] = Field((), max_length=200, description="Hosts that the engines may reach besides.")
    branch: str | None = Field(None, max_length=250, description="The change's branch: a name, or a rule for it.")
    author: str | None = Field(None, max_length=400, description="`NAME <MAIL>` of the commits' author.")
    co_authors: tuple[str, ...] = Field((), max_length=20, description="`NAME <MAIL>` of people besides.")
    commits: Literal["squash", "keep"] | None = Field(None, description="One commit, or those that the agent made.")
    ask: bool = False
    limits: AttemptLimits = AttemptLimits()

    def order(self) -> Order:
        """What the flow takes. Raises `UsageError` where the repository is neither a URL nor an absolute path."""
        return Order(
            prompt=self.prompt,
            repository=on_server(self.repository),
            cwd=Path("/"),
            base=self.base,
            with_changes=self.with_changes,
            attempts=self.attempts,
            engines=self.engines,
            models=self.models,
            check=self.check,
            setup=self.setup,
            image=from_registry(self.image),
            sparse=self.sparse,
            servers=tuple((server_name(name), command) for name, command in self.servers.items()),
            ask=self.ask,
            branch=self.branch,
            author=self.author,
            co_authors=self.co_authors,
            commits=self.commits,
            from_pr=self.from_pr,
            onto=self.onto,
            allow=self.allow,
            limits=self.limits,
        )


def on_server(repository: str) -> str:
    """A repository as a client names it. Raises `UsageError` where that would depend on where the server runs."""
    if "://" not in repository and not Path(repository).is_absolute() and ":" not in repository:
        raise UsageError(f"{repository} is neither a URL nor an absolute path on the server; send one of the two")
    return repository


def from_registry(image: str | None) -> str | None:
    """An image as a client names it. Raises `UsageError` where that is a directory of the server, or none."""
    if image and image.startswith(("oci:", "dir:")):
        raise UsageError(
            f"{image} is a directory of the server, which `pullwright env image` names there; send docker://NAME"
        )
    return image and (image_reference(image) or NONE)


class Words(Sent):
    """Something said to the engine."""

    text: str = Field(min_length=1, max_length=200_000)


class Message(Words):
    """Something said to a task's engines."""

    attempt: int | None = Field(None, ge=1, le=1000, description="The attempt, counted from 1; null: see the route.")


class LineComment(Sent):
    """What a person says about a line of a change, or about a file."""

    path: str = Field(min_length=1, max_length=4096)
    text: str = Field("", max_length=20_000, description="Empty: what is said with all of them.")
    line: int | None = Field(None, ge=1, le=2**31 - 1, description="Counted from 1; null: the whole file.")
    side: Literal["base", "head"] = Field("head", description="`base`: the line as it was before the change.")


class Comments(Sent):
    """Comments on lines, sent as one follow-up."""

    comments: tuple[LineComment, ...] = Field(min_length=1, max_length=500)
    text: str = Field(
        "", max_length=20_000, description="Something to say with them.", examples=["Please look at these once more."]
    )
    attempt: int | None = Field(None, ge=1, le=1000, description="Whose change it is; null: the chosen attempt's.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text.strip() and not all(one.text.strip() for one in self.comments):
            raise ValueError("each comment says something, or `text` does")
        return self


class Choice(Sent):
    """The attempt that is to be delivered."""

    attempt: int = Field(ge=1, le=1000, description="Counted from 1.")


class UpdateOrder(Sent):
    """How a delivered change is brought up to date with its base branch."""

    how: Literal["merge", "rebase"] = "merge"


class SyncOrder(Sent):
    """Whose words on a pull request are taken along."""

    also: tuple[str, ...] = Field((), max_length=50, description="People who may not write to the repository.")


class RevertOrder(Sent):
    """Where a delivered change is taken back."""

    base: str | None = Field(None, max_length=1024, description="The branch; null: the one that it was made for.")
    model: str | None = Field(None, max_length=200, description="For conflicts: `PROVIDER:NAME`.")


class BackportOrder(Sent):
    """Where a delivered change is carried over to."""

    onto: tuple[str, ...] = Field(min_length=1, max_length=50, description="Branches.")
    model: str | None = Field(None, max_length=200, description="For conflicts: `PROVIDER:NAME`.")


class OfAttempt(Sent):
    """Which attempt is meant."""

    attempt: int | None = Field(None, ge=1, le=1000, description="Counted from 1; null where there is one to choose.")


class Answer(OfAttempt):
    """The answer to an attempt's question."""

    text: str = Field(min_length=1, max_length=200_000)


class RewindOrder(OfAttempt):
    """Where an attempt is to go on from."""

    turn: int = Field(ge=0, le=100_000, description="The last turn that counts; 0 is the beginning.")
    text: str = Field("", max_length=200_000, description="Something to say with it.")


class ForkOrder(RewindOrder):
    """Where one more attempt is to go on from."""

    model: str | None = Field(None, max_length=200, description="`PROVIDER:NAME`, where it is to be another.")


class TokenOrder(Sent):
    """A token to be made."""

    name: str = Field(min_length=1, max_length=200, description="Where it is going to be used.")
    scope: Scope | None = Field(None, description="write if not given, or as much as one may.")
    user: str | None = Field(
        None, max_length=100, description="Whom it speaks for, by an admin; whoever asks where it is left out."
    )


class SignIn(Sent):
    """What a browser signs in with: a token, or the code of an address that `pullwright serve` printed."""

    token: str | None = Field(None, min_length=1, max_length=200)
    code: str | None = Field(None, min_length=1, max_length=200, description="It is good for one browser, once.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.token is None) is (self.code is None):
            raise ValueError("it takes a token or a code")
        return self


class RepositoryNamed(Sent):
    """A repository whose environment is asked after."""

    repository: str = Field(min_length=1, max_length=4096)
    base: str | None = Field(None, max_length=1024)


class SurveyOrder(RepositoryNamed):
    """A repository whose environment is asked after, with what a task would be given."""

    setup: str | None = Field(None, max_length=100_000, description="As a task would be given it.")
    check: str | None = Field(None, max_length=100_000, description="As a task would be given it.")
    image: str | None = Field(None, max_length=1000, description="`docker://NAME[:TAG]`, or `host`.")
    sparse: tuple[str, ...] | None = Field(None, max_length=100, description="The only directories to lay out.")

    def order(self) -> Order:
        """What the flow takes. Raises `UsageError`."""
        return Order(
            prompt="",
            repository=on_server(self.repository),
            cwd=Path("/"),
            base=self.base,
            setup=self.setup,
            check=self.check,
            image=from_registry(self.image),
            sparse=self.sparse or (),
        )


class PrepareOrder(SurveyOrder):
    """An environment that is to be made ready, or learned from."""

    lock: bool = Field(False, description="Where it is learned from: setup reaches those hosts and nothing else after.")


class ImageOrder(Sent):
    """What a repository's machines are made of."""

    image: str | None = Field(
        max_length=1000,
        description="`docker://NAME[:TAG]`; `host`: the server's own tools; null: what `.pullwright.toml` says.",
    )


class InternetOrder(Sent):
    """How a phase may use the internet."""

    internet: Internet
    phase: Phase = Phase.AGENT


class RulesOrder(Sent):
    """Hosts, as `pullwright env allow` takes them."""

    rules: tuple[str, ...] = Field(min_length=1, max_length=500)
    phase: Phase = Phase.AGENT


class CredentialOrder(Sent):
    """A header for the requests to a host."""

    host: str = Field(min_length=1, max_length=300, description="HOST or HOST:PORT.")
    header: str = Field(min_length=1, max_length=300, description="`NAME`, or `NAME: TEXT` with {} for the value.")
    value: SecretStr = Field(min_length=1, max_length=20_000)


class SecretOrder(Sent):
    """A secret's value, which cannot be read back."""

    value: SecretStr = Field(min_length=1, max_length=70_000)


class LimitsOrder(Sent):
    """What is to be different of a sandbox's limits; what is left out stays."""

    memory: int | None = Field(None, description="Bytes.")
    processes: int | None = None
    cpus: float | None = Field(None, description="Processors' worth of time; null: as many as there are.")
    disk: int | None = Field(None, description="Bytes.")
    inodes: int | None = None
    default: bool = Field(False, description="Begin from the defaults, not from what holds now.")

    def changes(self) -> dict[str, object]:
        """What was said."""
        said = self.model_dump(exclude={"default"}, exclude_unset=True)
        return {name: value for name, value in said.items() if value is not None or name == "cpus"}


class CleanOrder(Sent):
    """What is to be removed of prepared environments."""

    everything: bool = Field(False, description="All that nobody uses, whatever there is room for.")
