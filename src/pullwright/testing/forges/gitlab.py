"""GitLab's far side: the part of its interface, version 4, that is used (https://docs.gitlab.com/api/)."""

from dataclasses import dataclass

from pullwright.testing.forges.side import Call, Check, FarSide, Json, Pull, Refused, Said, stamp

_LEVELS = {"admin": 50, "write": 30, "read": 20, "none": 0}
_STATES = {"open": "opened", "closed": "closed", "merged": "merged"}
_WORDS = {"passed": "success", "failed": "failed", "pending": "running"}


@dataclass
class GitLab(FarSide):
    """A self-managed GitLab."""

    prefix: str = "/api/v4"

    def prepare(self) -> None:
        """The routes."""
        project = "/projects/{project}"
        merge_request = f"{project}/merge_requests/{{number}}"
        for method, pattern, handler in (
            ("GET", "/user", self._user),
            ("GET", project, self._project),
            ("GET", f"{project}/merge_requests", self._list),
            ("POST", f"{project}/merge_requests", self._open),
            ("GET", merge_request, self._get),
            ("PUT", merge_request, self._update),
            ("GET", f"{merge_request}/notes", self._notes),
            ("POST", f"{merge_request}/notes", self._note),
            ("PUT", f"{merge_request}/notes/{{note}}", self._edit),
            ("GET", f"{project}/repository/commits/{{commit}}/statuses", self._statuses),
            ("GET", f"{project}/members/all/{{member}}", self._member),
            ("GET", f"{project}/members/all", self._members),
            ("GET", f"{project}/issues/{{number}}/notes", self._issue_notes),
            ("POST", f"{project}/issues/{{number}}/notes", self._note),
            ("PUT", f"{project}/issues/{{number}}/notes/{{note}}", self._edit),
            ("POST", f"{project}/issues/{{number}}/award_emoji", self._award),
            ("POST", f"{project}/issues/{{number}}/notes/{{note}}/award_emoji", self._award),
            ("POST", f"{merge_request}/award_emoji", self._award),
            ("POST", f"{merge_request}/notes/{{note}}/award_emoji", self._award),
        ):
            self.route(method, pattern, handler)

    def head_ref(self, number: int) -> str:
        """The ref of a merge request's head."""
        return f"refs/merge-requests/{number}/head"

    async def _user(self, call: Call) -> Json:
        if call.person is None:
            raise Refused(401, {"message": "401 Unauthorized"})
        return self._person_json(call.person.login)

    async def _project(self, call: Call, project: str) -> Json:
        self._known(project)
        level = _LEVELS[call.person.right] if call.person else 0
        access = {"access_level": level} if level else None
        return {
            "id": 1,
            "path_with_namespace": project,
            "permissions": {"project_access": access, "group_access": None},
        }

    async def _list(self, call: Call, project: str) -> object:
        self._known(project)
        branch, state = call.query.get("source_branch"), call.query.get("state", "all")
        found = [
            await self._json(project, pull)
            for pull in reversed(self.pulls.get(project, []))
            if branch in (None, pull.head) and state in ("all", _STATES[pull.state])
        ]
        return self.paged(call, found)

    async def _open(self, call: Call, project: str) -> Json:
        person = self.may_write(call)
        body = call.body
        head, base = body["source_branch"], body["target_branch"]
        if await self.tip(project, head) is None:
            raise Refused(422, {"message": ["Source branch does not exist"]})
        if await self.tip(project, base) is None:
            raise Refused(422, {"message": ["Target branch does not exist"]})
        for pull in self.pulls.get(project, []):
            if (pull.head, pull.base, pull.state) == (head, base, "open"):
                words = f"Another open merge request already exists for this source branch: !{pull.number}"
                raise Refused(409, {"message": [words]})
        pull = Pull(self.next(), person.login, body["title"], body.get("description") or "", head, base)
        self.pulls.setdefault(project, []).append(pull)
        return await self._json(project, pull)

    async def _get(self, call: Call, project: str, number: str) -> Json:  # noqa: ARG002
        return await self._json(project, self.pull(project, int(number)))

    async def _update(self, call: Call, project: str, number: str) -> Json:
        self.may_write(call)
        pull = self.pull(project, int(number))
        pull.title, pull.body = call.body.get("title", pull.title), call.body.get("description", pull.body)
        if call.body.get("state_event") == "close" and pull.state == "open":
            await self.head(project, pull)
            pull.state = "closed"
        return await self._json(project, pull)

    async def _notes(self, call: Call, project: str, number: str) -> object:
        pull = self.pull(project, int(number))
        said = [*pull.comments, *(one for review in pull.reviews for one in (review, *review.lines) if one.text)]
        ordered = sorted(said, key=lambda one: one.at, reverse=call.query.get("sort", "desc") == "desc")
        return self.paged(call, [self._note_json(one) for one in ordered])

    async def _issue_notes(self, call: Call, project: str, number: str) -> object:
        return self.paged(call, [self._note_json(one) for one in self.topic(project, int(number)).comments])

    async def _award(self, call: Call, project: str, number: str, note: str = "") -> Json:  # noqa: ARG002
        known = (call.path.rpartition("/")[0], call.body["name"])
        if call.person is not None and (*known, call.person.login) in self.reactions:
            raise Refused(404, {"message": "404 Award Emoji Name has already been taken Not Found"})
        return self.reacted(call, call.body["name"])

    async def _members(self, call: Call, project: str) -> object:  # noqa: ARG002
        found = [
            {**self._person_json(person.login), "access_level": _LEVELS[person.right]}
            for person in self.people
            if person.right != "none" and call.query.get("query", "") in person.login
        ]
        return self.paged(call, found)

    async def _note(self, call: Call, project: str, number: str) -> Json:
        if call.person is None:
            raise Refused(401, {"message": "401 Unauthorized"})
        return self._note_json(self.say(project, int(number), call.person.login, call.body["body"]))

    async def _edit(self, call: Call, project: str, number: str, note: str) -> Json:
        person = self.may_write(call)
        for said in self.topic(project, int(number)).comments:
            if said.number == int(note):
                if said.author != person.login and person.right != "admin":
                    raise Refused(403, {"message": "403 Forbidden"})
                said.text = call.body["body"]
                return self._note_json(said)
        raise Refused(404, {"message": "404 Not found"})

    async def _statuses(self, call: Call, project: str, commit: str) -> object:
        found = [_status_json(one) for one in self.checks.get(project, []) if one.commit == commit]
        return self.paged(call, found)

    async def _member(self, call: Call, project: str, member: str) -> Json:  # noqa: ARG002
        for person in self.people:
            if person.number == int(member) and person.right != "none":
                return {**self._person_json(person.login), "access_level": _LEVELS[person.right]}
        raise Refused(404, {"message": "404 Not found"})

    def _known(self, project: str) -> None:
        if not self.git.path(project).is_dir():
            raise Refused(404, {"message": "404 Project Not Found"})

    async def _json(self, project: str, pull: Pull) -> Json:
        return {
            "id": 5000 + pull.number,
            "iid": pull.number,
            "title": pull.title,
            "description": pull.body,
            "draft": pull.title.lower().startswith(("draft:", "[draft]", "(draft)")),
            "state": _STATES[pull.state],
            "source_branch": pull.head,
            "target_branch": pull.base,
            "source_project_id": 2 if pull.fork else 1,
            "target_project_id": 1,
            "sha": await self.head(project, pull) or None,
            "author": self._person_json(pull.author),
            "created_at": stamp(pull.at),
            "web_url": f"{self.url}/{project}/-/merge_requests/{pull.number}",
        }

    def _person_json(self, login: str) -> Json:
        person = self.by_login(login)
        return {"id": person.number if person else 1, "username": login}

    def _note_json(self, said: Said) -> Json:
        position = {"new_path": said.path, "old_path": said.path, "new_line": said.line, "old_line": None}
        return {
            "id": said.number,
            "body": said.text,
            "system": False,
            "author": self._person_json(said.author),
            "created_at": stamp(said.at),
            "type": "DiffNote" if said.path else None,
            **({"position": position} if said.path else {}),
        }


def _status_json(check: Check) -> Json:
    return {
        "id": check.number,
        "sha": check.commit,
        "name": check.name,
        "status": _WORDS[check.state],
        "description": check.summary or None,
        "allow_failure": False,
        "target_url": None,
    }
