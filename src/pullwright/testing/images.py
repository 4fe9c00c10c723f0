"""OCI images written from nothing, for tests: whatever a registry could hand out, hostile ones among them.

The format is the OCI image specification's: image-layout.md, manifest.md, config.md, layer.md.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from pullwright.sandbox.images import missing_programs

BUSYBOX = Path("/bin/busybox")

_APPLETS = (
    "ash", "awk", "basename", "cat", "chgrp", "chmod", "chown", "cmp", "cp", "cut", "date", "dd", "dirname", "du",
    "echo", "env", "expr", "false", "find", "getopt", "grep", "gunzip", "gzip", "head", "hostname", "id", "kill", "ln",
    "ls", "md5sum", "mkdir", "mkfifo", "mknod", "mktemp", "mount", "mv", "nc", "od", "printf", "ps", "pwd", "readlink",
    "realpath", "rm", "rmdir", "sed", "seq", "setsid", "sh", "sha256sum", "sleep", "sort", "stat", "stty", "su", "tail",
    "tar", "tee", "test", "timeout", "touch", "tr", "true", "truncate", "tty", "uname", "uniq", "unshare", "wc", "wget",
    "which", "whoami", "xargs", "yes",
)  # fmt: skip

Entry = tuple[tarfile.TarInfo, bytes]


def missing() -> str:
    """Why images cannot be made or read here; empty where they can."""
    if names := missing_programs():
        return f"{' and '.join(names)} are missing (Debian packages of these names)"
    if not BUSYBOX.is_file() or b"/ld-" in BUSYBOX.read_bytes()[:8192]:  # the loader that a program names, if any
        return "a static busybox is missing (Debian package busybox-static)"
    return ""


def file(path: str, data: bytes | str = b"", mode: int = 0o644, uid: int = 0) -> Entry:
    """A regular file."""
    content = data.encode() if isinstance(data, str) else data
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, uid, uid
    return entry, content


def directory(path: str, mode: int = 0o755) -> Entry:
    """A directory."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry, b""


def link(path: str, target: str, *, hard: bool = False) -> Entry:
    """A symbolic link, or a hard one."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, target
    return entry, b""


def device(path: str, major: int, minor: int) -> Entry:
    """A character device."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.devmajor, entry.devminor = tarfile.CHRTYPE, 0o666, major, minor
    return entry, b""


def busybox() -> list[Entry]:
    """A whole small system in one static program."""
    links = [link(f"bin/{name}", "busybox") for name in _APPLETS]
    users = "root:x:0:0:root:/root:/bin/sh\nbin:x:2:2:bin:/bin:/bin/false\nother:x:1000:1000::/home/other:/bin/sh\n"
    return [
        directory("bin"),
        file("bin/busybox", BUSYBOX.read_bytes(), 0o755),
        *links,
        directory("etc"),
        file("etc/passwd", users),
        file("etc/group", "root:x:0:\nother:x:1000:\n"),
        directory("tmp", 0o1777),
    ]


def write_layout(
    folder: Path, layers: Sequence[Iterable[Entry]], *, tag: str = "test", variables: Sequence[str] = (), user: str = ""
) -> Path:
    """An OCI layout with one image. Gives the folder."""
    digests: list[dict[str, object]] = []
    unpacked: list[str] = []
    for entries in layers:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for entry, content in entries:
                tar.addfile(entry, io.BytesIO(content))
        unpacked.append(_digest(data.getvalue()))
        digests.append(_blob(folder, gzip.compress(data.getvalue(), 1, mtime=0), "layer.v1.tar+gzip"))
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Env": list(variables), "WorkingDir": "/srv", "User": user},
        "rootfs": {"type": "layers", "diff_ids": unpacked},
    }
    manifest = {
        "schemaVersion": 2,
        "config": _blob(folder, json.dumps(config).encode(), "config.v1+json"),
        "layers": digests,
    }
    described = _blob(folder, json.dumps(manifest).encode(), "manifest.v1+json")
    described["annotations"] = {"org.opencontainers.image.ref.name": tag}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def _blob(folder: Path, data: bytes, kind: str) -> dict[str, object]:
    digest = _digest(data)
    place = folder / "blobs" / digest.replace(":", "/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
