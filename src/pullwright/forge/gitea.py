"""Gitea and Forgejo (https://docs.gitea.com/api/, version 1): the same interface on both."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from pullwright.domain.errors import ForgeRefused
from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest
from pullwright.forge.base import MOST_LISTED, OURS, Proposal, Sign, Standing, brief
from pullwright.forge.remote import OnRemote
from pullwright.forge.rest import Rest

Json = dict[str, Any]

_DRAFT = "WIP: "  # how both mark a draft: by its title
_FAILED = ("failure", "error")


@dataclass(frozen=True)
class GiteaForge(OnRemote):
    """Pull requests of one repository on Gitea or Forgejo."""

    api: str
    repository: str  # OWNER/NAME
    token: Callable[[], Awaitable[str]]
    name: str = "gitea"

    async def find(self, proposal: Proposal) -> Standing | None:
        """The open pull request of the branch, else the newest one that was ended."""
        rest, path = await self._rest()
        # The list cannot be asked for a branch; newest first, ours is near its beginning.
        listed = await rest.pages(f"{path}/pulls", {"state": "all", "sort": "newest"})
        found = [self._standing(item) for item in listed if item["head"]["ref"] == proposal.branch]
        found = [one for one in found if one.own_repository]
        return next((one for one in found if one.state == "open"), found[0] if found else None)

    async def look(self, number: int) -> Standing:
        """A pull request by its number."""
        rest, path = await self._rest()
        return self._standing(await rest.call("GET", f"{path}/pulls/{number}"))

    async def listed(self) -> list[Standing]:
        """The open pull requests, newest first."""
        rest, path = await self._rest()
        params: dict[str, str | int] = {"state": "open", "sort": "newest", "limit": MOST_LISTED}
        return [self._standing(item) for item in await rest.call("GET", f"{path}/pulls", params=params)]

    async def open(self, proposal: Proposal) -> PullRequest:
        """Open the pull request."""
        rest, path = await self._rest()
        wanted = {
            "title": _title(proposal),
            "head": proposal.branch,
            "base": proposal.base,
            "body": proposal.body,
        }
        return self._ours(await rest.call("POST", f"{path}/pulls", json=wanted), proposal)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Bring title, which carries the draft flag, and body up to date."""
        rest, path = await self._rest()
        wanted = {"title": _title(proposal), "body": proposal.body}
        return self._ours(await rest.call("PATCH", f"{path}/pulls/{number}", json=wanted), proposal)

    async def comment(self, number: int, marker: str, text: str) -> None:
        """Our one comment with that marker, in place of its earlier text."""
        rest, path = await self._rest()
        me = (await rest.call("GET", "/user"))["login"]
        for comment in await rest.call("GET", f"{path}/issues/{number}/comments"):
            if comment["body"].startswith(marker) and comment["user"]["login"] == me:
                if comment["body"] != text:
                    await rest.call("PATCH", f"{path}/issues/comments/{comment['id']}", json={"body": text})
                return
        await rest.call("POST", f"{path}/issues/{number}/comments", json={"body": text})

    async def remarks(self, number: int) -> list[Remark]:
        """Comments, reviews and the comments on lines that came with them."""
        rest, path = await self._rest()
        trust = _Trust(rest, path)
        found = [
            await _remark("comment", one, trust) for one in await rest.call("GET", f"{path}/issues/{number}/comments")
        ]
        for review in await rest.pages(f"{path}/pulls/{number}/reviews"):
            if review["state"] in ("PENDING", "REQUEST_REVIEW"):
                continue
            found.append(await _remark("review", review, trust))
            if review.get("comments_count"):
                lines = await rest.call("GET", f"{path}/pulls/{number}/reviews/{review['id']}/comments")
                found += [await _remark("line", one, trust) for one in lines]
        kept = [one for one in found if not one.text.startswith(OURS)]
        return sorted(kept, key=lambda one: (str(one.created or ""), one.id))

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """The commit's statuses, of each context the latest."""
        rest, path = await self._rest()
        combined = await rest.call("GET", f"{path}/commits/{commit}/status")
        return [_check(status) for status in combined.get("statuses") or []]

    async def close(self, number: int) -> None:
        """Close it without merging."""
        rest, path = await self._rest()
        await rest.call("PATCH", f"{path}/pulls/{number}", json={"state": "closed"})

    async def may_write(self, login: str) -> bool:
        """By their permission on the repository."""
        rest, path = await self._rest()
        return await _Trust(rest, path).of(login)

    async def react(self, topic: Topic, sign: Sign) -> None:
        """On a comment, one on a line too, or on the issue or pull request itself."""
        rest, path = await self._rest()
        kind, _, number = (topic.remark or "").partition(":")
        place = f"issues/comments/{number}" if kind in ("comment", "line") else f"issues/{topic.number}"
        await rest.call("POST", f"{path}/{place}/reactions", json={"content": sign}, missing_ok=True)

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """Issues and pull requests take comments in the same place."""
        await self.comment(topic.number, marker, text)

    async def test(self) -> str:
        """Whether the token may write here."""
        rest, path = await self._rest()
        known = await rest.call("GET", path)
        if not (known.get("permissions") or {}).get("push"):
            raise ForgeRefused(f"{self.repository}: the token may read but not write; give one that may")
        return f"{self.repository} answers, and the token may write to it"

    async def _rest(self) -> tuple[Rest, str]:
        headers = {"Authorization": f"token {await self.token()}", "User-Agent": "pullwright"}
        return Rest(self.api, headers, self.repository, size="limit"), f"/repos/{self.repository}"

    def _standing(self, item: Json) -> Standing:
        head = item["head"]
        where = (head.get("repo") or {}).get("full_name", "")
        known = PullRequest(
            forge=self.name,
            number=item["number"],
            url=item["html_url"],
            branch=head["ref"],
            head=head["sha"],
            draft=bool(item.get("draft", item["title"].startswith(_DRAFT))),
        )
        return Standing(
            pull_request=known,
            state="merged" if item.get("merged") else "open" if item["state"] == "open" else "closed",
            base=item["base"]["ref"],
            title=item["title"].removeprefix(_DRAFT),
            body=item.get("body") or "",
            author=_login(item),
            own_repository=where.lower() == self.repository.lower(),
            head_ref=f"refs/pull/{item['number']}/head",
            created=datetime.fromisoformat(item["created_at"]) if item.get("created_at") else None,
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


@dataclass
class _Trust:
    """Who may write to the repository, asked once for each author."""

    rest: Rest
    path: str
    known: dict[str, bool] = field(default_factory=dict)

    async def of(self, author: str) -> bool:
        if author not in self.known:
            answer = await self.rest.call(
                "GET", f"{self.path}/collaborators/{quote(author, safe='')}/permission", missing_ok=True
            )
            self.known[author] = bool(answer) and answer["permission"] in ("owner", "admin", "write")
        return self.known[author]


def _title(proposal: Proposal) -> str:
    return f"{_DRAFT}{proposal.title}" if proposal.draft else proposal.title


def _login(item: Json) -> str:
    return str((item.get("user") or {}).get("login", "ghost"))


async def _remark(kind: Literal["comment", "line", "review"], item: Json, trust: _Trust) -> Remark:
    verdicts: dict[str, Literal["approved", "changes-requested"]] = {
        "APPROVED": "approved",
        "REQUEST_CHANGES": "changes-requested",
    }
    moment = item.get("submitted_at") or item.get("created_at")
    return Remark(
        id=f"{kind}:{item['id']}",
        kind=kind,
        author=_login(item),
        trusted=await trust.of(_login(item)),
        text=item.get("body") or "",
        path=item.get("path") or None,
        line=item.get("position") or item.get("original_position") or None,
        verdict=verdicts.get(item["state"], "commented") if kind == "review" else None,
        url=item.get("html_url") or "",
        created=datetime.fromisoformat(moment) if moment else None,
    )


def _check(status: Json) -> CheckResult:
    state: Literal["pending", "passed", "failed"] = "pending"
    if status["status"] != "pending":
        state = "failed" if status["status"] in _FAILED else "passed"
    return CheckResult(
        id=f"status:{status['id']}",
        name=status["context"],
        state=state,
        summary=brief(status.get("description")),
        url=status.get("target_url") or "",
    )
