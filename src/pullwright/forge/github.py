"""GitHub and GitHub Enterprise (https://docs.github.com/en/rest, version 2022-11-28).

A draft's flag is the one thing that the REST interface cannot change; GraphQL does (`markPullRequestReadyForReview`).
Tests hold every request against GitHub's own OpenAPI description.
"""

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

_MAY_BE_TRUSTED = ("OWNER", "MEMBER", "COLLABORATOR")
_FAILED = ("failure", "timed_out", "action_required", "startup_failure", "error")
_READY = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { clientMutationId } }"
_DRAFT = "mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { clientMutationId } }"
_REACT = (
    "mutation($id: ID!, $sign: ReactionContent!) "
    "{ addReaction(input: {subjectId: $id, content: $sign}) { clientMutationId } }"
)
_VIEWER = "query { viewer { login } }"


@dataclass(frozen=True)
class GitHubForge(OnRemote):
    """Pull requests of one repository on GitHub."""

    api: str
    repository: str  # OWNER/NAME
    token: Callable[[], Awaitable[str]]
    name: str = "github"

    async def find(self, proposal: Proposal) -> Standing | None:
        """The open pull request of the branch, else the newest one that was ended."""
        rest, path = await self._rest()
        owner = self.repository.partition("/")[0]
        listed = await rest.call(
            "GET", f"{path}/pulls", params={"state": "all", "head": f"{owner}:{proposal.branch}", "per_page": 100}
        )
        found = [self._standing(item) for item in listed]
        return next((one for one in found if one.state == "open"), found[0] if found else None)

    async def look(self, number: int) -> Standing:
        """A pull request by its number."""
        rest, path = await self._rest()
        return self._standing(await rest.call("GET", f"{path}/pulls/{number}"))

    async def listed(self) -> list[Standing]:
        """The open pull requests, newest first."""
        rest, path = await self._rest()
        params: dict[str, str | int] = {
            "state": "open",
            "sort": "created",
            "direction": "desc",
            "per_page": MOST_LISTED,
        }
        return [self._standing(item) for item in await rest.call("GET", f"{path}/pulls", params=params)]

    async def open(self, proposal: Proposal) -> PullRequest:
        """Open the pull request; where drafts cannot be had, its title says that it is one."""
        rest, path = await self._rest()
        wanted = {
            "title": proposal.title,
            "head": proposal.branch,
            "base": proposal.base,
            "body": proposal.body,
            "draft": proposal.draft,
        }
        try:
            made = await rest.call("POST", f"{path}/pulls", json=wanted)
        except ForgeRefused as refused:
            if not (proposal.draft and "draft pull requests are not supported" in str(refused).lower()):
                raise
            plain = {**wanted, "title": f"[Draft] {proposal.title}", "draft": False}
            made = await rest.call("POST", f"{path}/pulls", json=plain)
        return _ours(made, proposal)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Bring title, body and draft flag up to date."""
        rest, path = await self._rest()
        wanted = {"title": proposal.title, "body": proposal.body}
        known = await rest.call("PATCH", f"{path}/pulls/{number}", json=wanted)
        if bool(known.get("draft")) != proposal.draft:
            await self._ask(rest, _DRAFT if proposal.draft else _READY, id=known["node_id"])
        return _ours(known, proposal)

    async def comment(self, number: int, marker: str, text: str) -> None:
        """Our one comment with that marker, in place of its earlier text."""
        rest, path = await self._rest()
        me = (await self._ask(rest, _VIEWER))["viewer"]["login"]
        for comment in await rest.pages(f"{path}/issues/{number}/comments"):
            if (comment.get("body") or "").startswith(marker) and _login(comment) == me:
                if comment["body"] != text:
                    await rest.call("PATCH", f"{path}/issues/comments/{comment['id']}", json={"body": text})
                return
        await rest.call("POST", f"{path}/issues/{number}/comments", json={"body": text})

    async def remarks(self, number: int) -> list[Remark]:
        """Comments, line comments and reviews."""
        rest, path = await self._rest()
        trust = _Trust(rest, path)
        found = [await _remark("comment", one, trust) for one in await rest.pages(f"{path}/issues/{number}/comments")]
        found += [await _remark("line", one, trust) for one in await rest.pages(f"{path}/pulls/{number}/comments")]
        reviews = await rest.pages(f"{path}/pulls/{number}/reviews")
        found += [await _remark("review", one, trust) for one in reviews if one["state"] != "PENDING"]
        kept = [one for one in found if not one.text.startswith(OURS)]
        return sorted(kept, key=lambda one: (str(one.created or ""), one.id))

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """Check runs and commit statuses."""
        rest, path = await self._rest()
        runs = await rest.call("GET", f"{path}/commits/{commit}/check-runs", params={"per_page": 100})
        combined = await rest.call("GET", f"{path}/commits/{commit}/status", params={"per_page": 100})
        return [_check_run(run) for run in runs["check_runs"]] + [_status(status) for status in combined["statuses"]]

    async def close(self, number: int) -> None:
        """Close it without merging."""
        rest, path = await self._rest()
        await rest.call("PATCH", f"{path}/pulls/{number}", json={"state": "closed"})

    async def may_write(self, login: str) -> bool:
        """By their permission on the repository."""
        rest, path = await self._rest()
        return await _Trust(rest, path).writes(login)

    async def react(self, topic: Topic, sign: Sign) -> None:
        """GitHub keeps one of a kind for each person. Only GraphQL reacts to a review."""
        rest, path = await self._rest()
        kind, _, number = (topic.remark or "").partition(":")
        if kind == "review":
            review = await rest.call("GET", f"{path}/pulls/{topic.number}/reviews/{number}", missing_ok=True)
            if review is not None:
                await self._ask(rest, _REACT, id=review["node_id"], sign=sign.upper())
            return
        places = {"comment": f"issues/comments/{number}", "line": f"pulls/comments/{number}"}
        place = places.get(kind, f"issues/{topic.number}")
        await rest.call("POST", f"{path}/{place}/reactions", json={"content": sign}, missing_ok=True)

    async def reply(self, topic: Topic, marker: str, text: str) -> None:
        """Issues and pull requests take comments in the same place."""
        await self.comment(topic.number, marker, text)

    async def test(self) -> str:
        """Whether the token may write here."""
        rest, path = await self._rest()
        known = await rest.call("GET", path)
        # An App's installation is not told its permissions here; what it lacks shows at the first request.
        if known.get("permissions", {}).get("push") is False:
            raise ForgeRefused(f"{self.repository}: the token may read but not write; give one that may")
        return f"{self.repository} answers, and the token may write to it"

    async def _rest(self) -> tuple[Rest, str]:
        return github_rest(self.api, await self.token(), self.repository), f"/repos/{self.repository}"

    async def _ask(self, rest: Rest, query: str, **variables: str) -> Json:
        """One GraphQL request; Enterprise has it beside its REST interface (/api/v3, /api/graphql)."""
        graph = self.api.removesuffix("/v3") if self.api.endswith("/api/v3") else self.api
        beside = Rest(graph, rest.headers, rest.what)
        answer = await beside.call("POST", "/graphql", json={"query": query, "variables": variables})
        if answer.get("errors"):
            said = "; ".join(str(error.get("message")) for error in answer["errors"])
            raise ForgeRefused(f"{self.repository}: GitHub refused: {said}")
        data: Json = answer["data"]
        return data

    def _standing(self, item: Json) -> Standing:
        head = item["head"]
        where = (head.get("repo") or {}).get("full_name", "")
        known = PullRequest(
            forge=self.name,
            number=item["number"],
            url=item["html_url"],
            branch=head["ref"],
            head=head["sha"],
            draft=bool(item.get("draft")),
        )
        return Standing(
            pull_request=known,
            state="merged" if item.get("merged_at") else "open" if item["state"] == "open" else "closed",
            base=item["base"]["ref"],
            title=item["title"].removeprefix("[Draft] "),
            body=item.get("body") or "",
            author=_login(item),
            own_repository=where.lower() == self.repository.lower(),
            head_ref=f"refs/pull/{item['number']}/head",
            created=datetime.fromisoformat(item["created_at"]) if item.get("created_at") else None,
        )


def github_rest(api: str, token: str, what: str) -> Rest:
    """GitHub's REST interface for somebody's token, an App's JSON web token included."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "pullwright",
    }
    return Rest(api, headers, what)


