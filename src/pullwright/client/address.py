"""Where a server is, and whether a token may be sent there."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from pullwright.domain.errors import UsageError


def checked(url: str) -> str:
    """The address of a server without a slash at its end.

    Raises `UsageError` for what is none, and for plain http to another machine: whoever listens on the way would have
    the token, and every secret that is sent.
    """
    try:
        split = urlsplit(url)
        host, _ = split.hostname, split.port
    except ValueError as error:
        raise UsageError(
            f"{url!r} is no server's address: {error}; write http://127.0.0.1:PORT or https://HOST"
        ) from error
    if split.scheme not in ("http", "https") or not host:
        raise UsageError(f"{url!r} is no server's address: write http://127.0.0.1:PORT or https://HOST")
    if split.username is not None or split.query or split.fragment:
        raise UsageError(
            f"the address of {host} holds more than a server's: write {split.scheme}://HOST, the token apart"
        )
    if split.scheme == "http" and not loopback(host):
        raise UsageError(
            f"http://{host} is another machine, and everybody on the way could read the token: use https://, or a "
            f"tunnel (`ssh -L 8400:127.0.0.1:8400 {host}`) and http://127.0.0.1:8400"
        )
    return url.rstrip("/")


def loopback(host: str) -> bool:
    """Whether this name stays on this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
