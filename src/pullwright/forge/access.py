"""Which forge a repository is on, and what signs in there: a token from the environment or a file, or a GitHub App."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from pullwright.domain.errors import ConfigurationError, UsageError
from pullwright.domain.forge import KNOWN, ForgeEntry, GitEntry, GitHubEntry
from pullwright.domain.task import RepositoryRef
from pullwright.forge.github import github_rest

Token = Callable[[], Awaitable[str]]

VARIABLES = {
    "github": ("GITHUB_TOKEN", "GH_TOKEN"),
    "gitlab": ("GITLAB_TOKEN",),
    "gitea": ("GITEA_TOKEN", "FORGEJO_TOKEN"),
    "git": (),
}
"""Where a token is looked for, by kind, where an entry names nothing."""

_ENTERPRISE = ("GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN")  # GITHUB_TOKEN is github.com's, as it is for gh
_SCP = re.compile(r"(?:[^/@:\s]+@)?(?P<host>[^/@:\s]+):(?P<path>(?!//|:).+)")
_RENEW_SECONDS = 300.0  # before an installation's token ends
_TOKEN_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Place:
    """Where a repository is: the host as its URL names it, and the path there."""

    host: str  # HOST or HOST:PORT
    path: str  # OWNER/NAME

    @classmethod
    def of(cls, location: str) -> "Place | None":
        """The place that a URL names; None for a path on disk."""
        if location.startswith("/"):
            return None
        if "://" in location:
            split = urlsplit(location)
            host, path = split.netloc.rpartition("@")[2].lower(), unquote(split.path)
        elif match := _SCP.fullmatch(location):
            host, path = match["host"].lower(), match["path"]
        else:
            return None
        return cls(host, path.strip("/").removesuffix(".git"))


def entry_of(location: str, entries: Sequence[ForgeEntry]) -> ForgeEntry:
    """The forge that a URL is on: an entry of the person's, a known public one, else a plain git server.

    Over ssh the port is the ssh server's, so that only the name counts.
    """
    place = Place.of(location)
    if place is None:
        raise UsageError(f"{location} is on this machine; it needs no forge")
    plain = re.sub(r":\d+$", "", place.host)
    web = location.startswith(("http://", "https://"))
    for entry in (*entries, *KNOWN):
        if entry in KNOWN and location.startswith("http://"):
            continue  # their tokens do not travel in the clear
        same = entry.host == place.host if web else re.sub(r":\d+$", "", entry.host) == plain
        if same:
            return entry
    try:
        return GitEntry(host=place.host)
    except ValidationError as error:
        raise UsageError(f"{location} names no host; a repository is a path on disk or a URL") from error


@dataclass
class Access:
    """What signs in on each forge; what it knows of GitHub Apps' tokens is kept as long as they last.

    `seen` holds the last token of each host: git reads it there when it fetches.
    """

    env: Mapping[str, str]
    seen: MutableMapping[str, str] = field(default_factory=dict)
    _installed: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)

    def fixed(self, entry: ForgeEntry) -> str | None:
        """The token that the environment or the entry's file holds. Raises `ConfigurationError` for a bad file."""
        if entry.token_file is not None:
            return _read(Path(entry.token_file))
        return next((self.env[name] for name in self.variables(entry) if self.env.get(name)), None)

    def variables(self, entry: ForgeEntry) -> tuple[str, ...]:
        """The environment variables in which the entry's token is looked for."""
        if entry.token_variable is not None:
            return (entry.token_variable,)
        if isinstance(entry, GitHubEntry) and entry.host != "github.com":
            return _ENTERPRISE
        return VARIABLES[entry.kind]

    def has(self, entry: ForgeEntry) -> bool:
        """Whether anything signs in there."""
        return (isinstance(entry, GitHubEntry) and entry.app_id is not None) or self.fixed(entry) is not None

    def place(self, entry: ForgeEntry) -> str | None:
        """What signs in there, by the name of its place and never by itself; None: nothing does."""
        if isinstance(entry, GitHubEntry) and entry.app_id:
            return f"App {entry.app_id}"
        if entry.token_file:
            return f"file {entry.token_file}"
        return next((f"variable {name}" for name in self.variables(entry) if self.env.get(name)), None)

    async def token(self, entry: ForgeEntry, repository: RepositoryRef) -> str | None:
        """What signs in for this repository; None where the person's own git has to."""
        if isinstance(entry, GitHubEntry) and entry.app_id is not None:
            found: str | None = await self._installation(entry, repository)
        else:
            found = self.fixed(entry)
        if found is not None:
            self.seen[entry.host] = found
        return found

    async def _installation(self, entry: GitHubEntry, repository: RepositoryRef) -> str:
        """A token of the App's installation for the repository, renewed before it ends.

        https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
        """
        place = Place.of(repository.location)
        assert place is not None
        key = (entry.host, place.path)
        known = self._installed.get(key)
        if known is None or known[1] - time.time() < _RENEW_SECONDS:
            rest = github_rest(entry.api, _signed(entry), place.path)
            installation = await rest.call("GET", f"/repos/{place.path}/installation")
            body = {"repositories": [place.path.rpartition("/")[2]]}
            made = await rest.call("POST", f"/app/installations/{installation['id']}/access_tokens", json=body)
            known = (made["token"], _moment(made["expires_at"]))
            self._installed[key] = known
        return known[0]


def _signed(entry: GitHubEntry) -> str:
    """The App's own token for ten minutes, signed with its private key."""
    import jwt

    if entry.app_key_file is None:
        raise ConfigurationError(f"the App {entry.app_id} of {entry.host} has no private key; give --app-key FILE")
    started = int(time.time()) - 60  # clocks differ
    claims = {"iss": entry.app_id, "iat": started, "exp": started + 600}
    try:
        return jwt.encode(claims, _read(Path(entry.app_key_file)), algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{entry.app_key_file} holds no RSA private key (PEM): {error}") from error


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_TOKEN_LIMIT).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as a token or key: {error}") from error
    if not text:
        raise ConfigurationError(f"{path} is empty; write the token or key into it")
    return text
