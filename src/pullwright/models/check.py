"""A wrong key, name or address found out before work begins."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import httpx2

from pullwright.domain.errors import ModelUnavailable, ModelUnreachable
from pullwright.models.connection import Connection
from pullwright.models.known import Target


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


_LISTS = {"anthropic": "/v1/models?limit=1000", "google": "/v1beta/models?pageSize=1000", "mistral": "/v1/models"}


async def listed(connection: Connection, *, seconds: float = 20.0) -> list[str] | None:
    """The models that the server says it has; None where it has no such list. Raises `ModelUnavailable`."""
    found = await listing(connection, seconds=seconds)
    return None if found is None else list(found)


async def listing(connection: Connection, *, seconds: float = 20.0) -> dict[str, dict[str, Any]] | None:
    """What the server says of each of its models; None where it has no such list. Raises `ModelUnavailable`."""
    where = connection.target
    if where.wire == "bedrock":
        return None
    try:
        response = await connection.get(_LISTS.get(where.wire or "", "/models"), seconds=seconds)
    except httpx2.TransportError as error:
        raise unreachable(where, str(error)) from error
    if response.status_code == 401 or (response.status_code in (400, 403) and "api key" in response.text.lower()):
        raise wrong_key(where, message_of(response))
    if response.status_code != 200:
        return None
    try:
        held = response.json()
        if where.wire == "google":
            return {str(entry["name"]).removeprefix("models/"): entry for entry in held["models"]}
        return {entry["id"]: entry for entry in held["data"] if isinstance(entry["id"], str)}
    except (ValueError, TypeError, KeyError):
        return None


async def window_of(connection: Connection) -> int | None:
    """How many tokens a server of one's own takes: as vLLM, LM Studio, llama.cpp or Ollama tells it; else None."""
    where = connection.target
    with contextlib.suppress(httpx2.HTTPError, ModelUnavailable):
        entry = (await listing(connection, seconds=2.0) or {}).get(where.name, {})
        meta = entry.get("meta")
        told = [entry.get("max_model_len"), entry.get("max_context_length"), entry.get("context_length")]
        told += [meta.get("n_ctx")] if isinstance(meta, dict) else []
        if window := _number(told):
            return window
        root = where.base_url.removesuffix("/v1")
        props = await connection.get("/props", at=root, seconds=2.0)  # llama.cpp
        if window := _number([_within(_body(props), "default_generation_settings", "n_ctx")]):
            return window
        loaded = _body(await connection.get("/api/ps", at=root, seconds=2.0)).get("models")  # Ollama
        shown = await connection.post("/api/show", {"model": where.name}, at=root, seconds=2.0)
        return _ollama_window(where.name, loaded, _body(shown))
    return None


def _ollama_window(name: str, loaded: object, shown: dict[str, Any]) -> int | None:
    """What the model runs with, or what its file sets: Ollama cuts at it in silence, whatever the model could take."""
    for model in loaded if isinstance(loaded, list) else ():
        if isinstance(model, dict) and model.get("name") in (name, f"{name}:latest"):
            return _number([model.get("context_length")])
    for line in str(shown.get("parameters") or "").splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "num_ctx" and value.strip().isdecimal():
            return int(value)
    return None


def _within(body: dict[str, Any], *path: str) -> object:
    held: object = body
    for step in path:
        held = held.get(step) if isinstance(held, dict) else None
    return held


def _number(told: list[object]) -> int | None:
    return next((one for one in told if isinstance(one, int) and not isinstance(one, bool) and one > 0), None)


def _body(response: httpx2.Response) -> dict[str, Any]:
    try:
        held = response.json() if response.status_code == 200 else {}
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


async def speaks(connection: Connection) -> Literal["responses", "chat"]:
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


def unreachable(where: Target, why: str) -> ModelUnreachable:
    """Nothing answers at the address."""
    remedy = "" if not where.ends_in_v1 else ", with its path, which usually ends in /v1"
    return ModelUnreachable(
        f"No model's server answers at {where.base_url} ({why or 'no connection'}). Start it, or set "
        f"{where.url_setting} to its address{remedy}."
    )


def wrong_key(where: Target, why: str) -> ModelUnavailable:
    """The server refused the key."""
    held = "refused the key" if where.key or where.wire == "bedrock" else "wants a key"
    return ModelUnavailable(
        f"{where.base_url} {held}{f' ({why})' if why else ''}. Set {where.key_setting} to a valid one."
    )


def wrong_name(where: Target, why: str) -> ModelUnavailable:
    """The server has no such model, or no such path."""
    remedy = ", which usually ends in /v1" if where.ends_in_v1 else ""
    return ModelUnavailable(
        f"{where.base_url} has no model {where.name}{f' ({why})' if why else ''}. Name one that it has with --model or "
        f"PULLWRIGHT_MODEL; if the address is wrong, set {where.url_setting} to the right one{remedy}."
    )


def used_up(where: Target, why: str) -> ModelUnavailable:
    """The account has no credit left."""
    return ModelUnavailable(
        f"{where.base_url} says that the account's quota is used up{f' ({why})' if why else ''}. Add credit or set "
        f"{where.key_setting} to another key."
    )
