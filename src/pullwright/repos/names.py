"""Paths inside a repository, as text that any encoding and any screen can take.

Git's names are bytes. Everywhere outside this room a path is a `str` made by `path_text`: valid UTF-8 stands as it is;
a byte that is not UTF-8 and a control character are written `\\xNN`, and a backslash is doubled, so that no two names
look the same and `path_bytes` gives the name back.
"""

import re

_ESCAPE = re.compile(rb"\\(\\|x[0-9a-f]{2})")
_PLAIN = re.compile(r"[^\\\x00-\x1f\x7f-\x9f\udc80-\udcff]*")


def path_text(name: bytes) -> str:
    """A name as text: reversible, encodable, on one line."""
    text = name.decode("utf-8", "surrogateescape")
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_character(character) for character in text)


def _character(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if _PLAIN.fullmatch(character):
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def path_bytes(text: str) -> bytes:
    """The name that `path_text` wrote."""

    def plain(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return b"\\" if code == b"\\" else bytes([int(code[1:], 16)])

    return _ESCAPE.sub(plain, text.encode())
