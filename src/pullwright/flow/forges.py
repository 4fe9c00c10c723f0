"""How a person makes a forge known."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError

from pullwright.domain.errors import UsageError
from pullwright.domain.forge import API_PATHS, FORGE, ForgeEntry
from pullwright.settings import Settings


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
    folder = settings.home / "tokens"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / known.host.replace(":", "_")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(token.strip() + "\n")
    return known.model_copy(update={"token_file": str(file)})
