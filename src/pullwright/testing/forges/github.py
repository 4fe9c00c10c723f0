"""GitHub's far side: the part of its REST and GraphQL interfaces that is used, at /api/v3 as Enterprise has it.

Field names, statuses and messages are those of https://docs.github.com/en/rest. An App signs in, too: its id and its
public key are given, and its tokens last as long as they say.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pullwright.testing.forges.side import Call, Check, FarSide, Json, Person, Pull, Refused, Said, Verdict, stamp
from pullwright.testing.http_server import Request

_STATES: dict[Verdict, str] = {
    "approved": "APPROVED",
    "changes-requested": "CHANGES_REQUESTED",
    "commented": "COMMENTED",
}
_CONCLUSIONS = {"passed": "success", "failed": "failure", "pending": None}


@dataclass
class GitHub(FarSide):
    """A GitHub Enterprise server."""

    prefix: str = "/api/v3"
    drafts: bool = True  # whether draft pull requests can be had
    app: tuple[str, str] | None = None  # an App's id and its public key (PEM)
    minted: list[str] = field(default_factory=list)  # tokens given to the App

    def prepare(self) -> None:
        """The routes."""
        repo = r"/repos/(?P<repo>[^/]+/[^/]+)"
        for method, pattern, handler in (
            ("GET", repo, self._repository),
            ("GET", f"{repo}/pulls", self._list),
            ("POST", f"{repo}/pulls", self._open),
            ("GET", f"{repo}/pulls/{{number}}", self._get),
            ("PATCH", f"{repo}/pulls/{{number}}", self._update),
            ("GET", f"{repo}/pulls/{{number}}/reviews", self._reviews),
            ("GET", f"{repo}/pulls/{{number}}/reviews/{{review}}", self._review),
            ("GET", f"{repo}/pulls/{{number}}/comments", self._lines),
            ("GET", f"{repo}/issues/{{number}}/comments", self._comments),
            ("POST", f"{repo}/issues/{{number}}/comments", self._comment),
            ("PATCH", f"{repo}/issues/comments/{{number}}", self._edit),
            ("POST", f"{repo}/issues/{{number}}/reactions", self._react),
            ("POST", f"{repo}/issues/comments/{{number}}/reactions", self._react),
            ("POST", f"{repo}/pulls/comments/{{number}}/reactions", self._react),
            ("GET", f"{repo}/commits/{{commit}}/check-runs", self._check_runs),
            ("GET", f"{repo}/commits/{{commit}}/status", self._statuses),
            ("GET", f"{repo}/collaborators/{{login}}/permission", self._permission),
            ("GET", f"{repo}/installation", self._installation),
            ("POST", "/app/installations/{number}/access_tokens", self._mint),
        ):
            self.route(method, pattern, handler)
        self.route("POST", "/api/graphql", self._graphql)

    def signed_in(self, request: Request) -> Person | None:
        """Whose token it is; an App's are its bot's."""
        if request.bearer in self.minted:
            return self.by_login("helper[bot]")
        return super().signed_in(request)

    async def _repository(self, call: Call, repo: str) -> Json:
        self._known(repo)
        right = call.person.right if call.person else "none"
        write = right in ("admin", "write")
        permissions = {"admin": right == "admin", "push": write, "pull": True}
        return {"full_name": repo, "default_branch": "main", "private": False, "permissions": permissions}

    async def _list(self, call: Call, repo: str) -> object:
        self._known(repo)
        state, head = call.query.get("state", "open"), call.query.get("head", "")
        branch = head.partition(":")[2]
        found = [
            await self._pull_json(repo, pull)
            for pull in reversed(self.pulls.get(repo, []))
            if (not head or pull.head == branch) and (state == "all" or (state == "open") == (pull.state == "open"))
        ]
        return self.paged(call, found)

    async def _open(self, call: Call, repo: str) -> Json:
        person = self.may_write(call)
        body = call.body
        head, base = body["head"].rpartition(":")[2], body["base"]
        if await self.tip(repo, base) is None:
            raise _invalid("base", "invalid")
        if await self.tip(repo, head) is None:
            raise _invalid("head", "invalid")
        if any(pull.head == head and pull.base == base and pull.state == "open" for pull in self.pulls.get(repo, [])):
            raise _failed(f"A pull request already exists for {repo.partition('/')[0]}:{head}.")
        if await self.merged_already(repo, base, head):
            raise _failed(f"No commits between {base} and {head}")
        if body.get("draft") and not self.drafts:
            raise Refused(422, {"message": "Draft pull requests are not supported in this repository."})
        pull = Pull(
            self.next(), person.login, body["title"], body.get("body") or "", head, base, bool(body.get("draft"))
        )
        self.pulls.setdefault(repo, []).append(pull)
        return await self._pull_json(repo, pull)

    async def _get(self, call: Call, repo: str, number: str) -> Json:  # noqa: ARG002
        return await self._pull_json(repo, self.pull(repo, int(number)))

    async def _update(self, call: Call, repo: str, number: str) -> Json:
        self.may_write(call)
        pull = self.pull(repo, int(number))
        pull.title, pull.body = call.body.get("title", pull.title), call.body.get("body", pull.body)
        if call.body.get("state") and pull.state != "merged":
            await self.head(repo, pull)
            pull.state = call.body["state"]
        return await self._pull_json(repo, pull)

    async def _reviews(self, call: Call, repo: str, number: str) -> object:
        reviews = self.pull(repo, int(number)).reviews
        return self.paged(call, [self._review_json(repo, int(number), said) for said in reviews])

    async def _review(self, call: Call, repo: str, number: str, review: str) -> Json:  # noqa: ARG002
        for said in self.pull(repo, int(number)).reviews:
            if said.number == int(review):
                return self._review_json(repo, int(number), said)
        raise Refused(404, {"message": "Not Found"})

    async def _lines(self, call: Call, repo: str, number: str) -> object:
        reviews = self.pull(repo, int(number)).reviews
        lines = [(review, line) for review in reviews for line in review.lines]
        return self.paged(call, [self._line_json(repo, int(number), review, line) for review, line in lines])

    async def _comments(self, call: Call, repo: str, number: str) -> object:
        return self.paged(call, [self._comment_json(repo, said) for said in self.topic(repo, int(number)).comments])

    async def _comment(self, call: Call, repo: str, number: str) -> Json:
        if call.person is None:
            raise Refused(401, {"message": "Bad credentials"})
        return self._comment_json(repo, self.say(repo, int(number), call.person.login, call.body["body"]))

    async def _edit(self, call: Call, repo: str, number: str) -> Json:
        person = self.may_write(call)
        for said in self.comments(repo):
            if said.number == int(number):
                if said.author != person.login and person.right != "admin":
                    raise Refused(403, {"message": "Must have admin rights to Repository."})
                said.text = call.body["body"]
                return self._comment_json(repo, said)
        raise Refused(404, {"message": "Not Found"})

    async def _react(self, call: Call, repo: str, number: str) -> Json:  # noqa: ARG002
        return self.reacted(call, call.body["content"])

    async def _check_runs(self, call: Call, repo: str, commit: str) -> Json:  # noqa: ARG002
        found = [_run_json(check) for check in self.checks.get(repo, []) if check.commit == commit]
        runs = [run for run in found if not run["name"].startswith("status/")]
        return {"total_count": len(runs), "check_runs": runs}

    async def _statuses(self, call: Call, repo: str, commit: str) -> Json:  # noqa: ARG002
        words = {"passed": "success", "failed": "failure", "pending": "pending"}
        found = [
            {"id": one.number, "context": one.name, "state": words[one.state], "description": one.summary}
            for one in self.checks.get(repo, [])
            if one.commit == commit and one.name.startswith("status/")
        ]
        return {"state": "pending", "sha": commit, "total_count": len(found), "statuses": found}

    async def _permission(self, call: Call, repo: str, login: str) -> Json:  # noqa: ARG002
        self.may_write(call)
        person = self.by_login(login)
        if person is None:
            raise Refused(404, {"message": "Not Found"})
        return {"permission": person.right, "role_name": person.right}

    async def _installation(self, call: Call, repo: str) -> Json:  # noqa: ARG002
        self._check_app(call)
        return {"id": 77, "app_slug": "helper"}

    async def _mint(self, call: Call, number: str) -> Json:
        self._check_app(call)
        if number != "77":
            raise Refused(404, {"message": "Not Found"})
        token = f"ghs_{self.next()}"
        self.minted.append(token)
        self.git.tokens[token] = "write"
        if self.by_login("helper[bot]") is None:
            self.add(Person("helper[bot]", "", "write"))
        return {"token": token, "expires_at": stamp(datetime.now(UTC) + timedelta(hours=1))}

    def _check_app(self, call: Call) -> None:
        import jwt

        try:
            if self.app is None:
                raise Refused(404, {"message": "Not Found"})
            claims = jwt.decode(call.request.bearer or "", self.app[1], algorithms=["RS256"])
        except jwt.PyJWTError as error:
            raise Refused(401, {"message": "A JSON web token could not be decoded"}) from error
        if claims["iss"] != self.app[0]:
            raise Refused(401, {"message": "'Issuer' claim ('iss') must be an Integer"})

    async def _graphql(self, call: Call) -> Json:
        if call.person is None:
            raise Refused(401, {"message": "Bad credentials"})
        query, variables = call.body["query"], call.body.get("variables") or {}
        if "viewer { login }" in query:
            return {"data": {"viewer": {"login": call.person.login}}}
        for name, draft in (("markPullRequestReadyForReview", False), ("convertPullRequestToDraft", True)):
            if f"{name}(input: {{pullRequestId: $id}})" in query:
                self.may_write(call)
                for pulls in self.pulls.values():
                    for pull in pulls:
                        if f"PR_{pull.number}" == variables.get("id"):
                            pull.draft = draft
                            return {"data": {name: {"clientMutationId": None}}}
                return {"errors": [{"message": f"Could not resolve to a node with the global id of '{variables}'."}]}
        if "addReaction(input: {subjectId: $id, content: $sign})" in query:
            reviews = [said for pulls in self.pulls.values() for pull in pulls for said in pull.reviews]
            if any(f"PRR_{said.number}" == variables.get("id") and said.text for said in reviews):
                self.reacted(replace(call, path=f"{variables['id']}/reactions"), variables["sign"].lower())
                return {"data": {"addReaction": {"clientMutationId": None}}}
            return {"errors": [{"message": f"Could not resolve to a node with the global id of '{variables}'."}]}
        return {"errors": [{"message": "Parse error"}]}

    def _known(self, repo: str) -> None:
        if not self.git.path(repo).is_dir():
            raise Refused(404, {"message": "Not Found"})

    async def _pull_json(self, repo: str, pull: Pull) -> Json:
        where = {"full_name": repo}
        merged = stamp(self.now()) if pull.state == "merged" else None
        return {
            "id": pull.number,
            "node_id": f"PR_{pull.number}",
            "number": pull.number,
            "state": "open" if pull.state == "open" else "closed",
            "title": pull.title,
            "body": pull.body,
            "draft": pull.draft,
            "merged_at": merged,
            "html_url": f"{self.url}/{repo}/pull/{pull.number}",
            "created_at": stamp(pull.at),
            "user": self._user_json(pull.author),
            "head": {"ref": pull.head, "sha": await self.head(repo, pull), "repo": {"full_name": pull.fork or repo}},
            "base": {"ref": pull.base, "repo": where},
        }

    def _user_json(self, login: str) -> Json:
        person = self.by_login(login)
        return {"login": login, "id": person.number if person else 1, "type": "Bot" if "[bot]" in login else "User"}

    def _association(self, login: str) -> str:
        right = person.right if (person := self.by_login(login)) else "none"
        return {"admin": "OWNER", "write": "COLLABORATOR", "read": "MEMBER"}.get(right, "NONE")

    def _comment_json(self, repo: str, said: Said) -> Json:
        return {
            "id": said.number,
            "body": said.text,
            "user": self._user_json(said.author),
            "author_association": self._association(said.author),
            "created_at": stamp(said.at),
            "html_url": f"{self.url}/{repo}/issues#issuecomment-{said.number}",
        }

    def _review_json(self, repo: str, number: int, said: Said) -> Json:
        assert said.verdict is not None
        return {
            "id": said.number,
            "node_id": f"PRR_{said.number}",
            "body": said.text,
            "state": _STATES[said.verdict],
            "user": self._user_json(said.author),
            "author_association": self._association(said.author),
            "submitted_at": stamp(said.at),
            "html_url": f"{self.url}/{repo}/pull/{number}#pullrequestreview-{said.number}",
        }

    def _line_json(self, repo: str, number: int, review: Said, said: Said) -> Json:
        return {
            "id": said.number,
            "pull_request_review_id": review.number,
            "body": said.text,
            "path": said.path,
            "line": said.line,
            "original_line": said.line,
            "side": "RIGHT",
            "user": self._user_json(said.author),
            "author_association": self._association(said.author),
            "created_at": stamp(said.at),
            "html_url": f"{self.url}/{repo}/pull/{number}#discussion_r{said.number}",
        }


def _run_json(check: Check) -> Json:
    return {
        "id": check.number,
        "name": check.name,
        "head_sha": check.commit,
        "status": "in_progress" if check.state == "pending" else "completed",
        "conclusion": _CONCLUSIONS[check.state],
        "output": {"title": None, "summary": check.summary, "text": None},
        "html_url": None,
    }


def _failed(message: str) -> Refused:
    return Refused(422, {"message": "Validation Failed", "errors": [{"resource": "PullRequest", "message": message}]})


def _invalid(name: str, code: str) -> Refused:
    error = {"resource": "PullRequest", "field": name, "code": code}
    return Refused(422, {"message": "Validation Failed", "errors": [error]})
