"""GitHub and GitHub Enterprise (https://docs.github.com/en/rest, version 2022-11-28).

A draft's flag is the one thing that the REST interface cannot change; GraphQL does (`markPullRequestReadyForReview`).
Tests hold every request against GitHub's own OpenAPI description.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pullwright.domain.errors import ForgeRefused
from pullwright.domain.feedback import CheckResult, Remark
from pullwright.domain.incoming import Topic
from pullwright.domain.task import PullRequest
from pullwright.forge.base import MOST_LISTED, Proposal, Sign, Standing, brief
from pullwright.forge.githublike import GitHubLike, Json, by_people, login
from pullwright.forge.rest import Rest

_MAY_BE_TRUSTED = ("OWNER", "MEMBER", "COLLABORATOR")
_READY = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { clientMutationId } }"
_DRAFT = "mutation($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: $id}) { clientMutationId } }"
_REACT = (
    "mutation($id: ID!, $sign: ReactionContent!) "
    "{ addReaction(input: {subjectId: $id, content: $sign}) { clientMutationId } }"
)
_VIEWER = "query { viewer { login } }"


@dataclass(frozen=True)
class GitHubForge(GitHubLike):
    """Pull requests of one repository on GitHub."""

    name: str = "github"

    draft_title = "[Draft] "
    failed = ("failure", "timed_out", "action_required", "startup_failure", "error")
    verdicts = {"APPROVED": "approved", "CHANGES_REQUESTED": "changes-requested"}  # noqa: RUF012 - a Mapping
    writing = ("admin", "write")

    async def find(self, proposal: Proposal) -> Standing | None:
        """The open pull request of the branch, else the newest one that was ended."""
        rest, path = await self._rest()
        owner = self.repository.partition("/")[0]
        listed = await rest.call(
            "GET", f"{path}/pulls", params={"state": "all", "head": f"{owner}:{proposal.branch}", "per_page": 100}
        )
        found = [self._standing(item) for item in listed]
        return next((one for one in found if one.state == "open"), found[0] if found else None)

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
            plain = {**wanted, "title": f"{self.draft_title}{proposal.title}", "draft": False}
            made = await rest.call("POST", f"{path}/pulls", json=plain)
        return self._ours(made, proposal)

    async def update(self, number: int, proposal: Proposal) -> PullRequest:
        """Bring title, body and draft flag up to date."""
        rest, path = await self._rest()
        wanted = {"title": proposal.title, "body": proposal.body}
        known = await rest.call("PATCH", f"{path}/pulls/{number}", json=wanted)
        if bool(known.get("draft")) != proposal.draft:
            await self._ask(rest, _DRAFT if proposal.draft else _READY, id=known["node_id"])
        return self._ours(known, proposal)

    async def remarks(self, number: int) -> list[Remark]:
        """Comments, line comments and reviews."""
        rest, path = await self._rest()
        writers = self._writers(rest, path)

        async def read(kind: Literal["comment", "line", "review"], items: Iterable[Json]) -> list[Remark]:
            remarks = []
            for item in items:
                # The association alone also speaks for members who may only read.
                trusted = item.get("author_association") in _MAY_BE_TRUSTED and await writers.have(login(item))
                line = (item.get("line") or item.get("original_line")) if kind == "line" else None
                remarks.append(self._remark(kind, item, trusted=trusted, line=line))
            return remarks

        found = await read("comment", await self._comments(rest, path, number))
        found += await read("line", await rest.pages(f"{path}/pulls/{number}/comments"))
        reviews = await rest.pages(f"{path}/pulls/{number}/reviews")
        found += await read("review", [one for one in reviews if one["state"] != "PENDING"])
        return by_people(found)

    async def checks(self, number: int, commit: str) -> list[CheckResult]:  # noqa: ARG002
        """Check runs and commit statuses."""
        rest, path = await self._rest()
        runs = await rest.call("GET", f"{path}/commits/{commit}/check-runs", params={"per_page": 100})
        combined = await rest.call("GET", f"{path}/commits/{commit}/status", params={"per_page": 100})
        return [
            *(_check_run(run) for run in runs["check_runs"]),
            *(self._status(status, status["state"]) for status in combined["statuses"]),
        ]

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

    async def _me(self, rest: Rest) -> str:
        return str((await self._ask(rest, _VIEWER))["viewer"]["login"])

    async def _comments(self, rest: Rest, path: str, number: int) -> list[Json]:
        return await rest.pages(f"{path}/issues/{number}/comments")

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


def github_rest(api: str, token: str, what: str) -> Rest:
    """GitHub's REST interface for somebody's token, an App's JSON web token included."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "pullwright",
    }
    return Rest(api, headers, what)


def _check_run(run: Json) -> CheckResult:
    output = run.get("output") or {}
    done = run["status"] == "completed"
    return CheckResult(
        id=f"run:{run['id']}",
        name=run["name"],
        state="pending" if not done else "failed" if run.get("conclusion") in GitHubForge.failed else "passed",
        summary=brief(output.get("title"), output.get("summary"), output.get("text")),
        url=run.get("html_url") or "",
    )
