"""`forge add|list|test|remove|webhook`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from pullwright.cli.outside import ForgeOrder, with_forges

if TYPE_CHECKING:
    from pullwright.cli.outside import Forges

app = App(name="forge", help="The forges that pull requests go to: github.com, gitlab.com and codeberg.org are known.")


@app.command(sort_key=0)
def add(
    url: str,
    /,
    *,
    kind: Literal["github", "gitlab", "gitea", "git"],
    api: str | None = None,
    token_variable: str | None = None,
    token_file: Path | None = None,
    token_stdin: bool = False,
    app_id: str | None = None,
    app_key: Path | None = None,
    json: bool = False,
) -> int:
    """Make a forge known, or change how it is reached. Tokens are read where they are needed, and never shown.

    Args:
        url: Its address, https://HOST; repositories whose URL names that host are on it.
        kind: github (Enterprise, too), gitlab, gitea (Forgejo, too), or git for a plain git server.
        api: Where its REST interface is, if not below its address as usual.
        token_variable: The environment variable that holds the token.
        token_file: The file that holds the token.
        token_stdin: Read the token from standard input and keep it in a file of the data directory, for nobody else.
        app_id: The id of a GitHub App that signs in instead of a token.
        app_key: The file with the App's private key.
        json: Print the forge as JSON.
    """

    token = sys.stdin.read() if token_stdin else None
    order = ForgeOrder(url, kind, api, token, token_variable, token_file, app_id, app_key)

    async def perform(forges: Forges) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line

        added = await forges.add(order)
        if json:
            answer_json(added.model_dump(mode="json"))
        else:
            answer([Line(f"{added.host} is known as {added.kind}; `pullwright forge test REPOSITORY` tries it")])
        return 0

    return with_forges(perform)


@app.command(name="list", sort_key=1)
def list_forges(*, json: bool = False) -> int:
    """List the forges that are known, and what signs in on each.

    Args:
        json: Print them as a JSON array.
    """

    async def perform(forges: Forges) -> int:
        from pullwright.cli.screen import answer_json, answer_table

        known = await forges.listed()
        if json:
            answer_json([one.model_dump(mode="json") for one in known])
            return 0
        nothing = "nothing: branches only, with your own git's credentials"
        rows = [(one.host, one.kind, one.api or "", one.signs_in or nothing) for one in known]
        answer_table(("HOST", "KIND", "INTERFACE", "SIGNS IN WITH"), rows)
        return 0

    return with_forges(perform)


@app.command(name="test", sort_key=2)
def try_forge(repository: str, /, *, json: bool = False) -> int:
    """Try whether a repository can be delivered to with what signs in on its forge.

    Args:
        repository: A URL or a path.
        json: Print the answer as a JSON object with the keys `forge` and `said`.
    """

    async def perform(forges: Forges) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        name, said = await forges.tried(repository)
        if json:
            answer_json({"forge": name, "said": said})
        else:
            answer([Line(f"{name}: {shown(said)}", "good")])
        return 0

    return with_forges(perform)


@app.command(sort_key=3)
def remove(host: str, /, *, json: bool = False) -> int:
    """Forget a forge that was added.

    Args:
        host: As `forge list` shows it.
        json: Print a JSON object with the key `removed`.
    """

    async def perform(forges: Forges) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line

        await forges.remove(host)
        if json:
            answer_json({"removed": host})
        else:
            answer([Line(f"{host} is forgotten")])
        return 0

    return with_forges(perform)


@app.command(sort_key=4)
def webhook(host: str, /, *, new_secret: bool = False, secret_stdin: bool = False, json: bool = False) -> int:
    """Show where a forge is to send its events, with the secret that it signs them with, and what it told last.

    Args:
        host: As `forge list` shows it.
        new_secret: Make another secret; the forge has to be told it.
        secret_stdin: Read the secret from standard input instead of making one.
        json: Print a JSON object with the keys `url`, `events`, `secret` (null unless it is new) and `told`.
    """

    async def perform(forges: Forges) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        found, secret = await forges.webhook(host), None
        if new_secret or secret_stdin or not found.kept:
            secret = await forges.set_webhook(host, sys.stdin.readline() if secret_stdin else None)
        if json:
            latest = [one.model_dump(mode="json") for one in found.told]
            answer_json({"url": found.url, "events": found.events, "secret": secret, "told": latest})
            return 0
        kept = "kept; --new-secret makes another"
        answer(
            [
                Line(f"{host.lower()} sends its events, as application/json, to", "good"),
                Line(f"  {found.url}"),
                Line(f"  secret  {secret or kept}"),
                Line(f"  events  {found.events}"),
            ]
        )
        if found.told:
            rows = [
                (f"{one.received:%Y-%m-%d %H:%M}", one.fate.value, one.asked.how, shown(one.asked.by), shown(one.note))
                for one in found.told
            ]
            answer_table(("TOLD", "FATE", "HOW", "BY", "WHAT BECAME OF IT"), rows)
        return 0

    return with_forges(perform)
