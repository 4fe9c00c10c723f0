"""GitLab, on gitlab.com or self-managed (https://docs.gitlab.com/api/merge_requests/, version 4)."""

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

DEVELOPER = 30  # the access level from which somebody may push (https://docs.gitlab.com/api/access_requests/)
_DRAFT = "Draft: "  # how GitLab itself marks a draft: by its title
_STATES: dict[str, Literal["open", "closed", "merged"]] = {"opened": "open", "closed": "closed", "merged": "merged"}


@dataclass(frozen=True)
class GitLabForge(OnRemote):
    """Merge requests of one project on GitLab."""

    api: str
    project: str  # GROUP/.../NAME
    token: Callable[[], Awaitable[str]]
    name: str = "gitlab"

    async def find(self, proposal: Proposal) -> Standing | None:
        """The open merge request of the branch, else the newest one that was ended."""
        rest, path = await self._rest()
        params: dict[str, str | int] = {"source_branch": proposal.branch, "state": "all", "per_page": 100}
        listed = await rest.call("GET", f"{path}/merge_requests", params=params)
        found = [self._standing(item) for item in listed if item["source_project_id"] == item["target_project_id"]]
        return next((one for one in found if one.state == "open"), found[0] if found else None)

    async def look(self, number: int) -> Standing:
        """A merge request by its number within the project."""
        rest, path = await self._rest()
        return self._standing(await rest.call("GET", f"{path}/merge_requests/{number}"))

    async def listed(self) -> list[Standing]:
        """The open merge requests, newest first."""
        rest, path = await self._rest()
        params: dict[str, str | int] = {
            "state": "opened",
            "order_by": "created_at",
            "sort": "desc",
            "per_page": MOST_LISTED,
        }
        return [self._standing(item) for item in await rest.call("GET", f"{path}/merge_requests", params=params)]

    async def open(self, proposal: Proposal) -> PullRequest:
        """Open the merge request."""
        rest, path = await self._rest()
        wanted = {
            "source_branch": proposal.branch,
            "target_branch": proposal.base,
            "title": _title(proposal),
            "description": proposal.body,
        }
        return self._ours(await rest.call("POST", f"{path}/merge_requests", json=wanted), proposal)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Bring title, which carries the draft flag, and description up to date."""
        rest, path = await self._rest()
        wanted = {"title": _title(proposal), "description": proposal.body}
        return self._ours(await rest.call("PUT", f"{path}/merge_requests/{number}", json=wanted), proposal)

    async def comment(self, number: int, marker: str, text: str) -> None:
        """Our one note with that marker, in place of its earlier text."""
        await self._note(f"merge_requests/{number}/notes", marker, text)

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """Below the issue or the merge request."""
        await self._note(f"{_kind(topic)}/{topic.number}/notes", marker, text)

    async def _note(self, place: str, marker: str, text: str) -> None:
        rest, path = await self._rest()
        me = (await rest.call("GET", "/user"))["id"]
        notes = f"{path}/{place}"
        for note in await rest.pages(notes):
            if note["body"].startswith(marker) and note["author"]["id"] == me:
                if note["body"] != text:
                    await rest.call("PUT", f"{notes}/{note['id']}", json={"body": text})
                return
        await rest.call("POST", notes, json={"body": text})

    async def remarks(self, number: int) -> list[Remark]:
        """Notes, notes on lines and approvals that came with words."""
        rest, path = await self._rest()
        trust = _Trust(rest, path)
        notes = await rest.pages(f"{path}/merge_requests/{number}/notes", {"sort": "asc", "order_by": "created_at"})
        return [
            await _remark(note, trust) for note in notes if not note["system"] and not note["body"].startswith(OURS)
        ]

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """The commit's statuses: jobs of its pipelines, and what others have reported."""
        rest, path = await self._rest()
        return [_check(status) for status in await rest.pages(f"{path}/repository/commits/{commit}/statuses")]

    async def close(self, number: int) -> None:
        """Close it without merging."""
        rest, path = await self._rest()
        await rest.call("PUT", f"{path}/merge_requests/{number}", json={"state_event": "close"})

    async def may_write(self, login: str) -> bool:
        """By their access level; GitLab looks for members by parts of their names."""
        rest, path = await self._rest()
        found = await rest.pages(f"{path}/members/all", {"query": login})
        return any(one["username"].lower() == login.lower() and one["access_level"] >= DEVELOPER for one in found)

    async def react(self, topic: Topic, sign: Sign) -> None:
        """An award emoji; where ours is there already GitLab answers that there is no place for it."""
        rest, path = await self._rest()
        note = (topic.remark or "").partition(":")[2]
        place = f"{path}/{_kind(topic)}/{topic.number}{f'/notes/{note}' if note else ''}"
        await rest.call("POST", f"{place}/award_emoji", json={"name": sign}, missing_ok=True)

    async def test(self) -> str:
        """Whether the token may write here."""
        rest, path = await self._rest()
        known = (await rest.call("GET", path)).get("permissions") or {}
        levels = [(known.get(name) or {}).get("access_level", 0) for name in ("project_access", "group_access")]
        if max(levels) < DEVELOPER:
            raise ForgeRefused(f"{self.project}: the token may read but not write; give one of a Developer or above")
        return f"{self.project} answers, and the token may write to it"

    async def _rest(self) -> tuple[Rest, str]:
        headers = {"Authorization": f"Bearer {await self.token()}", "User-Agent": "pullwright"}
        return Rest(self.api, headers, self.project), f"/projects/{quote(self.project, safe='')}"

    def _standing(self, item: Json) -> Standing:
        known = PullRequest(
            forge=self.name,
            number=item["iid"],
            url=item["web_url"],
            branch=item["source_branch"],
            head=item["sha"] or "",
            draft=bool(item.get("draft")),
        )
        return Standing(
            pull_request=known,
            state=_STATES.get(item["state"], "open"),
            base=item["target_branch"],
            title=item["title"].removeprefix(_DRAFT),
            body=item.get("description") or "",
            author=item["author"]["username"],
            own_repository=item["source_project_id"] == item["target_project_id"],
            head_ref=f"refs/merge-requests/{item['iid']}/head",
            created=datetime.fromisoformat(item["created_at"]) if item.get("created_at") else None,
        )

    def _ours(self, item: Json, proposal: Proposal) -> PullRequest:
        return PullRequest(
            forge=self.name,
            number=item["iid"],
            url=item["web_url"],
            branch=proposal.branch,
            head=proposal.commit,
            draft=proposal.draft,
        )


