"""How a person makes a forge known, sees what is known, and tries it."""

import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from pullwright.domain.errors import UsageError
from pullwright.domain.forge import API_PATHS, FORGE, KNOWN, ForgeEntry
from pullwright.domain.incoming import Told
from pullwright.domain.value import Value
from pullwright.flow import incoming
from pullwright.flow.platform import Platform
from pullwright.settings import Settings


class ForgeView(Value):
    """A forge that is known."""

    host: str
    kind: str
    api: str | None = Field(description="Where its REST interface is; null: it has none.")
    source: Literal["added", "configured", "known"]
    signs_in: str | None = Field(description="With what, by the name of its place; null: nothing signs in there.")
    token_variable: str | None = None
    token_file: str | None = None
    app_id: str | None = None
    app_key_file: str | None = None


class Webhook(Value):
    """What a forge's webhook has to be told, and what it told last."""

    url: str = Field(description="Where it sends to, as application/json.")
    events: str = Field(description="What to tick.")
    kept: bool = Field(description="Whether a secret is kept that deliveries are signed with.")
    told: tuple[Told, ...] = Field(description="The newest 20, newest first.")


async def known(platform: Platform) -> list[ForgeView]:
    """Those that were added, those of the settings, and the public ones; each host once."""
    found: dict[str, ForgeView] = {}
    for entry in await platform.record.forges():
        found.setdefault(entry.host, view(platform, entry, "added"))
    for entry in platform.settings.forges:
        found.setdefault(entry.host, view(platform, entry, "configured"))
    for entry in KNOWN:
        found.setdefault(entry.host, view(platform, entry, "known"))
    return list(found.values())


def view(platform: Platform, known: ForgeEntry, source: Literal["added", "configured", "known"]) -> ForgeView:
    """A forge without its secrets."""
    return ForgeView.model_validate(
        {"api": None, **known.model_dump(), "source": source, "signs_in": platform.signs_in(known)}
    )


async def remove(platform: Platform, host: str) -> None:
    """Forget a forge that was added, with the token that was kept for it and, unless it stays known all the same, the
    secret of its webhook. Raises `UsageError`.
    """
    host = host.lower()
    if not await platform.record.remove_forge(host):
        raise UsageError(f"There is no forge {host} that was added; `pullwright forge list` shows them.")
    _token_file(platform.settings, host).unlink(missing_ok=True)
    if host not in {entry.host for entry in (*platform.settings.forges, *KNOWN)}:
        await incoming.forget_secret(platform.record, host)


async def tried(platform: Platform, repository: str, cwd: Path) -> tuple[str, str]:
    """The name of a repository's forge, and what it said to whether it can be delivered to. Raises what is wrong."""
    reference = await platform.repositories.locate(repository, cwd)
    await platform.repositories.fetch(reference)
    forge = await platform.forge(reference)
    return forge.name, await forge.test()


async def webhook(platform: Platform, host: str) -> Webhook:
    """What the webhook of a forge is, without its secret. Raises `UsageError`."""
    at = await incoming.entry_at(platform, host)
    told = [one for one in await incoming.latest(platform.record) if one.host == at.host]
    return Webhook(
        url=incoming.address(platform.settings.url, at.host),
        events=incoming.EVENTS[at.kind],
        kept=await incoming.secret_of(platform.record, at.host) is not None,
        told=tuple(told[:20]),
    )


def entry(
    url: str,
    kind: str,
    *,
    api: str | None = None,
    token_variable: str | None = None,
    token_file: Path | None = None,
    app_id: str | None = None,
    app_key: Path | None = None,
) -> ForgeEntry:
    """The entry that a person describes. Raises `UsageError`."""
    try:
        split = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError as error:
        raise UsageError(f"{url} is no forge's address: {error}; write it as https://HOST") from error
    if split.scheme not in ("http", "https") or not split.hostname or split.username is not None:
        raise UsageError(f"{url} is no forge's address; write it as https://HOST")
    fields: dict[str, object] = {"kind": kind, "host": split.netloc, "token_variable": token_variable}
    if token_file is not None:
        fields["token_file"] = str(token_file.expanduser().absolute())
    if kind != "git":
        fields["api"] = api or _usual_api(split.scheme, split.netloc.lower(), split.path, kind)
    if app_id is not None or app_key is not None:
        if kind != "github" or app_id is None or app_key is None:
            raise UsageError("--app-id and --app-key go together, for --kind github")
        fields |= {"app_id": app_id, "app_key_file": str(app_key.expanduser().absolute())}
    try:
        return FORGE.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise UsageError(f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}") from error


def _usual_api(scheme: str, host: str, path: str, kind: str) -> str:
    if host == "github.com":
        return "https://api.github.com"
    return f"{scheme}://{host}{path.rstrip('/')}{API_PATHS[kind]}"


def keep_token(settings: Settings, known: ForgeEntry, token: str) -> ForgeEntry:
    """The entry with its token in a file of the data directory that nobody else may read. Raises `UsageError`."""
    if not token.strip():
        raise UsageError("the token is empty")
    if not token.strip().isprintable() or not token.isascii():
        raise UsageError("the token has characters that no header may hold; is it the token alone?")
    file = _token_file(settings, known.host)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(token.strip() + "\n")
    return known.model_copy(update={"token_file": str(file)})


def _token_file(settings: Settings, host: str) -> Path:
    return settings.home / "tokens" / host.replace(":", "_")
