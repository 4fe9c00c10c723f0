"""The platform's own settings, typed; read from the environment when asked for, never at import."""

import base64
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from pullwright.domain.access import HANDLE, Role
from pullwright.domain.commits import AUTHOR, BRANCH, CommitStyle, FollowUps, check_person, check_rule
from pullwright.domain.errors import ConfigurationError
from pullwright.domain.forge import ForgeEntry
from pullwright.domain.incoming import Names

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


class SignInSettings(BaseModel):
    """How people sign in by OpenID Connect, and what their groups there make them here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(description="`PULLWRIGHT_OIDC_ISSUER`: who vouches for people, as it writes itself.")
    client_id: str = Field(description="`PULLWRIGHT_OIDC_CLIENT_ID`: what the issuer calls this server.")
    client_secret: SecretStr | None = Field(
        None,
        description="`PULLWRIGHT_OIDC_CLIENT_SECRET`; None: what `pullwright user sign-in --secret-stdin` has kept.",
    )
    scopes: str = Field("openid email profile", description="`PULLWRIGHT_OIDC_SCOPES`: what is asked for.")
    groups_claim: str = Field("groups", description="`PULLWRIGHT_OIDC_GROUPS`: the claim that names a person's groups.")
    admins: tuple[str, ...] = Field(
        (), description="`PULLWRIGHT_OIDC_ADMINS`: groups, or verified mail addresses, of admins; the first one, too."
    )
    members: tuple[str, ...] = Field((), description="`PULLWRIGHT_OIDC_MEMBERS`: groups or addresses of members.")
    viewers: tuple[str, ...] = Field((), description="`PULLWRIGHT_OIDC_VIEWERS`: groups or addresses of viewers.")
    default_role: Role | None = Field(
        None,
        description="`PULLWRIGHT_OIDC_ROLE`: what everybody else is whom the issuer vouches for; None: not let in.",
    )
    teams: dict[str, str] = Field(
        default_factory=dict, description="`PULLWRIGHT_OIDC_TEAMS`: which group is in which team, GROUP=TEAM,..."
    )

    @field_validator("issuer")
    @classmethod
    def _safe(cls, issuer: str) -> str:
        if not re.fullmatch(r"https://[^\s?#]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^\s?#]*)?", issuer):
            raise ValueError("it is an https address (http on this machine only)")
        return issuer

    @field_validator("scopes")
    @classmethod
    def _openid(cls, scopes: str) -> str:
        if "openid" not in scopes.split():
            raise ValueError("openid is one of them")
        return scopes

    @field_validator("admins", "members", "viewers", mode="before")
    @classmethod
    def _some(cls, value: object) -> object:
        return _listed(value) if isinstance(value, str) else value

    @field_validator("teams", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [one.rpartition("=") for one in _listed(value)]
        if any(not group or not re.fullmatch(HANDLE, team) for group, _, team in pairs):
            raise ValueError("it is written GROUP=TEAM,GROUP=TEAM; a team is letters, digits and . _ - @ +")
        return {group: team for group, _, team in pairs}


class LocalRuntime(BaseModel):
    """Sandboxes of our own on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["local"] = "local"