@dataclass
class _Trust:
    """Who may push to the project, asked once for each author."""

    rest: Rest
    path: str
    known: dict[int, bool] = field(default_factory=dict)

    async def of(self, author: int) -> bool:
        if author not in self.known:
            member = await self.rest.call("GET", f"{self.path}/members/all/{author}", missing_ok=True)
            self.known[author] = bool(member) and member["access_level"] >= DEVELOPER
        return self.known[author]


def _kind(topic: Topic) -> str:
    return "issues" if topic.issue else "merge_requests"


def _title(proposal: Proposal) -> str:
    return f"{_DRAFT}{proposal.title}" if proposal.draft else proposal.title


async def _remark(note: Json, trust: _Trust) -> Remark:
    position = note.get("position") or {}
    path = position.get("new_path") or position.get("old_path")
    return Remark(
        id=f"note:{note['id']}",
        kind="line" if path else "comment",
        author=note["author"]["username"],
        trusted=await trust.of(note["author"]["id"]),
        text=note["body"],
        path=path,
        line=position.get("new_line") or position.get("old_line"),
        created=datetime.fromisoformat(note["created_at"]),
    )


def _check(status: Json) -> CheckResult:
    state: Literal["pending", "passed", "failed"] = "pending"
    if status["status"] in ("success", "skipped", "canceled", "manual"):
        state = "passed"
    elif status["status"] == "failed":
        state = "passed" if status.get("allow_failure") else "failed"
    return CheckResult(
        id=f"status:{status['id']}",
        name=status["name"],
        state=state,
        summary=brief(status.get("description")),
        url=status.get("target_url") or "",
    )
