"""`token create|list|revoke`: who may use the API."""

from __future__ import annotations

import asyncio

from cyclopts import App

from pullwright.domain.access import Scope

app = App(name="token", help="Tokens for the API: create, list, revoke.")


@app.command(sort_key=0)
def create(name: str, /, *, scope: Scope = Scope.WRITE, user: str | None = None, json: bool = False) -> int:
    """Make a token and print it. It is shown this once and kept nowhere.

    Args:
        name: Where it is going to be used.
        scope: read: look at everything; write: hand in tasks and steer them, too; admin: everything.
        user: The user whom it speaks for: it does at most what their role allows, and sees what their teams have.
        json: Print it as a JSON object with the keys `id`, `name`, `scope` and `secret`.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_record
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.flow.tokens import issue

        async with opened_record() as record:
            theirs = None if user is None else (await record.people.user(user)).id
            token, secret = await issue(record, name, scope, theirs)
        if json:
            answer_json({"id": token.id, "name": token.name, "scope": token.scope, "secret": secret})
        else:
            answer([Line(secret)])
        return 0

    return asyncio.run(perform())


@app.command(name="list", sort_key=1)
def list_tokens(*, json: bool = False) -> int:
    """List the tokens, revoked ones too.

    Args:
        json: Print them as a JSON array.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_record
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        async with opened_record() as record:
            tokens = await record.tokens()
            names = {user.id: user.name for user in await record.people.users()}
        if json:
            answer_json([token.model_dump(mode="json") for token in tokens])
        elif tokens:
            rows = [
                (
                    token.id,
                    token.scope.value,
                    names.get(token.user or "", "the house"),
                    f"{token.created:%Y-%m-%d}",
                    f"{token.used:%Y-%m-%d %H:%M}" if token.used else "never",
                    "revoked" if token.revoked else "good",
                    shown(token.name),
                )
                for token in tokens
            ]
            answer_table(("ID", "SCOPE", "OF", "MADE", "LAST USED", "STATE", "NAME"), rows)
        else:
            answer([Line("no tokens yet; `pullwright serve` makes its own, `pullwright token create NAME` others")])
        return 0

    return asyncio.run(perform())


@app.command(sort_key=2)
def revoke(token_id: str, /) -> int:
    """Make a token worthless from the next request on.

    Args:
        token_id: The token's ID, as `token list` shows it.
    """

    async def perform() -> int:
        from pullwright.cli.house import opened_record

        async with opened_record() as record:
            await record.revoke_token(token_id)
        return 0

    return asyncio.run(perform())
