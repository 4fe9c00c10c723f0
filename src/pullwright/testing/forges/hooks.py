"""What forges send to webhooks: events with the fields of their documentation, signed as each of them signs.

https://docs.github.com/en/webhooks/webhook-events-and-payloads,
https://docs.gitlab.com/user/project/integrations/webhook_events/, https://docs.gitea.com/usage/webhooks
"""

import hashlib
import hmac
import json
from dataclasses import dataclass

from pullwright.testing.forges.gitea import Gitea
from pullwright.testing.forges.github import GitHub
from pullwright.testing.forges.gitlab import GitLab
from pullwright.testing.forges.side import FarSide, Issue, Json, Pull, Said


@dataclass(frozen=True)
class Sent:
    """One delivery as it goes over the wire."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Hook:
    """A repository's webhook on a forge's far side."""

    side: FarSide
    repository: str
    secret: str

    def labelled(self, topic: Issue | Pull, label: str, by: str) -> Sent:
        """Somebody puts a label on an issue or a pull request."""
        pull = isinstance(topic, Pull)
        match self.side:
            case GitHub():
                thing = {"pull_request" if pull else "issue": self._thing(topic)}
                event, sent = "pull_request" if pull else "issues", {"action": "labeled", "label": {"name": label}}
            case Gitea():
                thing = {"pull_request" if pull else "issue": self._thing(topic) | {"labels": [{"name": label}]}}
                event, sent = "pull_request" if pull else "issues", {"action": "label_updated"}
            case _:
                thing = {"object_attributes": self._thing(topic) | {"action": "update"}}
                event = "Merge Request Hook" if pull else "Issue Hook"
                sent = {"changes": {"labels": {"previous": [], "current": [{"title": label}]}}}
        return self.signed(event, self._around(by) | thing | sent)

    def opened(self, issue: Issue) -> Sent:
        """An issue is opened."""
        if isinstance(self.side, GitLab):
            about = {"object_attributes": self._thing(issue) | {"action": "open"}}
            return self.signed("Issue Hook", self._around(issue.author) | about)
        return self.signed("issues", self._around(issue.author) | {"action": "opened", "issue": self._thing(issue)})

    def commented(self, topic: Issue | Pull, said: Said) -> Sent:
        """Somebody comments."""
        pull, around = isinstance(topic, Pull), self._around(said.author)
        if isinstance(self.side, GitLab):
            note = {
                "id": said.number,
                "note": said.text,
                "noteable_type": "MergeRequest" if pull else "Issue",
                "system": False,
                "type": None,
            }
            about = {"merge_request" if pull else "issue": self._thing(topic)}
            return self.signed("Note Hook", around | {"object_attributes": note} | about)
        issue = self._thing(topic) | ({"pull_request": {"url": "there"}} if pull else {})
        comment = {"id": said.number, "body": said.text, "user": {"login": said.author}}
        body = around | {"action": "created", "issue": issue, "comment": comment, "is_pull": pull}
        return self.signed("issue_comment", body)

    def reviewed(self, pull: Pull, said: Said) -> Sent:
        """Somebody reviews."""
        around = self._around(said.author)
        match self.side:
            case GitHub():
                review = {"id": said.number, "body": said.text, "state": "changes_requested"}
                body = around | {"action": "submitted", "pull_request": self._thing(pull), "review": review}
                return self.signed("pull_request_review", body)
            case Gitea():
                review = {"type": "pull_request_review_rejected", "content": said.text}
                body = around | {"action": "reviewed", "pull_request": self._thing(pull), "review": review}
                return self.signed("pull_request_rejected", body)
            case _:
                note = {"id": said.number, "note": said.text, "noteable_type": "MergeRequest", "type": "DiffNote"}
                about = {"object_attributes": note, "merge_request": self._thing(pull)}
                return self.signed("Note Hook", around | about)

    def failed(self, commit: str, name: str) -> Sent:
        """A check of a commit fails."""
        around = self._around("owner")
        match self.side:
            case GitHub():
                run = {"id": 1, "name": name, "head_sha": commit, "status": "completed", "conclusion": "failure"}
                return self.signed("check_run", around | {"action": "completed", "check_run": run})
            case Gitea():
                return self.signed("status", around | {"sha": commit, "state": "failure", "context": name})
            case _:
                return self.signed("Pipeline Hook", around | {"object_attributes": {"status": "failed", "sha": commit}})

    def signed(self, event: str, payload: Json, delivery: str | None = None) -> Sent:
        """Any event, as the forge sends it."""
        body = json.dumps(payload).encode()
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        delivery = delivery or f"delivery-{self.side.next()}"
        match self.side:
            case GitHub():
                own = {
                    "X-GitHub-Event": event,
                    "X-GitHub-Delivery": delivery,
                    "X-Hub-Signature-256": f"sha256={digest}",
                }
            case Gitea():
                own = {"X-Gitea-Event": event, "X-Gitea-Delivery": delivery, "X-Gitea-Signature": digest}
            case _:
                own = {"X-Gitlab-Event": event, "X-Gitlab-Event-UUID": delivery, "X-Gitlab-Token": self.secret}
        return Sent({"Content-Type": "application/json", **own}, body)

    def _around(self, by: str) -> Json:
        clone = f"{self.side.url}/{self.repository}.git"
        if isinstance(self.side, GitLab):
            project = {"path_with_namespace": self.repository, "git_http_url": clone}
            return {"user": {"username": by}, "project": project}
        return {"sender": {"login": by}, "repository": {"full_name": self.repository, "clone_url": clone}}

    def _thing(self, topic: Issue | Pull) -> Json:
        url = f"{self.side.url}/{self.repository}/{'pulls' if isinstance(topic, Pull) else 'issues'}/{topic.number}"
        if isinstance(self.side, GitLab):
            return {"iid": topic.number, "title": topic.title, "description": topic.body, "url": url}
        return {
            "number": topic.number,
            "title": topic.title,
            "body": topic.body,
            "html_url": url,
            "user": {"login": topic.author},
        }
