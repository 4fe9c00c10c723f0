"""The console's built pages, as files. Every address that is none of theirs and none of the API's is its front page.

A file under `assets/` carries a hash of its content in its name: browsers keep it and ask no more. The front page is
asked after each time, by its ETag. Nothing may be loaded from anywhere else, whatever a page is made to say
(https://www.w3.org/TR/CSP3/).
"""

import asyncio
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).parents[1] / "web"  # made from the checkout's web/ by hatch_build.py
REMEDY = "In a checkout, `.venv/bin/python hatch_build.py console` builds it; a wheel carries it."

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",  # highlighting is a program in WebAssembly, of this origin
        "style-src 'self' 'unsafe-inline'",  # the colours of highlighted words are attributes
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_KEPT = "public, max-age=31536000, immutable"
_WORTH_COMPRESSING = ("text/", "application/json", "application/manifest", "image/svg", "application/wasm")
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}

_NOT_BUILT = f"""<!doctype html><html lang="en"><title>Pullwright</title>
<h1>The console is not built</h1><p>{REMEDY} Then reload this page. The API is there: <a href="/api/v1/openapi.json">\
its description</a>.</p></html>"""


def built() -> bool:
    """Whether there are pages to serve."""
    return (BUILT / "index.html").is_file()


class Console:
    """Answers what no route of the API does."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (https://asgi.readthedocs.io)."""
        if scope["type"] != "http" or scope["path"].startswith("/api/"):
            raise HTTPException(404)
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        response = await self._answer(scope["path"], Headers(scope=scope))
        await response(scope, receive, send)

    async def _answer(self, path: str, headers: Headers) -> Response:
        file = _file(self._folder, path)
        loaded = "." in PurePosixPath(path).name and "text/html" not in headers.get("accept", "")
        if file is None and (loaded or path.startswith("/assets/")):
            raise HTTPException(404)  # what a page loads, perhaps one of an older build: no page is an answer
        front = file is None or file.name == "index.html"
        try:
            page = await asyncio.to_thread(_read, file or self._folder / "index.html")
        except FileNotFoundError:
            return HTMLResponse(_NOT_BUILT, 503, headers={"content-security-policy": _POLICY})
        answered = {"etag": page.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if front:
            answered["content-security-policy"] = _POLICY
        elif path.startswith("/assets/"):
            answered["cache-control"] = _KEPT
        if page.tag in (known.strip().removeprefix("W/") for known in headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=answered)
        if page.packed is not None and _takes_gzip(headers.get("accept-encoding", "")):
            return Response(page.packed, headers=answered | {"content-encoding": "gzip"}, media_type=page.type)
        return Response(page.data, headers=answered, media_type=page.type)


@dataclass(frozen=True)
class _Page:
    data: bytes
    packed: bytes | None
    tag: str
    type: str


def _file(folder: Path, path: str) -> Path | None:
    """The built file of that address, None where there is none; nothing outside of the folder is one."""
    names = PurePosixPath(path).parts[1:]
    if not names or any(name.startswith(".") or "\0" in name for name in names):
        return None
    found = folder.joinpath(*names)
    return found if found.is_file() and found.resolve().is_relative_to(folder.resolve()) else None


def _takes_gzip(accepted: str) -> bool:
    return any(re.fullmatch(r"\s*gzip\s*(;\s*q\s*=\s*(?!0(\.0*)?\s*$).*)?", coding) for coding in accepted.split(","))


def _read(file: Path) -> _Page:
    return _packed(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=1024)
def _packed(file: Path, _changed: int) -> _Page:
    """A file as it is sent, compressed at its first use; a new build is noticed by its time."""
    data = file.read_bytes()
    kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    packed = gzip.compress(data, 9, mtime=0) if kind.startswith(_WORTH_COMPRESSING) and len(data) > 512 else None
    return _Page(data, packed, f'"{hashlib.sha256(data).hexdigest()[:32]}"', kind)
