"""Which forges are known, and how each is reached: a tagged union that chooses the adapter."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, field_validator

from pullwright.domain.value import Value

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class _Entry(Value):
    host: str = Field(description="HOST or HOST:PORT as repository URLs name it, in lower case.")
    token_variable: str | None = Field(None, description="The environment variable that holds the token.")
    token_file: str | None = Field(None, description="An absolute path to a file that holds the token.")

    @field_validator("host")
    @classmethod
    def _plain_host(cls, host: str) -> str:
        if not _HOST.fullmatch(host) or len(host) > 253:
            raise ValueError("it is written HOST or HOST:PORT")
        return host.lower()


class _Api(_Entry):
    api: str = Field(description="The base URL of its REST interface.")

    @field_validator("api")
    @classmethod
    def _web(cls, api: str) -> str:
        split = urlsplit(api)
        if split.scheme not in ("http", "https") or not split.hostname or split.username is not None:
            raise ValueError("it is an http or https URL without a user")
        return api.rstrip("/")


class GitHubEntry(_Api):
    """GitHub, or GitHub Enterprise."""

    kind: Literal["github"] = "github"
    app_id: str | None = Field(None, description="The id of a GitHub App, which then answers instead of a token.")
    app_key_file: str | None = Field(None, description="An absolute path to the App's private key (PEM).")


class GitLabEntry(_Api):
    """GitLab, on gitlab.com or self-managed."""

    kind: Literal["gitlab"] = "gitlab"


class GiteaEntry(_Api):
    """Gitea or Forgejo."""

    kind: Literal["gitea"] = "gitea"


class GitEntry(_Entry):
    """A plain git server: a branch is all that there is."""

    kind: Literal["git"] = "git"


ForgeEntry = Annotated[GitHubEntry | GitLabEntry | GiteaEntry | GitEntry, Field(discriminator="kind")]
FORGE: TypeAdapter[ForgeEntry] = TypeAdapter(ForgeEntry)
FORGES: TypeAdapter[tuple[ForgeEntry, ...]] = TypeAdapter(tuple[ForgeEntry, ...])

KNOWN: tuple[ForgeEntry, ...] = (
    GitHubEntry(host="github.com", api="https://api.github.com"),
    GitLabEntry(host="gitlab.com", api="https://gitlab.com/api/v4"),
    GiteaEntry(host="codeberg.org", api="https://codeberg.org/api/v1"),
)
"""The public forges that need no entry."""

API_PATHS = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}
"""Where each kind has its REST interface below its own address, unless an entry says otherwise."""
