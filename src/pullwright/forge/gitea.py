"""Gitea and Forgejo (https://docs.gitea.com/api/, version 1): the same interface on both."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pullwright.domain.errors import ForgeRefused
from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest
from pullwright.forge.base import MOST_LISTED, Proposal, Sign, Standing
from pullwright.forge.githublike import GitHubLike, Json, by_people, login
from pullwright.forge.rest import Rest

_DRAFT = "WIP: "  # how both mark a draft: by its title


@dataclass(frozen=True)
class GiteaForge(GitHubLike):
    """Pull requests of one repository on Gitea or Forgejo."""

    name: str = "gitea"

    draft_title = _DRAFT
    failed = ("failure", "error")
    verdicts = {"APPROVED": "approved", "REQUEST_CHANGES": "changes-requested"}  # noqa: RUF012 - a Mapping
    writing = ("owner", "admin", "write")

    async def find(self, proposal: Proposal) -> Standing | None:
        """The open pull request of the branch, else the newest one that was ended."""
        rest, path = await self._rest()
        # The list cannot be asked for a branch; newest first, ours is near its beginning.
        listed = await rest.pages(f"{path}/pulls", {"state": "all", "sort": "newest"})
        found = [self._standing(item) for item in listed if item["head"]["ref"] == proposal.branch]
        found = [one for one in found if one.own_repository]
        return next((one for one in found if one.state == "open"), found[0] if found else None)

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

    async def remarks(self, number: int) -> list[Remark]:
        """Comments, reviews and the comments on lines that came with them."""
        rest, path = await self._rest()
        writers = self._writers(rest, path)

        async def read(kind: Literal["comment", "line", "review"], items: Iterable[Json]) -> list[Remark]:
            return [
                self._remark(
                    kind,
                    item,
                    trusted=await writers.have(login(item)),
                    line=item.get("position") or item.get("original_position") or None,
                )
                for item in items
            ]

        found = await read("comment", await self._comments(rest, path, number))
        for review in await rest.pages(f"{path}/pulls/{number}/reviews"):
            if review["state"] in ("PENDING", "REQUEST_REVIEW"):
                continue
            found += await read("review", [review])
            if review.get("comments_count"):
                lines = await rest.call("GET", f"{path}/pulls/{number}/reviews/{review['id']}/comments")
                found += await read("line", lines)
        return by_people(found)

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """The commit's statuses, of each context the latest."""
        rest, path = await self._rest()
        combined = await rest.call("GET", f"{path}/commits/{commit}/status")
        return [self._status(status, status["status"]) for status in combined.get("statuses") or []]

    async def react(self, topic: Topic, sign: Sign) -> None:
        """On a comment, one on a line too, or on the issue or pull request itself."""
        rest, path = await self._rest()
        kind, _, number = (topic.remark or "").partition(":")
        place = f"issues/comments/{number}" if kind in ("comment", "line") else f"issues/{topic.number}"
        await rest.call("POST", f"{path}/{place}/reactions", json={"content": sign}, missing_ok=True)

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

    async def _me(self, rest: Rest) -> str:
        return str((await rest.call("GET", "/user"))["login"])

    async def _comments(self, rest: Rest, path: str, number: int) -> list[Json]:
        found: list[Json] = await rest.call("GET", f"{path}/issues/{number}/comments")  # not by pages
        return found


def _title(proposal: Proposal) -> str:
    return f"{_DRAFT}{proposal.title}" if proposal.draft else proposal.title