class DockerRuntime(BaseModel):
    """Sandboxes in containers of Docker or Podman on this machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["docker"] = "docker"
    socket: Path = Field(
        Path("/var/run/docker.sock"), description="Where the daemon answers; else as `DOCKER_HOST` says."
    )

    @field_validator("socket")
    @classmethod
    def _absolute(cls, socket: Path) -> Path:
        if not socket.is_absolute():
            raise ValueError("the daemon's socket is an absolute path, as in docker:/run/podman/podman.sock")
        return socket


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
    layer_bytes: int | None = Field(
        None,
        ge=0,
        description="`PULLWRIGHT_LAYER_BYTES`: what prepared environments may take on the disk; the least recently "
        "used go first. None: a fifth of the disk, and less where less than a twentieth of it would be free.",
    )
    runtime: LocalRuntime | DockerRuntime = Field(
        LocalRuntime(),
        discriminator="kind",
        description="`PULLWRIGHT_SANDBOX`: `local`, `docker` or `docker:SOCKET`: what sandboxes run in.",
    )
    model: ModelSettings = ModelSettings()
    mirrors: MirrorSettings = MirrorSettings()
    delivery: DeliverySettings = DeliverySettings()
    webhook: WebhookSettings | None = None
    sign_in: SignInSettings | None = None
    url: str | None = Field(
        None,
        description="`PULLWRIGHT_URL`: where others reach the server, https://HOST; None: as each request says. Where "
        "`PULLWRIGHT_TOKEN` holds a token for it, it is the server that commands go to.",
    )
    names: Names = Names()
    forges: tuple[ForgeEntry, ...] = Field(
        (), description="`PULLWRIGHT_FORGES`: forges as a JSON array, besides those of `pullwright forge add`."
    )
    commits: CommitSettings = CommitSettings()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("url")
    @classmethod
    def _origin(cls, url: str | None) -> str | None:
        if url is None or re.fullmatch(r"https?://[^\s/?#@]+/?", url):
            return url if url is None else url.rstrip("/")
        raise ValueError("it is https://HOST or http://HOST, without a path")

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
            "layer_bytes": env.get("PULLWRIGHT_LAYER_BYTES") or None,
            "runtime": _runtime(env.get("PULLWRIGHT_SANDBOX") or "local", env.get("DOCKER_HOST", "")),
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
            "sign_in": {name: env[key] for key, name in _SIGN_IN_VARIABLES.items() if env.get(key)} or None,
            "url": env.get("PULLWRIGHT_URL") or None,
            "names": {name: env[variable] for variable, name in _NAME_VARIABLES.items() if env.get(variable)},
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
_NAME_VARIABLES = {"PULLWRIGHT_MENTION": "name", "PULLWRIGHT_LABEL": "label"}
_SIGN_IN_VARIABLES = {
    "PULLWRIGHT_OIDC_ISSUER": "issuer",
    "PULLWRIGHT_OIDC_CLIENT_ID": "client_id",
    "PULLWRIGHT_OIDC_CLIENT_SECRET": "client_secret",
    "PULLWRIGHT_OIDC_SCOPES": "scopes",
    "PULLWRIGHT_OIDC_GROUPS": "groups_claim",
    "PULLWRIGHT_OIDC_ADMINS": "admins",
    "PULLWRIGHT_OIDC_MEMBERS": "members",
    "PULLWRIGHT_OIDC_VIEWERS": "viewers",
    "PULLWRIGHT_OIDC_ROLE": "default_role",
    "PULLWRIGHT_OIDC_TEAMS": "teams",
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
    "runtime.docker.socket": "PULLWRIGHT_SANDBOX",
    "home": "PULLWRIGHT_HOME",
    "database_url": "PULLWRIGHT_DATABASE_URL",
    "sandbox_uid": "PULLWRIGHT_SANDBOX_UID",
    "layer_bytes": "PULLWRIGHT_LAYER_BYTES",
    "model.name": "PULLWRIGHT_MODEL",
    "model.base_url": "PULLWRIGHT_MODEL_URL",
    "model.api_key": "PULLWRIGHT_MODEL_KEY",
    "model.api": "PULLWRIGHT_MODEL_API",
    **{f"delivery.{name}": variable for variable, name in _DELIVERY_VARIABLES.items()},
    "forges": "PULLWRIGHT_FORGES",
    "url": "PULLWRIGHT_URL",
    **{f"names.{name}": variable for variable, name in _NAME_VARIABLES.items()},
    **{f"sign_in.{name}": variable for variable, name in _SIGN_IN_VARIABLES.items()},
    **{f"mirrors.{name}": variable for variable, name in _MIRROR_VARIABLES.items()},
    **{f"webhook.{name}": variable for variable, name in _WEBHOOK_VARIABLES.items()},
    **{f"commits.{name}": variable for variable, name in _COMMIT_VARIABLES.items()},
    "model.effort": "PULLWRIGHT_MODEL_EFFORT",
}


def _runtime(text: str, docker_host: str) -> dict[str, object]:
    """Raises `ConfigurationError`."""
    kind, _, place = text.partition(":")
    if kind == "docker":
        place = place or (docker_host.removeprefix("unix://") if docker_host.startswith("unix://") else "")
        return {"kind": kind, **({"socket": place.removeprefix("unix://")} if place else {})}
    if text != "local":
        raise ConfigurationError(f"PULLWRIGHT_SANDBOX: {text!r} is neither local, docker nor docker:SOCKET.")
    return {"kind": "local"}


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
