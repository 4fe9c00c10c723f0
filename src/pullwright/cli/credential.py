"""`env credential add|list|remove`: headers that the proxy puts into requests, so that no sandbox knows them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cyclopts import App

from pullwright.cli.environments import with_environments

if TYPE_CHECKING:
    from pullwright.cli.environments import Environments
    from pullwright.domain.policy import EnvironmentPolicy

app = App(
    name="credential",
    sort_key=9,
    help="Headers that are put into requests for a host outside the sandbox: add, list, remove.",
)


@app.command(sort_key=0)
def add(host: str, /, *, header: str, from_env: str, repo: str = ".", json: bool = False) -> int:
    """Put a header into each request for a host, so that an environment uses a service without ever seeing the key.

    The host may then be reached by engines. Only requests over TLS get the header, and the sandbox's TLS to this host
    is looked into for it. The value is kept encrypted.

    Args:
        host: HOST or HOST:PORT.
        header: The header, 'Authorization: Bearer {}' for example; {} stands for the value. A name alone: all of it.
        from_env: The environment variable of this command that holds the value.
        repo: The repository: a path on disk or a URL.
        json: Print the policy as JSON.
    """

    async def perform(all_of_them: Environments) -> int:
        from pullwright.domain.errors import UsageError

        value = os.environ.get(from_env)
        if not value:
            raise UsageError(
                f"the variable {from_env} is not set; the value is read from it, so that no history keeps it"
            )
        _show(await all_of_them.attach(repo, host, header, value), json=json)
        return 0

    return with_environments(perform)


@app.command(name="list", sort_key=1)
def list_credentials(*, repo: str = ".", json: bool = False) -> int:
    """List the hosts and headers; never a value.

    Args:
        repo: The repository: a path on disk or a URL.
        json: Print the policy as JSON.
    """

    async def perform(all_of_them: Environments) -> int:
        _show(await all_of_them.policy(repo), json=json)
        return 0

    return with_environments(perform)


@app.command(sort_key=2)
def remove(host: str, /, *, repo: str = ".", json: bool = False) -> int:
    """Put nothing more into the requests for a host, and forget the value. The host may still be reached.

    Args:
        host: HOST or HOST:PORT, as `env credential list` shows it.
        repo: The repository: a path on disk or a URL.
        json: Print the policy as JSON.
    """

    async def perform(all_of_them: Environments) -> int:
        _show(await all_of_them.detach(repo, host), json=json)
        return 0

    return with_environments(perform)


def _show(policy: EnvironmentPolicy, *, json: bool) -> None:
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line

    if json:
        answer_json(policy.model_dump(mode="json"))
        return
    answer([Line(f"{one.host}  {one.header}") for one in policy.credentials] or [Line("no header is attached")])
