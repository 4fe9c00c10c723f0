"""`env secret set|list|remove`: what setup and maintenance scripts are given, and nobody else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App

from pullwright.cli.environments import with_environments

if TYPE_CHECKING:
    from pullwright.cli.environments import Environments

app = App(
    name="secret",
    sort_key=10,
    help="Secrets that setup and maintenance scripts find in variables, and that no agent sees: set, list, remove.",
)

_MOST = 100_000  # characters read from standard input


@app.command(name="set", sort_key=0)
def set_secret(name: str, /, *, repo: str = ".", json: bool = False) -> int:
    """Keep a secret, encrypted. Its value is asked for on a terminal, or read from standard input.

    Setup and maintenance scripts find it in the variable of that name. It is not there while an agent works or a change
    is checked, and it is left out of every log; what those scripts leave of it in files is blanked, or fails the setup.

    Args:
        name: The variable's name.
        repo: The repository: a path on disk or a URL.
        json: Print its name and the time as JSON.
    """

    from pullwright.domain.secret import check_name

    value = _value(check_name(name))

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line

        entry = await all_of_them.set_secret(repo, name, value)
        if json:
            answer_json(entry.model_dump(mode="json"))
        else:
            answer([Line(f"{name} is kept; the environment's next preparation uses it", "good")])
        return 0

    return with_environments(perform)


@app.command(name="list", sort_key=1)
def list_secrets(*, repo: str = ".", json: bool = False) -> int:
    """List the names of secrets, never a value.

    Args:
        repo: The repository: a path on disk or a URL.
        json: Print them as a JSON array of objects with `name` and `changed`.
    """

    async def perform(all_of_them: Environments) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line

        entries = await all_of_them.secrets(repo)
        if json:
            answer_json([entry.model_dump(mode="json") for entry in entries])
        elif entries:
            rows = [(entry.name, f"{entry.changed.astimezone():%Y-%m-%d %H:%M}") for entry in entries]
            answer_table(("NAME", "CHANGED"), rows)
        else:
            answer([Line("there are no secrets; `pullwright env secret set NAME` keeps one")])
        return 0

    return with_environments(perform)


@app.command(sort_key=2)
def remove(name: str, /, *, repo: str = ".") -> int:
    """Forget a secret. Environments that were prepared with it are prepared anew.

    Args:
        name: The variable's name, as `env secret list` shows it.
        repo: The repository: a path on disk or a URL.
    """

    async def perform(all_of_them: Environments) -> int:

        await all_of_them.remove_secret(repo, name)
        return 0

    return with_environments(perform)


def _value(name: str) -> str:
    """The value, without showing it. The line end that `echo` adds is none of it; a key of several lines keeps its."""
    from pullwright.domain.errors import UsageError

    if sys.stdin.isatty():
        from getpass import getpass

        value = getpass(f"Value of {name} (it is not shown): ")
    else:
        try:
            value = sys.stdin.read(_MOST)
        except UnicodeDecodeError as error:
            raise UsageError(
                "the value on standard input is not UTF-8 text; encode it, in base64 for example"
            ) from error
        if "\n" not in value.rstrip("\r\n"):
            value = value.rstrip("\r\n")
    if not value.strip():
        raise UsageError(f"no value came on standard input: printf %s VALUE | pullwright env secret set {name}")
    return value
