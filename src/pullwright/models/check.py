"""A wrong key, name or address found out before work begins."""

from collections.abc import Awaitable, Callable

import httpx2

from pullwright.domain.errors import ModelUnavailable
from pullwright.models.client import Connection
from pullwright.models.known import Api, Target


async def check(connection: Connection, smallest: Callable[[], Awaitable[None]]) -> None:
    """Raise `ModelUnavailable` where the key, the name or the address is wrong.

    The list of models answers for free where there is one that has the name; else `smallest`, a question of a few
    tokens, has the last word.
    """
    names = await listed(connection)
    if names is None or not _offered(connection.target.name, names):
        await smallest()


def _offered(name: str, names: list[str]) -> bool:
    # Ollama lists `llama3:latest` for `llama3`; OpenRouter lists `x/y` for `x/y:free`.
    return name in names or f"{name}:latest" in names


async def listed(connection: Connection) -> list[str] | None:
    """The models that the server says it has; None where it has no such list. Raises `ModelUnavailable`."""
    where = connection.target
    try:
        response = await connection.get("/models")
    except httpx2.TransportError as error:
        raise unreachable(where, str(error)) from error
    if response.status_code == 401:
        raise wrong_key(where, message_of(response))
    if response.status_code != 200:
        return None
    try:
        data = response.json()["data"]
        return [entry["id"] for entry in data if isinstance(entry["id"], str)]
    except (ValueError, TypeError, KeyError):
        return None


async def spoken(connection: Connection) -> Api:
    """Which of the two interfaces the server has; Responses where it has both. Costs nothing: the question is empty."""
    try:
        response = await connection.post("/responses", {"model": connection.target.name})
    except httpx2.TransportError as error:
        raise unreachable(connection.target, str(error)) from error
    if response.status_code == 401:
        raise wrong_key(connection.target, message_of(response))
    missing = response.status_code in (404, 405, 501) and "model" not in message_of(response).lower()
    return "chat" if missing else "responses"


def message_of(response: httpx2.Response) -> str:
    """What the server said was wrong."""
    try:
        return said(response.json())
    except ValueError:
        return ""


def said(body: object) -> str:
    """The message in an error's body, in one short line; empty where there is none."""
    for key in ("error", "message", "detail"):
        if isinstance(body, dict) and key in body:
            body = body[key]
    text = body if isinstance(body, str) else ""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())[:300]


def unreachable(where: Target, why: str) -> ModelUnavailable:
    """Nothing answers at the address."""
    return ModelUnavailable(
        f"No model's server answers at {where.base_url} ({why or 'no connection'}). Start it, or set OPENAI_BASE_URL "
        "(or PULLWRIGHT_MODEL_URL) to its address, with its path, which usually ends in /v1."
    )


def wrong_key(where: Target, why: str) -> ModelUnavailable:
    """The server refused the key."""
    held = "refused the key" if where.key else "wants a key"
    return ModelUnavailable(
        f"{where.base_url} {held}{f' ({why})' if why else ''}. "
        "Set OPENAI_API_KEY (or PULLWRIGHT_MODEL_KEY) to a valid one."
    )


def wrong_name(where: Target, why: str) -> ModelUnavailable:
    """The server has no such model, or no such path."""
    return ModelUnavailable(
        f"{where.base_url} has no model {where.name}{f' ({why})' if why else ''}. Name one that it has with --model or "
        "PULLWRIGHT_MODEL; if the address is wrong, set OPENAI_BASE_URL to the right one, which usually ends in /v1."
    )


def used_up(where: Target, why: str) -> ModelUnavailable:
    """The account has no credit left."""
    return ModelUnavailable(
        f"{where.base_url} says that the account's quota is used up{f' ({why})' if why else ''}. Add credit or set "
        "OPENAI_API_KEY (or PULLWRIGHT_MODEL_KEY) to another key."
    )
