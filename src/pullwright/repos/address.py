"""Where a repository is: from what a person wrote to a `RepositoryRef`."""

import hashlib
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from pullwright.domain.errors import NotARepository, UsageError
from pullwright.domain.task import RepositoryRef
from pullwright.repos import git

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SCP = re.compile(r"(?:[^/@:\s]+@)?[^/@:\s]+:(?!//|:).+")
_SCHEMES = ("http", "https", "ssh")


def is_path(ref: RepositoryRef) -> bool:
    """Whether the repository is on this machine's disk."""
    return ref.location.startswith("/")


async def locate(location: str, cwd: Path) -> RepositoryRef:
    """What a person wrote, as a reference: a path (of a subdirectory, too), an http(s), ssh or file URL.

    Raises `NotARepository`, or `UsageError` for what cannot be worked with.
    """
    if not location or "\0" in location or location.startswith("-"):
        raise NotARepository(f"{location!r} names no repository. Give a path or a URL.")
    if scheme := _URL.match(location):
        if scheme[1].lower() != "file":
            return _at_url(location)
        split = _split(location)
        if split.netloc not in ("", "localhost"):
            raise NotARepository(f"{location} names another machine; a file URL names this one: file:///PATH.")
        return await _at_path(Path(unquote(split.path)), location)
    try:
        path = cwd / (Path(location).expanduser() if location.startswith("~") else Path(location))
    except RuntimeError as error:  # it is somebody's home, and there is nobody of that name
        raise NotARepository(f"{location}: {error}. Give the path of a git repository, or a URL.") from error
    if _SCP.fullmatch(location) and not _is_there(path, location):
        return reference(location, location.rsplit("/", 1)[-1].rsplit(":", 1)[-1])
    return await _at_path(path, location)


def _split(location: str) -> SplitResult:
    try:
        return urlsplit(location)
    except ValueError as error:
        raise NotARepository(f"{location} is not a URL: {error}.") from error


def _at_url(location: str) -> RepositoryRef:
    split = _split(location)
    host, password = split.hostname, split.password
    if split.scheme.lower() not in _SCHEMES:
        raise UsageError(f"{split.scheme}:// is not supported. Use https, http, ssh, file, or a path.")
    if not host:
        raise NotARepository(f"{location} names no host. Write it as {split.scheme}://HOST/PATH.")
    if password is not None:
        raise UsageError(
            f"The URL of {host} holds a password, which would be kept in the record. "
            "Leave it out and let a git credential helper or an ssh key answer for you."
        )
    return reference(location.rstrip("/"), split.path.rstrip("/").rsplit("/", 1)[-1] or host)


def _is_there(path: Path, written: str) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that is too long, a directory that may not be looked into
        raise NotARepository(
            f"{written} cannot be looked at: {error.strerror}. Give the path of a git repository, or a URL."
        ) from error


async def _at_path(path: Path, written: str) -> RepositoryRef:
    if not _is_there(path, written):
        raise NotARepository(f"{written}: there is no such directory. Give the path of a git repository, or a URL.")
    if not path.is_dir():
        raise NotARepository(f"{written} is a file. Give the path of a git repository, or a URL.")
    # Asking where the repository is starts nothing that its configuration names.
    call = git.Call(directory=path, owner=git.owner_of(path))
    asked = ("rev-parse", "--is-bare-repository", "--is-inside-git-dir", "--absolute-git-dir")
    answer = await git.attempt(call, *asked)
    if answer.code != 0:
        raise NotARepository(_refusal(written, answer.error))
    bare, inside, git_dir = answer.out.split(b"\n", 2)
    form = await git.attempt(call, "rev-parse", "--show-object-format")
    if form.code == 0 and form.out.strip() not in (b"sha1", b"--show-object-format"):
        raise UsageError(
            f"{written} uses {form.out.decode().strip()} object names; only SHA-1 repositories are supported. "
            "Work on a clone that was converted to SHA-1."
        )
    if bare == b"true" or inside == b"true":
        top = git_dir.rstrip(b"\n")
        if bare != b"true" and top.endswith(b"/.git"):
            top = top[: -len(b"/.git")]
    else:
        top = (await git.git(call, "rev-parse", "--show-toplevel")).rstrip(b"\n")
    try:
        location = top.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{written}: the path of the repository is not UTF-8. Rename the directory.") from error
    return reference(location, location.rstrip("/").rsplit("/", 1)[-1])


def known(location: str) -> RepositoryRef:
    """The reference of a location that `locate` has given before."""
    if _URL.match(location):
        return _at_url(location)
    name = location.rstrip("/").rsplit("/", 1)[-1]
    return reference(location, name if location.startswith("/") else name.rsplit(":", 1)[-1])


def _refusal(written: str, said: str) -> str:
    if "not a git repository" in said:
        return (
            f"{written} is not in a git repository. "
            "Give the path of one, or make one there: `git init && git add -A && git commit -m start`."
        )
    if "Permission denied" in said or "cannot change to" in said:
        return f"{written} cannot be read by its owner's user: {said.strip()}. Check the permissions of its parents."
    return f"{written} is not a git repository that can be read: {said.strip()}"


def reference(location: str, name: str) -> RepositoryRef:
    """The reference of a location that is as it should be."""
    name = name.removesuffix(".git") or "repository"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:40].strip("-") or "repository"
    key = f"{stem}-{hashlib.sha256(location.encode()).hexdigest()[:12]}"
    return RepositoryRef(location=location, key=key, name=name)
