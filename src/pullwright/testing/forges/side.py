"""What the far side of any forge is made of: people and their rights, pull requests, what is said, checks, faults.

A test acts on it as a person would (`say`, `review`, `merge`, `report`) and looks at what is left (`pulls`). A pull
request's head is where its branch stands in the real repository, as long as it is open.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, unquote

from pullwright.domain.errors import RepositoryError
from pullwright.testing.git_server import Fault, GitServer, struck
from pullwright.testing.http_server import HttpServer, Reply, Request

Json = dict[str, Any]
Verdict = Literal["approved", "changes-requested", "commented"]
_EPOCH = 1_790_000_000


@dataclass
class Person:
    """Somebody with an account and, perhaps, rights on every repository."""

    login: str
    token: str
    right: Literal["admin", "write", "read", "none"] = "write"
    number: int = 0


@dataclass
class Said:
    """A comment, a comment on a line, or the body of a review."""

    number: int
    author: str
    text: str
    at: datetime
    path: str | None = None
    line: int | None = None
    verdict: Verdict | None = None
    lines: "list[Said]" = field(default_factory=list)  # of a review


@dataclass
class Pull:
    """A pull request."""

    number: int
    author: str
    title: str
    body: str
    head: str
    base: str
    draft: bool = False
    state: Literal["open", "closed", "merged"] = "open"
    last: str = ""  # the commit its head stood at when it was last looked at
    comments: list[Said] = field(default_factory=list)
    reviews: list[Said] = field(default_factory=list)
    fork: str = ""  # OWNER/NAME where its branch is, if that is not the repository itself; `last` is its head then

    @property
    def at(self) -> datetime:
        """When it was opened."""
        return datetime.fromtimestamp(_EPOCH + self.number, UTC)


@dataclass
class Issue:
    """An issue."""

    number: int
    author: str
    title: str
    body: str
    comments: list[Said] = field(default_factory=list)


@dataclass
class Check:
    """What somebody reported about a commit."""

    number: int
    commit: str
    name: str
    state: Literal["pending", "passed", "failed"]
    summary: str = ""


@dataclass(frozen=True)
class Call:
    """One request to the interface, read."""

    method: str
    path: str  # below the interface's own address, decoded
    query: dict[str, str]
    body: Any
    person: Person | None
    request: Request


class Refused(Exception):
    """The answer is no."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


Handler = Callable[..., Awaitable[Any]]


