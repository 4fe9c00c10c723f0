"""Real bare repositories behind git's own HTTP backend, on loopback, with faults on demand.

`GitServer(root)` serves every `NAME.git` below `root`: smart HTTP fetch and push by `git http-backend`
(https://git-scm.com/docs/git-http-backend), basic or bearer authentication, protected branches (a real pre-receive
hook),
and faults: any status, a dropped connection, an answer that breaks off.

    async with GitServer(tmp_path / "far") as server:
        await server.create("team/tool")
        ... git clone {server.url}/team/tool.git
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pullwright.repos import git
from pullwright.testing.http_server import HttpServer, Reply, Request

_HOOK = """#!/bin/sh
# A forge's answer to a push onto a protected branch, in the words of GitHub.
while read -r old new ref; do
  while read -r pattern; do
    case $ref in
      $pattern)
        echo "error: GH006: Protected branch update failed for $ref." >&2
        echo "error: At least 1 approving review is required by reviewers with write access." >&2
        exit 1 ;;
    esac
  done <pullwright-protected
done
exit 0
"""


@dataclass
class Fault:
    """What goes wrong with the requests whose path and query match, `times` often; then they are answered again."""

    match: str = "*"  # of METHOD PATH?QUERY, as fnmatch has it: "*service=git-receive-pack", "POST */git-upload-pack"
    status: int | None = None  # None with no `cut`: the connection is dropped without an answer
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None  # the real answer, broken off after so many bytes of its body
    after: bool = False  # it is carried out first: the answer alone is lost
    times: int = 1
    skip: int = 0  # how many of the requests that match go through first


@dataclass
class GitServer:
    """Bare repositories below a directory, served while the context lasts."""

    root: Path
    host: str = "127.0.0.1"
    port: int = 0
    tokens: dict[str, str] = field(default_factory=dict)  # token: "read" or "write"; empty: everybody may do everything
    public: bool = False  # with tokens: whether reading needs none
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # METHOD PATH?QUERY of each request, in order
    _http: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        self.prepare()
        self._http = await HttpServer(self.answer, self.host, self.port).__aenter__()
        self.port = self._http.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        assert self._http is not None
        await self._http.__aexit__(kind, error, trace)

    def prepare(self) -> None:
        """Make the directory and its hook; a server that embeds this one's answers calls it first."""
        hook = self.root / ".hooks" / "pre-receive"
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(_HOOK)
        hook.chmod(0o755)

    def path(self, name: str) -> Path:
        """Where the bare repository of that name is."""
        return self.root / f"{name}.git"

    async def create(self, name: str, *, default: str = "main") -> Path:
        """An empty repository with that default branch."""
        path = self.path(name)
        path.mkdir(parents=True)
        await self.git(name, "init", "--quiet", "--bare", f"--initial-branch={default}")
        for key in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            await self.git(name, "config", key, "true")
        self.protect(name)
        return path

    def protect(self, name: str, *patterns: str) -> None:
        """Refuse pushes onto these branches from now on; patterns as the shell has them."""
        lines = [f"refs/heads/{pattern}\n" for pattern in patterns]
        (self.path(name) / "pullwright-protected").write_text("".join(lines))

    async def git(self, name: str, *arguments: str, stdin: bytes = b"") -> str:
        """What plain git says in the bare repository."""
        path = self.path(name)
        return (await git.git(git.Call(directory=path, git_dir=path), *arguments, stdin=stdin)).decode().strip()

    def take_fault(self, request: Request) -> Fault | None:
        """The fault that strikes this request, if any; counted down."""
        line = f"{request.method} {request.path}{'?' if request.query else ''}{request.query}"
        self.requests.append(line)
        for fault in self.faults:
            if fault.times > 0 and fnmatch.fnmatchcase(line, fault.match):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    async def answer(self, request: Request) -> Reply | None:
        """One request of git's smart HTTP protocol, faults first."""
        fault = self.take_fault(request)
        if fault is None:
            return await self.serve(request)
        reply = await self.serve(request) if fault.after or fault.cut is not None else None
        return struck(fault, reply)

    async def serve(self, request: Request) -> Reply:
        """As `answer`, without faults."""
        writes = "git-receive-pack" in request.query or request.path.endswith("git-receive-pack")
        if refused := self._refusal(request, writes):
            return refused
        name, _, rest = request.path.lstrip("/").partition(".git/")
        if not rest or ".." in name or not self.path(name).is_dir():
            return Reply(404, b"Repository not found.\n")
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": f"/{name}.git/{rest}",
            "QUERY_STRING": request.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": "pusher",
            "REMOTE_ADDR": "127.0.0.1",
        }
        settings = {"core.hooksPath": str(self.root / ".hooks")}
        call = git.Call(directory=self.root, variables=variables, settings=settings, timeout=300.0, limit=2 << 30)
        ended = await git.attempt(call, "http-backend", stdin=request.body)
        if ended.code != 0 and not ended.out:
            return Reply(500, ended.error.encode())
        return _from_cgi(ended.out)

    def _refusal(self, request: Request, writes: bool) -> Reply | None:
        if not self.tokens:
            return None
        given = request.bearer or (request.basic or (None, None))[1]
        right = self.tokens.get(given or "")
        if right == "write" or (right == "read" and not writes) or (self.public and not writes):
            return None
        if right == "read":
            return Reply(403, b"Permission denied.\n")
        return Reply(401, b"Authentication required.\n", {"www-authenticate": 'Basic realm="git"'})


def struck(fault: Fault, reply: Reply | None) -> Reply | None:
    """What a client sees of an answer that a fault has struck."""
    if fault.cut is not None and reply is not None:
        return Reply(reply.status, reply.body, reply.headers, cut=fault.cut)
    if fault.status is None:
        return None
    return Reply(fault.status, fault.body, fault.headers)


def _from_cgi(out: bytes) -> Reply:
    """An answer as a CGI program writes it (RFC 3875, section 6)."""
    head, _, body = out.partition(b"\r\n\r\n")
    status, headers = 200, {}
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            headers[name.lower()] = value.strip()
    return Reply(status, body, headers)