@dataclass
class _Trust:
    """Who may write to the repository, asked once for each author."""

    rest: Rest
    path: str
    known: dict[str, bool] = field(default_factory=dict)

    async def of(self, item: Json) -> bool:
        """The association alone also speaks for members who may only read, so the permission is asked for, too."""
        if item.get("author_association") not in _MAY_BE_TRUSTED:
            return False
        return await self.writes(_login(item))

    async def writes(self, author: str) -> bool:
        """Whether somebody has permission to write."""
        if author not in self.known:
            answer = await self.rest.call(
                "GET", f"{self.path}/collaborators/{quote(author, safe='')}/permission", missing_ok=True
            )
            self.known[author] = bool(answer) and answer["permission"] in ("admin", "write")
        return self.known[author]


def _ours(item: Json, proposal: Proposal) -> PullRequest:
    return PullRequest(
        forge="github",
        number=item["number"],
        url=item["html_url"],
        branch=proposal.branch,
        head=proposal.commit,
        draft=proposal.draft,
    )


def _login(item: Json) -> str:
    return str((item.get("user") or {}).get("login", "ghost"))


async def _remark(kind: Literal["comment", "line", "review"], item: Json, trust: _Trust) -> Remark:
    verdicts: dict[str, Literal["approved", "changes-requested"]] = {
        "APPROVED": "approved",
        "CHANGES_REQUESTED": "changes-requested",
    }
    moment = item.get("submitted_at") or item.get("created_at")
    return Remark(
        id=f"{kind}:{item['id']}",
        kind=kind,
        author=_login(item),
        trusted=await trust.of(item),
        text=item.get("body") or "",
        path=item.get("path"),
        line=(item.get("line") or item.get("original_line")) if kind == "line" else None,
        verdict=verdicts.get(item["state"], "commented") if kind == "review" else None,
        url=item.get("html_url") or "",
        created=datetime.fromisoformat(moment) if moment else None,
    )


def _check_run(run: Json) -> CheckResult:
    output = run.get("output") or {}
    done = run["status"] == "completed"
    return CheckResult(
        id=f"run:{run['id']}",
        name=run["name"],
        state="pending" if not done else "failed" if run.get("conclusion") in _FAILED else "passed",
        summary=brief(output.get("title"), output.get("summary"), output.get("text")),
        url=run.get("html_url") or "",
    )


def _status(status: Json) -> CheckResult:
    state: Literal["pending", "passed", "failed"] = "pending"
    if status["state"] != "pending":
        state = "failed" if status["state"] in _FAILED else "passed"
    return CheckResult(
        id=f"status:{status['id']}",
        name=status["context"],
        state=state,
        summary=brief(status.get("description")),
        url=status.get("target_url") or "",
    )