@dataclass
class FarSide:
    """A forge's far side; `prefix` is where its interface is below its address."""

    root: Path
    prefix: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    people: list[Person] = field(default_factory=lambda: [Person("owner", "t-owner", "admin")])
    pulls: dict[str, list[Pull]] = field(default_factory=dict)  # by repository
    issues: dict[str, list[Issue]] = field(default_factory=dict)
    reactions: list[tuple[str, str, str]] = field(default_factory=list)  # path of what they are on, sign, whose
    checks: dict[str, list[Check]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)  # METHOD PATH of each request to the interface
    watch: Callable[[Request, Reply | None], None] = lambda _request, _reply: None  # sees each of them
    routes: list[tuple[str, re.Pattern[str], Handler]] = field(default_factory=list)
    _count: int = 0
    _http: HttpServer | None = None

    def __post_init__(self) -> None:
        """Number the people, and give git their tokens."""
        self.git = GitServer(self.root, public=True)
        for person in self.people:
            self._enrol(person)
        self._lock = asyncio.Lock()
        self.prepare()

    def prepare(self) -> None:
        """Where a forge adds its routes."""

    @property
    def faults(self) -> list[Fault]:
        """What goes wrong next, with git's requests and the interface's alike."""
        return self.git.faults

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def api(self) -> str:
        """Where its interface is."""
        return f"{self.url}{self.prefix}"

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        self.git.prepare()
        self._http = await HttpServer(self._answer, self.host, self.port).__aenter__()
        self.port = self._http.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every connection."""
        assert self._http is not None
        await self._http.__aexit__(kind, error, trace)

    # What a test does here as a person.

    def add(self, person: Person) -> Person:
        """Somebody joins."""
        self.people.append(person)
        self._enrol(person)
        return person

    def say(self, repository: str, number: int, author: str, text: str) -> Said:
        """A comment."""
        said = Said(self.next(), author, text, self.now())
        self.topic(repository, number).comments.append(said)
        return said

    def report_issue(self, repository: str, author: str, title: str, body: str) -> Issue:
        """An issue is opened."""
        issue = Issue(self.next(), author, title, body)
        self.issues.setdefault(repository, []).append(issue)
        return issue

    def review(
        self, repository: str, number: int, author: str, verdict: Verdict, text: str, *lines: tuple[str, int, str]
    ) -> Said:
        """A review with comments on lines: (path, line, text)."""
        said = Said(self.next(), author, text, self.now(), verdict=verdict)
        said.lines = [Said(self.next(), author, words, self.now(), path, line) for path, line, words in lines]
        self.pull(repository, number).reviews.append(said)
        return said

    def report(
        self, repository: str, commit: str, name: str, state: Literal["pending", "passed", "failed"], summary: str = ""
    ) -> Check:
        """A check of a commit."""
        check = Check(self.next(), commit, name, state, summary)
        self.checks.setdefault(repository, []).append(check)
        return check

    async def end(self, repository: str, number: int, how: Literal["closed", "merged"]) -> None:
        """Close or merge a pull request; the branch stays."""
        pull = self.pull(repository, number)
        await self.head(repository, pull)
        if how == "merged":
            await self.git.git(repository, "update-ref", f"refs/heads/{pull.base}", pull.last)
        pull.state = how

    def pull(self, repository: str, number: int) -> Pull:
        """A pull request by its number."""
        for pull in self.pulls.get(repository, []):
            if pull.number == number:
                return pull
        raise Refused(404, {"message": "Not Found"})

    def topic(self, repository: str, number: int) -> Pull | Issue:
        """An issue or a pull request by its number."""
        for issue in self.issues.get(repository, []):
            if issue.number == number:
                return issue
        return self.pull(repository, number)

    # What the forges' handlers need.

    def comments(self, repository: str) -> list[Said]:
        """Every comment on issues and pull requests."""
        topics: list[Pull | Issue] = [*self.pulls.get(repository, []), *self.issues.get(repository, [])]
        return [said for topic in topics for said in topic.comments]

    def reacted(self, call: Call, sign: str) -> Json:
        """Somebody puts a sign on something, once."""
        if call.person is None:
            raise Refused(401, {"message": "Bad credentials"})
        one = (call.path.rpartition("/")[0], sign, call.person.login)
        if one not in self.reactions:
            self.reactions.append(one)
        return {"id": self.reactions.index(one) + 1, "content": sign, "user": {"login": call.person.login}}

    def next(self) -> int:
        """A number that nothing has yet."""
        self._count += 1
        return self._count

    def now(self) -> datetime:
        """A moment later than every one before."""
        return datetime.fromtimestamp(_EPOCH + self.next(), UTC)

    def by_login(self, login: str) -> Person | None:
        """Somebody by name."""
        return next((person for person in self.people if person.login == login), None)

    async def tip(self, repository: str, branch: str) -> str | None:
        """Where a branch stands."""
        try:
            return await self.git.git(repository, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
        except RepositoryError:
            return None

    async def head(self, repository: str, pull: Pull) -> str:
        """The commit that a pull request is about."""
        if pull.state == "open" and not pull.fork and (tip := await self.tip(repository, pull.head)):
            pull.last = tip
        return pull.last

    async def merged_already(self, repository: str, base: str, head: str) -> bool:
        """Whether there is nothing between two branches."""
        names = (f"refs/heads/{base}..refs/heads/{head}",)
        return await self.git.git(repository, "rev-list", "--count", *names) == "0"

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        """Answer a path; `{name}` in the pattern stands for one part of it and is handed over by name."""
        self.routes.append((method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), handler))

    def paged(self, call: Call, items: list[Json], size: str = "per_page") -> Reply:
        """One page of a list, with the link to the next as the forges have it (RFC 8288)."""
        count, page = int(call.query.get(size, "30")), int(call.query.get("page", "1"))
        shown = items[(page - 1) * count : page * count]
        headers = {"content-type": "application/json"}
        if page * count < len(items):
            headers["link"] = f'<{self.api}{call.path}?page={page + 1}&{size}={count}>; rel="next"'
        return Reply(200, json.dumps(shown).encode(), headers)

    def may_write(self, call: Call) -> Person:
        """Who asks, if they may write; else the forge's refusal."""
        if call.person is None:
            raise Refused(401, {"message": "Bad credentials"})
        if call.person.right not in ("admin", "write"):
            raise Refused(403, {"message": "Resource not accessible by personal access token"})
        return call.person

    def _enrol(self, person: Person) -> None:
        person.number = person.number or 1000 + len(self.people)
        if person.right != "none":
            self.git.tokens[person.token] = "write" if person.right in ("admin", "write") else "read"

    async def _answer(self, request: Request) -> Reply | None:
        is_git = ".git/" in request.path
        if not is_git:
            self.calls.append(f"{request.method} {unquote(request.path.removeprefix(self.prefix))}")
        fault = self.git.take_fault(request)
        reply: Reply | None = None
        # One at a time, as a forge's database would have it.
        async with self._lock:
            if fault is None or fault.after or fault.cut is not None:
                if is_git:
                    await self._publish(request.path.lstrip("/").partition(".git/")[0])
                    reply = await self.git.serve(request)
                else:
                    reply = await self._serve(request)
        if fault is not None:
            return struck(fault, reply)
        if not is_git:
            self.watch(request, reply)
        return reply

    async def _publish(self, repository: str) -> None:
        """Show each pull request's head as a ref, as forges do."""
        for pull in self.pulls.get(repository, []):
            commit = await self.head(repository, pull)
            if commit:
                await self.git.git(repository, "update-ref", self.head_ref(pull.number), commit)

    def head_ref(self, number: int) -> str:
        """The ref of a pull request's head."""
        return f"refs/pull/{number}/head"

    def signed_in(self, request: Request) -> Person | None:
        """Whose token it is."""
        given = request.bearer or request.headers.get("private-token")
        return next((person for person in self.people if person.token == given), None)

    async def _serve(self, request: Request) -> Reply:
        query = {name: values[-1] for name, values in parse_qs(request.query, keep_blank_values=True).items()}
        raw = request.path.removeprefix(self.prefix)
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            return _reply(400, {"message": "Problems parsing JSON"})
        call = Call(request.method, raw, query, body, self.signed_in(request), request)
        for method, pattern, handler in self.routes:
            match = pattern.fullmatch(raw)
            if method == request.method and match is not None:
                parts = {name: unquote(value) for name, value in match.groupdict().items()}
                try:
                    answer = await handler(call, **parts)
                except Refused as refused:
                    return _reply(refused.status, refused.body)
                return answer if isinstance(answer, Reply) else _reply(201 if method == "POST" else 200, answer)
        return _reply(404, {"message": "Not Found"})


def _reply(status: int, body: object) -> Reply:
    data = b"" if body is None else json.dumps(body).encode()
    return Reply(status, data, {"content-type": "application/json"})


def stamp(moment: datetime) -> str:
    """A moment as forges write it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
