"""Tokens for hosts, handed to git on this machine alone: never on a command line, never in a sandbox.

Everything else that git knows to ask works as it does for the person whose account the platform runs under: their
credential helpers, `~/.netrc`, an ssh agent, ssh keys.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# A helper in shell, as gitcredentials(7) has it; what it says is in the environment of git alone.
_HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$PULLWRIGHT_USER" "$PULLWRIGHT_TOKEN"; }; f'
USER = "x-access-token"  # what GitHub, GitLab and Gitea take with any token


@dataclass(frozen=True)
class Tokens:
    """A token for each host (`HOST` or `HOST:PORT`), as the platform was given them."""

    by_host: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, url: str) -> str | None:
        """The token for the host of an http(s) URL."""
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.hostname:
            return None
        host = split.netloc.rpartition("@")[2].lower()
        return self.by_host.get(host) or self.by_host.get(split.hostname)

    def variables(self, url: str) -> dict[str, str]:
        """Environment variables under which git answers that host, and only that one, with its token."""
        token = self.of(url)
        if token is None:
            return {}
        split = urlsplit(url)
        where = f"{split.scheme}://{split.netloc.rpartition('@')[2]}"
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"credential.{where}.helper",
            "GIT_CONFIG_VALUE_0": _HELPER,
            "PULLWRIGHT_USER": USER,
            "PULLWRIGHT_TOKEN": token,
        }

    def header(self, url: str) -> dict[str, str]:
        """The same as an HTTP header, for requests that git does not make."""
        token = self.of(url)
        return {} if token is None else basic(USER, token)


def basic(user: str, password: str) -> dict[str, str]:
    """Basic authentication (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
