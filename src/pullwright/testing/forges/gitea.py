"""Gitea's and Forgejo's far side: the part of their interface, version 1, that is used (https://docs.gitea.com/api/)."""

from dataclasses import dataclass

from pullwright.testing.forges.side import Call, Check, FarSide, Json, Pull, Refused, Said, Verdict, stamp

_STATES: dict[Verdict, str] = {
    "approved": "APPROVED",
    "changes-requested": "REQUEST_CHANGES",
    "commented": "COMMENT",
}
_RIGHTS = {"admin": "owner", "write": "write", "read": "read", "none": "none"}
_WORDS = {"passed": "success", "failed": "failure", "pending": "pending"}


@dataclass
class Gitea(FarSide):
    """A Gitea or Forgejo."""

    prefix: str = "/api/v1"

    def prepare(self) -> None:
        """The routes."""
        repo = r"/repos/(?P<repo>[^/]+/[^/]+)"
        for method, pattern, handler in (
            ("GET", "/user", self._user),
            ("GET", repo, self._repository),
            ("GET", f"{repo}/pulls", self._list),
            ("POST", f"{repo}/pulls", self._open),
            ("GET", f"{repo}/pulls/{{number}}", self._get),
            ("PATCH", f"{repo}/pulls/{{number}}", self._update),
            ("GET", f"{repo}/pulls/{{number}}/reviews", self._reviews),
            ("GET", f"{repo}/pulls/{{number}}/reviews/{{review}}/comments", self._lines),
            ("GET", f"{repo}/issues/{{number}}/comments", self._comments),
            ("POST", f"{repo}/issues/{{number}}/comments", self._comment),
            ("PATCH", f"{repo}/issues/comments/{{number}}", self._edit),
            ("POST", f"{repo}/issues/{{number}}/reactions", self._react),
            ("POST", f"{repo}/issues/comments/{{number}}/reactions", self._react),
            ("GET", f"{repo}/commits/{{commit}}/status", self._status),
            ("GET", f"{repo}/collaborators/{{login}}/permission", self._permission),
        ):
            self.route(method, pattern, handler)

    async def _user(self, call: Call) -> Json:
        if call.person is None:
            raise Refused(401, {"message": "token is required"})
        return self._person_json(call.person.login)

    async def _repository(self, call: Call, repo: str) -> Json:
        self._known(repo)
        right = call.person.right if call.person else "none"
        write = right in ("admin", "write")
        permissions = {"admin": right == "admin", "push": write, "pull": True}
        return {"full_name": repo, "default_branch": "main", "permissions": permissions}

    async def _list(self, call: Call, repo: str) -> object:
        self._known(repo)
        state = call.query.get("state", "open")
        found = [
            await self._json(repo, pull)
            for pull in reversed(self.pulls.get(repo, []))
            if state == "all" or (state == "open") == (pull.state == "open")
        ]
        return self.paged(call, found, "limit")

    async def _open(self, call: Call, repo: str) -> Json:
        person = self.may_write(call)
        body = call.body
        head, base = body["head"].rpartition(":")[2], body["base"]
        for branch in (head, base):
            if await self.tip(repo, branch) is None:
                raise Refused(404, {"message": "The target couldn't be found.", "errors": [f"branch {branch}"]})
        for pull in self.pulls.get(repo, []):
            if (pull.head, pull.base, pull.state) == (head, base, "open"):
                raise Refused(409, {"message": f"pull request already exists for these targets [id: {pull.number}]"})
        pull = Pull(self.next(), person.login, body["title"], body.get("body") or "", head, base)
        self.pulls.setdefault(repo, []).append(pull)
        return await self._json(repo, pull)

    async def _get(self, call: Call, repo: str, number: str) -> Json:  # noqa: ARG002
        return await self._json(repo, self.pull(repo, int(number)))

    async def _update(self, call: Call, repo: str, number: str) -> Json:
        self.may_write(call)
        pull = self.pull(repo, int(number))
        pull.title, pull.body = call.body.get("title", pull.title), call.body.get("body", pull.body)
        if call.body.get("state") and pull.state != "merged":
            await self.head(repo, pull)
            pull.state = call.body["state"]
        return await self._json(repo, pull)

    async def _reviews(self, call: Call, repo: str, number: str) -> object:
        reviews = self.pull(repo, int(number)).reviews
        return self.paged(call, [self._review_json(said) for said in reviews], "limit")

    async def _lines(self, call: Call, repo: str, number: str, review: str) -> object:  # noqa: ARG002
        for said in self.pull(repo, int(number)).reviews:
            if said.number == int(review):
                return [self._line_json(line) for line in said.lines]
        raise Refused(404, {"message": "The target couldn't be found."})

    async def _comments(self, call: Call, repo: str, number: str) -> object:  # noqa: ARG002
        return [self._comment_json(said) for said in self.topic(repo, int(number)).comments]

    async def _comment(self, call: Call, repo: str, number: str) -> Json:
        if call.person is None:
            raise Refused(401, {"message": "token is required"})
        return self._comment_json(self.say(repo, int(number), call.person.login, call.body["body"]))

    async def _edit(self, call: Call, repo: str, number: str) -> Json:
        person = self.may_write(call)
        for said in self.comments(repo):
            if said.number == int(number):
                if said.author != person.login and person.right != "admin":
                    raise Refused(403, {"message": "user should have permission to edit the comment"})
                said.text = call.body["body"]
                return self._comment_json(said)
        raise Refused(404, {"message": "The target couldn't be found."})

    async def _react(self, call: Call, repo: str, number: str) -> Json:
        # A comment on a line is reacted to as any other; a review is none.
        lines = [line for pull in self.pulls.get(repo, []) for review in pull.reviews for line in review.lines]
        known = [said.number for said in (*self.comments(repo), *lines)]
        if "/issues/comments/" in call.path and int(number) not in known:
            raise Refused(404, {"message": "The target couldn't be found."})
        return self.reacted(call, call.body["content"])

    async def _status(self, call: Call, repo: str, commit: str) -> Json:  # noqa: ARG002
        found = [_status_json(one) for one in self.checks.get(repo, []) if one.commit == commit]
        return {"state": "pending", "sha": commit, "total_count": len(found), "statuses": found or None}

    async def _permission(self, call: Call, repo: str, login: str) -> Json:  # noqa: ARG002
        self.may_write(call)
        person = self.by_login(login)
        if person is None:
            raise Refused(404, {"message": "user does not exist"})
        return {"permission": _RIGHTS[person.right], "role_name": _RIGHTS[person.right]}

    def _known(self, repo: str) -> None:
        if not self.git.path(repo).is_dir():
            raise Refused(404, {"message": "The target couldn't be found."})

    async def _json(self, repo: str, pull: Pull) -> Json:
        where = {"full_name": repo}
        return {
            "id": 7000 + pull.number,
            "number": pull.number,
            "state": "open" if pull.state == "open" else "closed",
            "merged": pull.state == "merged",
            "title": pull.title,
            "body": pull.body,
            "draft": pull.title.startswith("WIP:"),
            "html_url": f"{self.url}/{repo}/pulls/{pull.number}",
            "created_at": stamp(pull.at),
            "user": self._person_json(pull.author),
            "head": {"ref": pull.head, "sha": await self.head(repo, pull), "repo": {"full_name": pull.fork or repo}},
            "base": {"ref": pull.base, "repo": where},
        }

    def _person_json(self, login: str) -> Json:
        person = self.by_login(login)
        return {"id": person.number if person else 1, "login": login}

    def _comment_json(self, said: Said) -> Json:
        return {
            "id": said.number,
            "body": said.text,
            "user": self._person_json(said.author),
            "created_at": stamp(said.at),
            "html_url": f"{self.url}/#issuecomment-{said.number}",
        }

    def _review_json(self, said: Said) -> Json:
        assert said.verdict is not None
        return {
            "id": said.number,
            "body": said.text,
            "state": _STATES[said.verdict],
            "user": self._person_json(said.author),
            "comments_count": len(said.lines),
            "submitted_at": stamp(said.at),
            "html_url": f"{self.url}/#pullrequestreview-{said.number}",
        }

    def _line_json(self, said: Said) -> Json:
        return {
            "id": said.number,
            "body": said.text,
            "path": said.path,
            "position": said.line,
            "user": self._person_json(said.author),
            "created_at": stamp(said.at),
            "html_url": f"{self.url}/#discussion_r{said.number}",
        }


def _status_json(check: Check) -> Json:
    return {
        "id": check.number,
        "context": check.name,
        "status": _WORDS[check.state],
        "description": check.summary,
        "target_url": "",
    }
