"""Tokens of the API: made, known again."""

import secrets

from pullwright.domain.access import Scope, Token, digest
from pullwright.domain.value import now
from pullwright.store.record import Record

_USED_SECONDS = 60.0  # a token's last use is written down at most that often


async def issue(record: Record, name: str, scope: Scope) -> tuple[Token, str]:
    """A new token, and what its holder gets to see this once."""
    secret = f"pw_{secrets.token_urlsafe(32)}"
    token = Token(id=secrets.token_hex(4), name=name, scope=scope, created=now())
    await record.add_token(token, digest(secret))
    return token, secret


async def holder(record: Record, secret: str) -> Token | None:
    """The token that this is, if it is one; its use is remembered."""
    token = await record.token(digest(secret))
    if token is not None and (token.used is None or (now() - token.used).total_seconds() > _USED_SECONDS):
        await record.use_token(token.id)
    return token
