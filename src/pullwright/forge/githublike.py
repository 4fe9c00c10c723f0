"""What GitHub's interface and that of Gitea and Forgejo, which is modelled on it, have in common."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest
from pullwright.forge.base import OURS, Proposal, Standing, brief
from pullwright.forge.remote import OnRemote
from pullwright.forge.rest import Rest

Json = dict[str, Any]

_Verdict = Literal["approved", "changes-requested", "commented"]


@dataclass(frozen=True)
class GitHubLike(OnRemote, ABC):
    """Pull requests of one repository."""

    api: str
    repository: str  # OWNER/NAME
    token: Callable[[], Awaitable[str]]
    name: str

    draft_title: ClassVar[str]  # how the title of a draft begins where nothing else says that it is one
    failed: ClassVar[tuple[str, ...]]  # states of checks
    verdicts: ClassVar[Mapping[str, _Verdict]]  # of reviews, by their state
    writing: ClassVar[tuple[str, ...]]  # permissions with which one may write

    async def look(self, number: int) -> Standing:
        """A pull request by its number."""
        rest, path = await self._rest()
        return self._standing(await rest.call("GET", f"{path}/pulls/{number}"))

    async def comment(self, number: int, marker: str, text: str) -> None:
        """Our one comment with that marker, in place of its earlier text."""
        rest, path = await self._rest()
        me = await self._me(rest)
        for comment in await self._comments(rest, path, number):
            if (comment.get("body") or "").startswith(marker) and login(comment) == me:
                if comment["body"] != text:
                    await rest.call("PATCH", f"{path}/issues/comments/{comment['id']}", json={"body": text})
                return
        await rest.call("POST", f"{path}/issues/{number}/comments", json={"body": text})

    async def close(self, number: int) -> None:
        """Close it without merging."""
        rest, path = await self._rest()
        await rest.call("PATCH", f"{path}/pulls/{number}", json={"state": "closed"})

    async def may_write(self, login: str) -> bool:
        """By their permission on the repository."""
        rest, path = await self._rest()
        return await self._writers(rest, path).have(login)

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """Issues and pull requests take comments in the same place."""
        await self.comment(topic.number, marker, text)

    @abstractmethod
    async def _rest(self) -> tuple[Rest, str]:
        """The interface, and the repository's path in it."""

    @abstractmethod
    async def _me(self, rest: Rest) -> str:
        """Whom the token is of."""

    @abstractmethod
    async def _comments(self, rest: Rest, path: str, number: int) -> list[Json]:
        """Those on an issue or a pull request itself."""

    def _writers(self, rest: Rest, path: str) -> "Writers":
        return Writers(rest, path, self.writing)

    def _standing(self, item: Json) -> Standing:
        where = (item["head"].get("repo") or {}).get("full_name", "")
        known = PullRequest(
            forge=self.name,
            number=item["number"],
            url=item["html_url"],
            branch=item["head"]["ref"],
            head=item["head"]["sha"],
            draft=bool(item.get("draft", item["title"].startswith(self.draft_title))),
        )
        merged = item.get("merged_at") or item.get("merged")
        return Standing(
            pull_request=known,
            state="merged" if merged else "open" if item["state"] == "open" else "closed",
            base=item["base"]["ref"],
            title=item["title"].removeprefix(self.draft_title),
            body=item.get("body") or "",
            author=login(item),
            own_repository=where.lower() == self.repository.lower(),
            head_ref=f"refs/pull/{item['number']}/head",
            created=_moment(item.get("created_at")),
        )

    def _ours(self, item: Json, proposal: Proposal) -> PullRequest:
        return PullRequest(
            forge=self.name,
            number=item["number"],
            url=item["html_url"],
            branch=proposal.branch,
            head=proposal.commit,
            draft=proposal.draft,
        )

    def _remark(
        self, kind: Literal["comment", "line", "review"], item: Json, *, trusted: bool, line: int | None
    ) -> Remark:
        return Remark(
            id=f"{kind}:{item['id']}",
            kind=kind,
            author=login(item),
            trusted=trusted,
            text=item.get("body") or "",
            path=item.get("path") or None,
            line=line,
            verdict=self.verdicts.get(item["state"], "commented") if kind == "review" else None,
            url=item.get("html_url") or "",
            created=_moment(item.get("submitted_at") or item.get("created_at")),
        )

    def _status(self, status: Json, said: str) -> CheckResult:
        """A commit's status, whose state is kept under another name by each."""
        return CheckResult(
            id=f"status:{status['id']}",
            name=status["context"],
            state="pending" if said == "pending" else "failed" if said in self.failed else "passed",
            summary=brief(status.get("description")),
            url=status.get("target_url") or "",
        )


@dataclass
class Writers:
    """Who may write to the repository, asked once for each."""

    rest: Rest
    path: str
    permissions: tuple[str, ...]
    known: dict[str, bool] = field(default_factory=dict)

    async def have(self, author: str) -> bool:
        """Whether somebody has permission to write."""
        if author not in self.known:
            place = f"{self.path}/collaborators/{quote(author, safe='')}/permission"
            answer = await self.rest.call("GET", place, missing_ok=True)
            self.known[author] = bool(answer) and answer["permission"] in self.permissions
        return self.known[author]


def login(item: Json) -> str:
    """Whose it is; GitHub calls those ghost whose account is gone."""
    return str((item.get("user") or {}).get("login", "ghost"))


def by_people(found: list[Remark]) -> list[Remark]:
    """Without our own, in the order of time."""
    kept = [one for one in found if not one.text.startswith(OURS)]
    return sorted(kept, key=lambda one: (str(one.created or ""), one.id))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
