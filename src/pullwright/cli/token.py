"""`token create|list|revoke`: who may use the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from pullwright.cli.admission import with_admission
from pullwright.domain.access import Scope

if TYPE_CHECKING:
    from pullwright.cli.admission import Admission

app = App(name="token", help="Tokens for the API: create, list, revoke.")


@app.command(sort_key=0)
def create(name: str, /, *, scope: Scope | None = None, user: str | None = None, json: bool = False) -> int:
    """Make a token and print it. It is shown this once and kept nowhere.

    Args:
        name: Where it is going to be used.
        scope: read: look at everything; write: hand in tasks and steer them, too; admin: everything. If not given,
            write, or on a server as much of that as you may.
        user: The user whom it speaks for: it does at most what their role allows, and sees what their teams have. If
            not given it is the house's, or on a server your own.
        json: Print it as a JSON object with the keys `id`, `name`, `scope` and `secret`.
    """

    async def perform(who: Admission) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line

        token, secret = await who.create_token(name, scope, user)
        if json:
            answer_json({"id": token.id, "name": token.name, "scope": token.scope, "secret": secret})
        else:
            answer([Line(secret)])
        return 0

    return with_admission(perform)


@app.command(name="list", sort_key=1)
def list_tokens(*, json: bool = False) -> int:
    """List the tokens, revoked ones too.

    Args:
        json: Print them as a JSON array.
    """

    async def perform(who: Admission) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.cli.words import shown

        tokens = await who.tokens()
        if json:
            answer_json([token.model_dump(mode="json") for token in tokens])
        elif tokens:
            names = await who.names()
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

    return with_admission(perform)


@app.command(sort_key=2)
def revoke(token_id: str, /) -> int:
    """Make a token worthless from the next request on.

    Args:
        token_id: The token's ID, as `token list` shows it.
    """

    async def perform(who: Admission) -> int:
        await who.revoke_token(token_id)
        return 0

    return with_admission(perform)
