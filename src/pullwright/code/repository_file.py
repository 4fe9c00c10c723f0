"""`.pullwright.toml`: what a repository says about its own environment, read at the base commit only."""

import re
import shlex
import tomllib
from typing import Any

from pydantic import Field, ValidationError

from pullwright.domain.environment import ToolServer, server_name
from pullwright.domain.errors import UsageError
from pullwright.domain.image import image_reference
from pullwright.domain.service import KNOWN, Service, service_name
from pullwright.domain.value import Value

NAME = ".pullwright.toml"

_KEYS = ("setup", "maintenance", "check", "image", "variables", "services", "sparse", "mcp")
_OF_A_SERVICE = ("command", "ready", "variables", "setup", "seconds")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RepositoryFile(Value):
    """The settings of a repository; None where it leaves one to detection."""

    setup: str | None = None
    maintenance: str | None = None
    check: str | None = None
    image: str | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    sparse: tuple[str, ...] = ()
    servers: dict[str, ToolServer] = Field(default_factory=dict)
    services: tuple[Service, ...] = ()


def parse(data: bytes) -> RepositoryFile:
    """Read the file. Raises `UsageError` that names the key and the remedy."""
    try:
        settings = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{NAME} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{NAME} is not valid TOML: {error}. Mend it at the base commit.") from error
    if unknown := sorted(set(settings) - set(_KEYS)):
        raise UsageError(f"{NAME}: unknown key {', '.join(map(repr, unknown))}. It may hold {', '.join(_KEYS)}.")
    return RepositoryFile(
        setup=_text(settings, "setup"),
        maintenance=_text(settings, "maintenance"),
        check=_text(settings, "check"),
        image=_image(settings),
        variables=_variables(settings.get("variables", {})),
        sparse=directories(settings.get("sparse", []), f"{NAME}: `sparse`"),
        servers=_servers(settings.get("mcp", {})),
        services=_services(settings.get("services", [])),
    )


def directories(value: object, where: str) -> tuple[str, ...]:
    """Directories of a repository to lay out, the others left out. Raises `UsageError` beginning with `where`."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise UsageError(f"{where} must be a list of directories.")
    for one in value:
        parts = one.strip("/").split("/")
        if {"", ".", ".."} & set(parts) or re.search(r"[\x00-\x1f\x7f]", one):
            raise UsageError(f"{where}: {one!r} is no directory of the repository. Write it from its root, as src/app.")
    return tuple(dict.fromkeys(one.strip("/") for one in value))


def _text(settings: dict[str, Any], key: str) -> str | None:
    value = settings.get(key)
    if value is None or (isinstance(value, str) and "\0" not in value):
        return value
    raise UsageError(f"{NAME}: `{key}` must be a string: a command, or several lines of them.")


def _image(settings: dict[str, Any]) -> str | None:
    value = settings.get("image")
    if value is None:
        return None
    if not isinstance(value, str):
        raise UsageError(f"{NAME}: `image` must be a string such as docker://debian:12.")
    try:
        image_reference(value)
    except UsageError as error:
        raise UsageError(f"{NAME}: {error}") from error
    return value


def _servers(value: object) -> dict[str, ToolServer]:
    """`[mcp.NAME]` with `command`, a string or a list of words, and `variables`; or `NAME = "command"` in `[mcp]`.

    They run where the agent's own commands run and may no more than those, so that a repository may name them.
    """
    if not isinstance(value, dict):
        raise UsageError(f"{NAME}: `mcp` must be a table of names and servers.")
    found: dict[str, ToolServer] = {}
    for name, said in value.items():
        try:
            server_name(name)
        except UsageError as error:
            raise UsageError(f"{NAME}: {error}") from error
        server = said if isinstance(said, dict) else {"command": said}
        if "url" in server:
            raise UsageError(f"{NAME}: mcp.{name}: a branch cannot name servers elsewhere. Give a `command` to run.")
        if unknown := sorted(set(server) - {"command", "variables"}):
            raise UsageError(f"{NAME}: mcp.{name}: unknown key {', '.join(map(repr, unknown))}.")
        command = server.get("command")
        if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
            command = shlex.join(command)
        if not isinstance(command, str) or not command.strip() or "\0" in command:
            raise UsageError(f"{NAME}: mcp.{name}: `command` must be a command line, or a list of words.")
        found[name] = ToolServer(command=command, variables=_variables(server.get("variables", {})))
    return found


def _services(value: object) -> tuple[Service, ...]:
    """A list of known names, or `[services.NAME]` with `command`, `ready`, `variables`, `setup` and `seconds`.

    What a known name leaves out is as it is known; its variables are added to.
    """
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        value = {name: {} for name in value}
    if not isinstance(value, dict):
        raise UsageError(f"{NAME}: `services` must be a list of names, or a table of names and services.")
    return tuple(_service(name, said) for name, said in value.items())


def _service(name: str, said: object) -> Service:
    try:
        name = service_name(name)
    except UsageError as error:
        raise UsageError(f"{NAME}: {error}") from error
    where = f"{NAME}: services.{name}"
    if not isinstance(said, dict):
        raise UsageError(f"{where} must be a table, with a `command`.")
    if unknown := sorted(set(said) - set(_OF_A_SERVICE)):
        raise UsageError(
            f"{where}: unknown key {', '.join(map(repr, unknown))}. It may hold {', '.join(_OF_A_SERVICE)}."
        )
    known = KNOWN.get(name)
    fields = dict(said)
    if "command" in fields:  # another program of the same name is prepared and asked in its own way
        fields = {"ready": None, "prepare": None, "package": None, **fields}
    elif known is None:
        raise UsageError(f"{where} is not known by name (those are {', '.join(KNOWN)}). Give it a `command`.")
    variables = (known.variables if known else {}) | _variables(said.get("variables", {}))
    try:
        known_fields = known.model_dump() if known else {}
        return Service.model_validate(known_fields | fields | {"name": name, "variables": variables}, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise UsageError(f"{where}.{'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _variables(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{NAME}: `variables` must be a table of names and strings.")
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"{NAME}: {name!r} is no name of an environment variable (letters, digits, underscores).")
        if not isinstance(text, str) or "\0" in text:
            raise UsageError(f"{NAME}: the variable {name} must be a string. Put its value in quotes.")
    return dict(value)
