"""A repository's files at one commit, as detection reads them."""

import configparser
import json
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pullwright.domain.errors import RepositoryError
from pullwright.repos.mirror import TreeEntry

READ_LIMIT = 1024 * 1024

Read = Callable[[str], Awaitable[bytes | None]]


class Tree:
    """The file list of one commit and the text of the files that were asked for; broken files read as empty."""

    def __init__(self, files: Mapping[str, TreeEntry], read: Read) -> None:
        self.files = files
        self._read = read
        self._texts: dict[str, str] = {}

    def __contains__(self, path: str) -> bool:
        """Whether a file stands at this path."""
        return path in self.files and self.files[path].type == "blob"

    def first(self, *paths: str) -> str | None:
        """The first of these paths that is a file."""
        return next((path for path in paths if path in self), None)

    def present(self, paths: Iterable[str]) -> list[str]:
        """Those of these paths that are files."""
        return [path for path in paths if path in self]

    def ids(self, paths: Iterable[str]) -> dict[str, str]:
        """Path to blob id of those that are files."""
        return {path: self.files[path].id for path in paths if path in self}

    async def text(self, path: str) -> str:
        """A file's text, its first megabyte; empty where there is no such file."""
        if path not in self._texts:
            try:
                data = await self._read(path) if path in self else None
            except RepositoryError:  # larger than a text file that detection would read
                data = None
            self._texts[path] = (data or b"")[:READ_LIMIT].decode("utf-8", "replace")
        return self._texts[path]

    async def toml(self, path: str) -> dict[str, Any]:
        """A TOML file's table; empty where it is missing or broken."""
        try:
            return tomllib.loads(await self.text(path))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    async def json(self, path: str) -> dict[str, Any]:
        """A JSON file's object; empty where it is missing, broken or no object."""
        try:
            value = json.loads((await self.text(path)).removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    async def ini(self, path: str) -> configparser.ConfigParser:
        """An INI file's sections; none where it is missing or broken."""
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(await self.text(path))
        except configparser.Error:
            return configparser.ConfigParser(interpolation=None)
        return parser


def table(value: object, *keys: str) -> dict[str, Any]:
    """The table at these keys; empty where anything on the way is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def strings(value: object) -> list[str]:
    """The strings of a list; none where it is no list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
