"""The sandbox's /etc: files of its own, and what of the host's programs need."""

import contextlib
import os
from pathlib import Path

from pullwright.sandbox.base import HOME

# What programs need to start, to trust certificates and to tell the time; nothing that names people or secrets.
_SHOWN = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/certs", "ssl/openssl.cnf", "ca-certificates", "pki/tls",
    "pki/ca-trust", "crypto-policies", "alternatives", "localtime", "timezone", "mime.types", "magic", "services",
    "protocols", "debian_version", "os-release", "bash.bashrc", "profile", "inputrc", "fonts", "perl", "python3*",
    "java-*-openjdk", "maven", "R",
)  # fmt: skip
OWN = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:1000:1000:agent:{HOME}:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "hostname": "sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "",
}


def prepare(directory: Path, host: Path = Path("/etc")) -> list[str]:
    """Make the directory, with the sandbox's own files and a place for each of the host's; gives the names of those."""
    directory.mkdir(mode=0o755, exist_ok=True)
    for name, text in OWN.items():
        path = directory / name
        with contextlib.suppress(FileNotFoundError):
            if path.read_text() == text:
                continue
        aside = directory / f".{name}.{os.getpid()}"
        aside.write_text(text)
        aside.chmod(0o644)
        aside.replace(path)
    shown = names(host)
    for name in shown:
        _make_place(directory / name, is_directory=(host / name).is_dir())
    return shown


def names(host: Path = Path("/etc")) -> list[str]:
    """What of the host's is shown."""
    shown = sorted(path for pattern in _SHOWN for path in host.glob(pattern) if path.exists())
    return [str(path.relative_to(host)) for path in shown]


def _make_place(place: Path, *, is_directory: bool) -> None:
    if place.is_dir() if is_directory else place.is_file():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        place.mkdir(exist_ok=True)
    else:
        place.touch()
