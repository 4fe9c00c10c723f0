"""The server name in the first bytes of TLS (RFC 8446 section 4.1.2, RFC 6066 section 3).

Nothing is decrypted. What comes is a stranger's: every length is checked against what is there.
"""

import struct
from dataclasses import dataclass

MOST = 65536  # bytes of a hello that are waited for; clients with many keys send two thousand
_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST = 22, 1, 0, 0


class NotTls(Exception):
    """These bytes are no beginning of a TLS connection: nothing for people, the caller goes another way."""


class Incomplete(Exception):
    """So far so good: more bytes have to come."""


@dataclass(frozen=True)
class Hello:
    """What a client says before anything is encrypted."""

    server_name: str | None


def read_hello(data: bytes) -> Hello:
    """Read the first message of a client. Raises `NotTls` or `Incomplete`."""
    message = _handshake(data)
    try:
        at = 2 + 32  # version, random
        at += 1 + message[at]  # session
        at += 2 + _short(message, at)  # ciphers
        at += 1 + message[at]  # compressions
        if at == len(message):
            return Hello(server_name=None)
        extensions = message[at + 2 : at + 2 + _short(message, at)]
        return Hello(server_name=_server_name(extensions))
    except (IndexError, struct.error) as error:
        raise NotTls("the hello of the client is malformed") from error


def _handshake(data: bytes) -> bytes:
    """The hello's body, which may come in several records."""
    message, at = b"", 0
    while True:
        if data[at : at + 1] not in (b"", bytes((_HANDSHAKE,))) or data[at + 1 : at + 2] not in (b"", b"\x03"):
            raise NotTls("no handshake record")
        if len(data) < at + 5:
            raise Incomplete
        size = _short(data, at + 3)
        message += data[at + 5 : at + 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise NotTls("no hello of a client")
        if len(message) >= 4:
            wanted = int.from_bytes(message[1:4], "big")
            if wanted > MOST or not size:
                raise NotTls("the hello of the client is too long")
            if len(message) >= 4 + wanted:
                return message[4 : 4 + wanted]
        if len(data) < at + 5 + size:
            raise Incomplete
        at += 5 + size


def _server_name(extensions: bytes) -> str | None:
    at = 0
    while at < len(extensions):
        kind, size = _short(extensions, at), _short(extensions, at + 2)
        body = extensions[at + 4 : at + 4 + size]
        at += 4 + size
        if kind == _SERVER_NAME:
            if len(body) < 5 or body[2] != _HOST:
                return ""
            name = body[5 : 5 + _short(body, 3)]
            return name.decode("ascii", "replace")
    return None


def _short(data: bytes, at: int) -> int:
    return int(struct.unpack_from("!H", data, at)[0])
