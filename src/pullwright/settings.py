"""The platform's own settings, typed; read from the environment when asked for, never at import."""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from pullwright.domain.commits import AUTHOR, BRANCH, CommitStyle, FollowUps, check_person, check_rule
from pullwright.domain.errors import ConfigurationError
from pullwright.domain.forge import ForgeEntry

_POSTGRES = ("postgresql+psycopg://", "postgresql://", "postgres://")


class ModelSettings(BaseModel):
    """Which model answers where nothing else is said, and how it is reached."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(None, description="`PULLWRIGHT_MODEL`: the default model, `PROVIDER:NAME`.")
    base_url: str | None = Field(
        None, description="`PULLWRIGHT_MODEL_URL`, else `OPENAI_BASE_URL`: an OpenAI-compatible endpoint."
    )
    api_key: SecretStr | None = Field(
        None, description="`PULLWRIGHT_MODEL_KEY`, else `OPENAI_API_KEY`: what the endpoint wants as bearer token."
    )
    api: Literal["responses", "chat"] | None = Field(
        None, description="`PULLWRIGHT_MODEL_API`: `responses` or `chat`; None: chosen by the endpoint."
    )

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="`PULLWRIGHT_MODEL_EFFORT`: how much reasoning models do; None: as the provider has it."
    )
    fallbacks: tuple[str, ...] = Field(
        (), description="`PULLWRIGHT_MODEL_FALLBACKS`: models to go on with while the first is out, comma-separated."
    )
    local: Mapping[str, int] | None = Field(
        default_factory=dict,
        description="`PULLWRIGHT_LOCAL_MODELS`: servers of this machine to look for models at, such as "
        "`ollama=11434,vllm=8000`, or `off`; None: where Ollama, llama.cpp, vLLM and LM Studio usually listen.",
    )
    variables: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        repr=False,
        description="`ANTHROPIC_API_KEY`, `GEMINI_API_KEY`, `MISTRAL_API_KEY`, `OPENROUTER_API_KEY`, `GROQ_API_KEY`, "
        "`DEEPSEEK_API_KEY`, `AWS_REGION`, `OLLAMA_HOST` ...: what the providers' own clients read, and the likes of "
        "`ANTHROPIC_BASE_URL` for other addresses.",
    )

    def variable(self, name: str) -> str | None:
        """An environment variable; None where it is unset or empty."""
        value = self.variables.get(name)
        return (value.get_secret_value() or None) if value else None

    @property
    def configured(self) -> bool:
        """Whether anything says that a model is there to be used."""
        return any((self.name, self.base_url, self.api_key))


class DeliverySettings(BaseModel):
    """How deliveries wait for forges, and how open pull requests are looked after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    give_up_hours: float = Field(
        24.0, gt=0, description="`PULLWRIGHT_GIVE_UP_HOURS`: how long a forge that cannot be reached is waited for."
    )
    look_seconds: float = Field(
        120.0,
        ge=0,
        description="`PULLWRIGHT_LOOK_SECONDS`: how often a worker looks for reviews and failed checks on the open "
        "pull requests of tasks that have ended; 0: only `task sync` does.",
    )


class MirrorSettings(BaseModel):
    """How repositories are brought onto this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partial_objects: int = Field(
        2_000_000,
        ge=0,
        description="`PULLWRIGHT_PARTIAL_OBJECTS`: a first download of more objects leaves the contents of files to be "
        "fetched as they are needed; 0: always.",
    )
    most_bytes: int = Field(
        64 * 1024**3, gt=0, description="`PULLWRIGHT_FETCH_BYTES`: a single transfer of more bytes is refused."
    )


class WebhookSettings(BaseModel):
    """Who is told when a task has finished, failed or waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="`PULLWRIGHT_WEBHOOK_URL`: the address that is called, and no other.")
    secret: SecretStr | None = Field(
        None, description="`PULLWRIGHT_WEBHOOK_SECRET`: what calls are signed with (Standard Webhooks; HMAC SHA-256)."
    )
    format: Literal["json", "slack"] = Field(
        "json", description="`PULLWRIGHT_WEBHOOK_FORMAT`: `json`, or `slack` for what Slack and its like take."
    )

    @field_validator("url")
    @classmethod
    def _web(cls, url: str) -> str:
        if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
            raise ValueError("it is an http or https address")
        return url

    @field_validator("secret")
    @classmethod
    def _usable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and (text := secret.get_secret_value()).startswith("whsec_"):
            try:
                base64.b64decode(text.removeprefix("whsec_"), validate=True)
            except ValueError as error:
                raise ValueError("after whsec_ it is base64") from error
        return secret


