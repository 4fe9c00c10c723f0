"""Secrets of an environment: what they may be called, what may be one, and finding them where they must not be.

A value is looked for as it is and as programs usually write it: escaped in JSON, URLs, HTML or a shell's words, in
base64 at any place of a longer text, in hexadecimal, in UTF-16. Not found is what was compressed, encrypted or cut up.
"""

import base64
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from urllib.parse import quote, quote_plus

from pydantic import Field

from pullwright.domain.errors import UsageError
from pullwright.domain.value import Value

SHORTEST = 8  # characters; what is shorter cannot be told from other text
LONGEST = 64 * 1024  # bytes; an environment holds no longer variable next to others
MOST_NAME = 100

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "PWD", "IFS", "ENV", "BASH_ENV", "SHELLOPTS",
    "BASHOPTS", "PS4", "PROMPT_COMMAND",
}  # fmt: skip
_PLAIN = re.compile(r"[A-Za-z _.-]{1,15}|[0-9 _.-]{1,11}|(.)\1*", re.S)
_RANDOM = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
_MARKER = "[secret {}]"

VARIABLE = "variable "
"""How the names of an environment's secrets begin in the record, beside those of headers."""


class SecretEntry(Value):
    """That there is a secret, and since when; never its value."""

    name: str = Field(description="The environment variable that holds it while setup and maintenance run.")
    changed: datetime


def check_name(name: str) -> str:
    """The name of a secret, checked: it becomes a variable of scripts. Raises `UsageError`."""
    if not _NAME.fullmatch(name) or len(name) > MOST_NAME:
        raise UsageError(
            f"{name[:MOST_NAME]!r} is no name of a secret: it becomes an environment variable, so use up to "
            f"{MOST_NAME} letters, digits and underscores, a digit not first."
        )
    if name in _OURS or name.startswith(("LD_", "PULLWRIGHT_")):
        raise UsageError(f"{name} is set by the sandbox itself; give the secret another name.")
    return name


def check_value(value: str) -> str:
    """The value of a secret, checked. Raises `UsageError`, which never tells the value."""
    if "\0" in value:
        raise UsageError("the value holds a NUL, which no environment variable can; encode it, in base64 for example.")
    if len(value.strip()) < SHORTEST or _PLAIN.fullmatch(value.strip()):
        raise UsageError(
            "the value is too plain to be a secret: it could not be told from other text in logs and layers. Take one "
            f"of at least {SHORTEST} characters with letters and digits, or put it into `variables`."
        )
    if len(value.encode()) > LONGEST:
        raise UsageError(f"the value is longer than the {LONGEST} bytes that a variable may have.")
    return value


class Redactor:
    """Finds values of secrets and puts `[secret NAME]` in their places."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        found: dict[bytes, str] = {}
        wrapped: dict[bytes, str] = {}
        for name, value in (secrets or {}).items():
            for form in _forms(value):
                found.setdefault(form, name)
            for form in _in_base64(value.strip().encode()):
                if len(form) > _LINE // 2:
                    wrapped.setdefault(form, name)
        # The longest first: none may leave a rest of another that it is a part of.
        self._forms = sorted(found.items(), key=lambda one: (-len(one[0]), one[0]))
        self._wrapped = sorted(wrapped.items(), key=lambda one: (-len(one[0]), one[0]))

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._forms)

    @cached_property
    def reach(self) -> int:
        """Bytes of the longest form, line ends in it included."""
        return max((len(form) + len(form) // 16 for form, _ in self._forms), default=0)

    def found(self, data: bytes) -> set[str]:
        """The names of the secrets that are in it."""
        names = {name for form, name in self._forms if form in data}
        if self._wrapped:
            flat = data.translate(None, b"\r\n")
            names |= {name for form, name in self._wrapped if form in flat}
        return names

    def data(self, data: bytes) -> bytes:
        """It without the secrets."""
        for form, name in self._forms:
            if form in data:
                data = data.replace(form, _MARKER.format(name).encode())
        if self._wrapped:
            flat = data.translate(None, b"\r\n")
            for form, name in self._wrapped:
                if form in flat:
                    pattern = rb"(?:\r?\n)?".join(re.escape(bytes((byte,))) for byte in form)
                    data = re.sub(pattern, _MARKER.format(name).encode(), data)
        return data

    def text(self, text: str) -> str:
        """It without the secrets."""
        if not self._forms:
            return text
        data = text.encode("utf-8", "surrogatepass")
        cleared = self.data(data)
        return text if cleared == data else cleared.decode("utf-8", "replace")

    def value(self, value: object) -> object:
        """JSON's lists, objects and texts without the secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value


class Redacting:
    """A redactor for what comes in pieces: a value may be cut anywhere between two of them."""

    def __init__(self, redactor: Redactor, tell: Callable[[bytes], object]) -> None:
        self._redactor, self._tell = redactor, tell
        self._rest = b""

    def add(self, piece: bytes) -> None:
        """Take the next piece; what can no longer be a part of a secret is told on."""
        self._rest = self._redactor.data(self._rest + piece)
        ready = len(self._rest) - max(self._redactor.reach - 1, 0)
        if ready > 0:
            self._tell(self._rest[:ready])
            self._rest = self._rest[ready:]

    def end(self) -> None:
        """Tell the rest on."""
        if self._rest:
            self._tell(self._redactor.data(self._rest))
        self._rest = b""


_LINE = 76  # characters after which base64 is usually broken


def _forms(value: str) -> Iterator[bytes]:
    """How a value is written down, as far as that is no shorter than a secret may be."""
    for text in (value.strip(), *_parts(value)):
        raw = text.encode()
        inner = json.dumps(text)[1:-1]
        escaped = {text, inner, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(inner)[1:-1], html.escape(text)}
        escaped |= {quote(text, safe=""), quote(text), quote_plus(text), text.replace("'", "'\"'\"'")}
        escaped |= {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quote(text, safe=""))}
        escaped |= {text.replace("'", "'\\''"), text.replace("\n", "\r\n")}
        yield from (form.encode() for form in escaped)
        yield from (raw.hex().encode(), raw.hex().upper().encode(), text.encode("utf-16-le"), text.encode("utf-16-be"))
        yield from _in_base64(raw)


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """The characters that say nothing of what stands before and after it, for each place that it may stand at."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw)
        whole = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def _parts(value: str) -> Iterator[str]:
    """What makes a value of several lines secret: a key's own lines, and not the words that all keys share."""
    if "\n" in value.strip():
        for part in _RANDOM.findall(value):
            if re.search("[0-9]", part) and re.search("[A-Za-z]", part):
                yield part
    elif " " in value and len(longest := max(value.split(" "), key=len)) >= SHORTEST and not _PLAIN.fullmatch(longest):
        yield longest  # `Bearer VALUE`
