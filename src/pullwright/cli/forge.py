"""`forge add|list|test|remove|webhook`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import App

if TYPE_CHECKING:
    from pullwright.domain.forge import ForgeEntry

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

    async def perform() -> int:
        from pullwright.cli.house import opened_record, settings
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.flow import forges

        entry = forges.entry(
            url,
            kind,
            api=api,
            token_variable=token_variable,
            token_file=token_file,
            app_id=app_id,
            app_key=app_key,
        )
        async with opened_record() as record:
            if token_stdin:
                entry = forges.keep_token(settings(), entry, sys.stdin.read())
            await record.save_forge(entry)
        if json:
            answer_json(entry.model_dump(mode="json"))
        else:
            answer([Line(f"{entry.host} is known as {entry.kind}; `pullwright forge test REPOSITORY` tries it")])
        return 0

    return asyncio.run(perform())


@app.command(name="list", sort_key=1)
def list_forges(*, json: bool = False) -> int:
    """List the forges that are known, and what signs in on each.

    Args:
        json: Print them as a JSON array.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_record, settings
        from pullwright.cli.screen import answer_json, answer_table
        from pullwright.domain.forge import KNOWN

        async with opened_record() as record:
            entries = [*await record.forges(), *settings().forges]
        hosts = {entry.host for entry in entries}
        entries += [entry for entry in KNOWN if entry.host not in hosts]
        if json:
            answer_json([entry.model_dump(mode="json") for entry in entries])
        else:
            rows = [(entry.host, entry.kind, getattr(entry, "api", ""), _signs_in(entry)) for entry in entries]
            answer_table(("HOST", "KIND", "INTERFACE", "SIGNS IN WITH"), rows)
        return 0

    return asyncio.run(perform())


@app.command(name="test", sort_key=2)
def try_forge(repository: str, /, *, json: bool = False) -> int:
    """Try whether a repository can be delivered to with what signs in on its forge.

    Args:
        repository: A URL or a path.
        json: Print the answer as a JSON object with the keys `forge` and `said`.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_platform
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        async with opened_platform() as platform:
            reference = await platform.repositories.locate(repository, Path.cwd())
            await platform.repositories.fetch(reference)
            forge = await platform.forge(reference)
            said = await forge.test()
        if json:
            answer_json({"forge": forge.name, "said": said})
        else:
            answer([Line(f"{forge.name}: {shown(said)}", "good")])
        return 0

    return asyncio.run(perform())


@app.command(sort_key=3)
def remove(host: str, /, *, json: bool = False) -> int:
    """Forget a forge that was added.

    Args:
        host: As `forge list` shows it.
        json: Print a JSON object with the key `removed`.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_record
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.domain.errors import UsageError

        async with opened_record() as record:
            if not await record.remove_forge(host.lower()):
                raise UsageError(f"no forge {host} was added; `pullwright forge list` shows them")
        if json:
            answer_json({"removed": host})
        else:
            answer([Line(f"{host} is forgotten")])
        return 0

    return asyncio.run(perform())


@app.command(sort_key=4)
def webhook(host: str, /, *, new_secret: bool = False, secret_stdin: bool = False, json: bool = False) -> int:
    """Show where a forge is to send its events, with the secret that it signs them with, and what it told last.

    Args:
        host: As `forge list` shows it.
        new_secret: Make another secret; the forge has to be told it.
        secret_stdin: Read the secret from standard input instead of making one.
        json: Print a JSON object with the keys `url`, `events`, `secret` (null unless it is new) and `told`.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_platform
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown
        from pullwright.flow import incoming

        async with opened_platform() as platform:
            entry = await incoming.entry_at(platform, host)
            secret = None
            if new_secret or secret_stdin or await incoming.secret_of(platform.record, entry.host) is None:
                given = sys.stdin.readline() if secret_stdin else None
                secret = await incoming.set_secret(platform.record, entry.host, given)
            told = [one for one in await incoming.latest(platform.record) if one.host == entry.host][:20]
            url = incoming.address(platform.settings.url, entry.host)
        if json:
            latest = [one.model_dump(mode="json") for one in told]
            answer_json({"url": url, "events": incoming.EVENTS[entry.kind], "secret": secret, "told": latest})
            return 0
        kept = "kept; --new-secret makes another"
        answer(
            [
                Line(f"{entry.host} sends its events, as application/json, to", "good"),
                Line(f"  {url}"),
                Line(f"  secret  {secret or kept}"),
                Line(f"  events  {incoming.EVENTS[entry.kind]}"),
            ]
        )
        if told:
            rows = [
                (f"{one.received:%Y-%m-%d %H:%M}", one.fate.value, one.asked.how, shown(one.asked.by), shown(one.note))
                for one in told
            ]
            answer_table(("TOLD", "FATE", "HOW", "BY", "WHAT BECAME OF IT"), rows)
        return 0

    return asyncio.run(perform())


def _signs_in(entry: ForgeEntry) -> str:
    """What signs in, by the name of its place and never by itself."""
    import os

    from pullwright.domain.forge import GitHubEntry
    from pullwright.forge.access import Access

    if isinstance(entry, GitHubEntry) and entry.app_id:
        return f"App {entry.app_id}"
    if entry.token_file:
        return f"file {entry.token_file}"
    for name in Access(os.environ).variables(entry):
        if os.environ.get(name):
            return f"variable {name}"
    return "nothing: branches only, with your own git's credentials"