class CommitSettings(BaseModel):
    """How changes become commits and branches where a task says nothing else. People are written NAME <MAIL>."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: str = Field(AUTHOR, description="`PULLWRIGHT_AUTHOR`: who commits are by.")
    committer: str | None = Field(None, description="`PULLWRIGHT_COMMITTER`; None: the author.")
    co_authors: Literal["person", "none"] | tuple[str, ...] = Field(
        "person",
        description="`PULLWRIGHT_CO_AUTHORS`: people, separated by commas; or `person`: who handed the task in, as "
        "their git knows them, since they answer for it; or `none`.",
    )
    signing_key: str | None = Field(
        None,
        description="`PULLWRIGHT_SIGNING_KEY`: the file of an ssh key, or `gpg:` and a key's id; stays on the host.",
    )
    style: CommitStyle = Field(CommitStyle.SQUASH, description="`PULLWRIGHT_COMMITS`: `squash` or `keep`.")
    follow_ups: FollowUps = Field(FollowUps.AMEND, description="`PULLWRIGHT_FOLLOW_UPS`: `amend` or `append`.")
    branch: str = Field(
        BRANCH,
        description="`PULLWRIGHT_BRANCH`: a rule with `{task}` and, if wanted, `{slug}`, `{user}`, `{repository}`.",
    )

    @field_validator("author", "committer")
    @classmethod
    def _person(cls, value: str | None) -> str | None:
        return value if value is None else check_person(value)

    @field_validator("co_authors", mode="before")
    @classmethod
    def _people(cls, value: object) -> object:
        if not isinstance(value, str) or value in ("person", "none"):
            return value
        return tuple(check_person(person) for person in value.split(",") if person.strip())

    @field_validator("branch")
    @classmethod
    def _branch(cls, value: str) -> str:
        if "{task}" not in value:
            raise ValueError("it must hold {task}, or two tasks could want the same branch")
        return check_rule(value)


class Settings(BaseModel):
    """Everything that is decided outside the record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(description="`PULLWRIGHT_HOME`: the data directory, absolute.")
    database_url: str | None = Field(
        None, description="`PULLWRIGHT_DATABASE_URL`: a Postgres database; None: a SQLite file in the data directory."
    )
    sandbox_uid: int = Field(
        64200,
        ge=1,
        description="`PULLWRIGHT_SANDBOX_UID`: who sandboxes run as where the platform itself runs as root.",
    )
    model: ModelSettings = ModelSettings()
    mirrors: MirrorSettings = MirrorSettings()
    delivery: DeliverySettings = DeliverySettings()
    webhook: WebhookSettings | None = None
    forges: tuple[ForgeEntry, ...] = Field(
        (), description="`PULLWRIGHT_FORGES`: forges as a JSON array, besides those of `pullwright forge add`."
    )
    commits: CommitSettings = CommitSettings()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, url: str | None) -> str | None:
        if url is None or url.startswith(_POSTGRES):
            return url
        raise ValueError("it must begin with postgresql:// (unset, the record is a SQLite file in the data directory)")

    @property
    def database(self) -> str:
        """The record's database as SQLAlchemy names it."""
        if self.database_url is None:
            return f"sqlite:///{self.home / 'pullwright.sqlite'}"
        return _POSTGRES[0] + self.database_url.split("://", 1)[1]

    @property
    def blobs(self) -> Path:
        """Where large outputs are kept."""
        return self.home / "blobs"

    @property
    def models(self) -> Path:
        """Where `pullwright model add` keeps models."""
        return self.home / "models.json"

    @property
    def repositories(self) -> Path:
        """Where the bare stores are."""
        return self.home / "repos"

    @property
    def indexes(self) -> Path:
        """Where the repositories' code indexes are."""
        return self.home / "index"

    @property
    def sandboxes(self) -> Path:
        """Where layers and running sandboxes are."""
        return self.home / "sandboxes"

    @classmethod
    def from_environment(cls, env: Mapping[str, str], *, uid: int | None = None) -> "Settings":
        """The settings that these variables give. Raises `ConfigurationError` naming the variable that is wrong.

        An empty variable counts as unset. `uid` decides the default data directory: root's is the machine's.
        """
        chosen = {
            "home": env.get("PULLWRIGHT_HOME") or _default_home(env, os.geteuid() if uid is None else uid),
            "database_url": env.get("PULLWRIGHT_DATABASE_URL") or None,
            "sandbox_uid": env.get("PULLWRIGHT_SANDBOX_UID") or cls.model_fields["sandbox_uid"].default,
            "model": {
                "name": env.get("PULLWRIGHT_MODEL") or None,
                "base_url": env.get("PULLWRIGHT_MODEL_URL") or env.get("OPENAI_BASE_URL") or None,
                "api_key": env.get("PULLWRIGHT_MODEL_KEY") or env.get("OPENAI_API_KEY") or None,
                "api": env.get("PULLWRIGHT_MODEL_API") or None,
                "effort": env.get("PULLWRIGHT_MODEL_EFFORT") or None,
                "fallbacks": _listed(env.get("PULLWRIGHT_MODEL_FALLBACKS", "")),
                "local": _local(env.get("PULLWRIGHT_LOCAL_MODELS", "")),
                "variables": dict(env),
            },
            "delivery": {name: env[variable] for variable, name in _DELIVERY_VARIABLES.items() if env.get(variable)},
            "webhook": {name: env[key] for key, name in _WEBHOOK_VARIABLES.items() if env.get(key)} or None,
            "forges": _forges(env.get("PULLWRIGHT_FORGES", "")),
            "mirrors": {name: env[variable] for variable, name in _MIRROR_VARIABLES.items() if env.get(variable)},
            "commits": {name: env[variable] for variable, name in _COMMIT_VARIABLES.items() if env.get(variable)},
        }
        try:
            return cls.model_validate(chosen)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            known = _VARIABLES.get(name) or (f"PULLWRIGHT_FORGES, {name}" if name.startswith("forges.") else name)
            raise ConfigurationError(f"{known}: {first['msg']}.") from error


_DELIVERY_VARIABLES = {
    "PULLWRIGHT_GIVE_UP_HOURS": "give_up_hours",
    "PULLWRIGHT_LOOK_SECONDS": "look_seconds",
}
_MIRROR_VARIABLES = {"PULLWRIGHT_PARTIAL_OBJECTS": "partial_objects", "PULLWRIGHT_FETCH_BYTES": "most_bytes"}
_WEBHOOK_VARIABLES = {
    "PULLWRIGHT_WEBHOOK_URL": "url",
    "PULLWRIGHT_WEBHOOK_SECRET": "secret",
    "PULLWRIGHT_WEBHOOK_FORMAT": "format",
}
_COMMIT_VARIABLES = {
    "PULLWRIGHT_AUTHOR": "author",
    "PULLWRIGHT_COMMITTER": "committer",
    "PULLWRIGHT_CO_AUTHORS": "co_authors",
    "PULLWRIGHT_SIGNING_KEY": "signing_key",
    "PULLWRIGHT_COMMITS": "style",
    "PULLWRIGHT_FOLLOW_UPS": "follow_ups",
    "PULLWRIGHT_BRANCH": "branch",
}
_VARIABLES = {
    "home": "PULLWRIGHT_HOME",
    "database_url": "PULLWRIGHT_DATABASE_URL",
    "sandbox_uid": "PULLWRIGHT_SANDBOX_UID",
    "model.name": "PULLWRIGHT_MODEL",
    "model.base_url": "PULLWRIGHT_MODEL_URL",
    "model.api_key": "PULLWRIGHT_MODEL_KEY",
    "model.api": "PULLWRIGHT_MODEL_API",
    **{f"delivery.{name}": variable for variable, name in _DELIVERY_VARIABLES.items()},
    "forges": "PULLWRIGHT_FORGES",
    **{f"mirrors.{name}": variable for variable, name in _MIRROR_VARIABLES.items()},
    **{f"webhook.{name}": variable for variable, name in _WEBHOOK_VARIABLES.items()},
    **{f"commits.{name}": variable for variable, name in _COMMIT_VARIABLES.items()},
    "model.effort": "PULLWRIGHT_MODEL_EFFORT",
}


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


_SERVERS = ("ollama", "llamacpp", "vllm", "lmstudio")


def _local(text: str) -> dict[str, int] | None:
    """Raises `ConfigurationError`."""
    if not text.strip():
        return None
    if text.strip().lower() == "off":
        return {}
    servers = {}
    for given in _listed(text):
        name, _, port = (part.strip() for part in given.partition("="))
        if name not in _SERVERS or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(
                f"PULLWRIGHT_LOCAL_MODELS: {given!r} is not SERVER=PORT. Write `off`, or a list such as "
                f"ollama=11434,vllm=8000; the servers are {', '.join(_SERVERS)}."
            )
        servers[name] = int(port)
    return servers


def _forges(text: str) -> object:
    if not text.strip():
        return ()
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"PULLWRIGHT_FORGES: it is no JSON: {error}.") from error


def _default_home(env: Mapping[str, str], uid: int) -> Path:
    """The machine's directory for root, else the user data directory (XDG Base Directory Specification 0.8)."""
    if uid == 0:
        return Path("/var/lib/pullwright")
    data = env.get("XDG_DATA_HOME", "")
    if data.startswith("/"):
        return Path(data) / "pullwright"
    return Path(env.get("HOME") or "~") / ".local/share/pullwright"
