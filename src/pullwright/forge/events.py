"""Events of GitHub, GitLab and Gitea, read as what they ask for.

Everything in them comes from outside. The forge's signature says that the forge sent it; whose words count is asked of
the forge afterwards.
"""

import re
from typing import Any, Literal

from pullwright.domain.incoming import Asked, Names, Topic

_TITLE = 300
_BODY = 8000

Json = dict[str, Any]


def read(kind: str, event: str, sent: Json, names: Names) -> Asked | None:
    """What an event of a forge asks for; None: nothing. Raises `ValueError` where it has not the form it should."""
    try:
        match kind:
            case "github":
                return _github(event, sent, names)
            case "gitea":
                return _gitea(event, sent, names)
            case _:
                return _gitlab(event, sent, names)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the event {event!r} lacks {error}") from error


def _github(event: str, sent: Json, names: Names) -> Asked | None:
    action = sent.get("action")
    match event, action:
        case "issues", "labeled" if _same(sent["label"]["name"], names.label):
            return _on_issue(sent, "label")
        case "issues", "opened" if names.addressed(_text(sent["issue"].get("body"))):
            return _on_issue(sent, "mention")
        case "pull_request", "labeled" if _same(sent["label"]["name"], names.label):
            return _on_pull(sent, sent["pull_request"]["number"], "label")
        case "issue_comment", "created" if names.addressed(_text(sent["comment"].get("body"))):
            return _commented(sent, pull=bool(sent["issue"].get("pull_request")))
        case "pull_request_review", "submitted":
            review = sent.get("review") or {}
            # One without words has no place for a reaction; its comments on lines are told of one by one.
            remark = f"review:{int(review['id'])}" if _text(review.get("body")).strip() else None
            return _on_pull(sent, sent["pull_request"]["number"], "review", remark)
        case "pull_request_review_comment", "created":
            number, remark = sent["pull_request"]["number"], f"line:{int(sent['comment']['id'])}"
            return _on_pull(sent, number, "review", remark)
        case (("check_run" | "check_suite" | "workflow_run"), "completed"):
            run = sent[event]
            return _checked(sent, run["head_sha"]) if run.get("conclusion") in _FAILED else None
        case "status", _ if sent.get("state") in _FAILED:
            return _checked(sent, sent["sha"])
    return None


_FAILED = ("failure", "timed_out", "action_required", "startup_failure", "error")


def _gitea(event: str, sent: Json, names: Names) -> Asked | None:
    """Gitea and Forgejo tell much as GitHub does; of a change of labels they tell only what is there afterwards."""
    action = sent.get("action")
    match event, action:
        case (("issues" | "issue_label"), "label_updated") if _has_label(sent["issue"], names):
            return _on_issue(sent, "label")
        case (("pull_request" | "pull_request_label"), "label_updated") if _has_label(sent["pull_request"], names):
            return _on_pull(sent, sent["pull_request"]["number"], "label")
        case "issues", "opened" if names.addressed(_text(sent["issue"].get("body"))):
            return _on_issue(sent, "mention")
        case (("issue_comment" | "pull_request_comment"), "created"):
            if not names.addressed(_text(sent["comment"].get("body"))):
                return None
            pull = bool(sent.get("is_pull") or sent["issue"].get("pull_request"))
            return _commented(sent, pull=pull)
        case (("pull_request_approved" | "pull_request_rejected" | "pull_request_comment"), "reviewed"):
            return _on_pull(sent, sent["pull_request"]["number"], "review")
        case "status", _ if sent.get("state") in _FAILED:
            return _checked(sent, sent["sha"])
        case "workflow_run", "completed":
            run = sent["workflow_run"]
            return _checked(sent, run["head_sha"]) if run.get("conclusion") in _FAILED else None
    return None


def _has_label(thing: Json, names: Names) -> bool:
    return any(_same(label["name"], names.label) for label in thing.get("labels") or ())


def _on_issue(sent: Json, how: Literal["label", "mention"]) -> Asked:
    issue = sent["issue"]
    return Asked(
        wants="task",
        by=_text(sent["sender"]["login"]),
        how=how,
        repository=_path(sent["repository"]["full_name"]),
        clone=_text(sent["repository"]["clone_url"]),
        topic=Topic(number=int(issue["number"]), issue=True),
        author=_text(issue["user"]["login"]),
        title=_text(issue.get("title"))[:_TITLE],
        body=_text(issue.get("body"))[:_BODY],
        url=_text(issue.get("html_url")),
    )


def _commented(sent: Json, *, pull: bool) -> Asked:
    comment = sent["comment"]
    remark = f"comment:{int(comment['id'])}"
    if pull:
        return _on_pull(sent, sent["issue"]["number"], "mention", remark)
    asked = _on_issue(sent, "mention")
    topic = Topic(number=int(sent["issue"]["number"]), issue=True, remark=remark)
    said = {"by": _text(comment["user"]["login"]), "words": _text(comment.get("body"))[:_BODY], "topic": topic}
    return asked.model_copy(update=said)


def _on_pull(
    sent: Json, number: object, how: Literal["label", "mention", "review"], remark: str | None = None
) -> Asked:
    return _follow_up(sent["sender"]["login"], sent["repository"]["full_name"], number, how, remark)


def _follow_up(
    by: object, repository: object, number: object, how: Literal["label", "mention", "review"], remark: str | None
) -> Asked:
    topic = Topic(number=int(str(number)), issue=False, remark=remark)
    return Asked(wants="follow-up", by=_text(by), how=how, repository=_path(repository), topic=topic)


def _checked(sent: Json, commit: object) -> Asked:
    return Asked(
        wants="follow-up", by="", how="check", repository=_path(sent["repository"]["full_name"]), commit=_sha(commit)
    )


def _gitlab(event: str, sent: Json, names: Names) -> Asked | None:
    thing = sent.get("object_attributes") or {}
    project = sent.get("project") or {}
    match event:
        case "Issue Hook":
            labelled = _newly_labelled(sent, thing, names)
            if not labelled and not (
                thing.get("action") == "open" and names.addressed(_text(thing.get("description")))
            ):
                return None
            return _gitlab_issue(sent, thing, "label" if labelled else "mention")
        case "Note Hook" if not thing.get("system") and names.addressed(_text(thing.get("note"))):
            remark = f"note:{int(thing['id'])}"
            if thing.get("noteable_type") == "MergeRequest":
                return _gitlab_merge(sent, sent["merge_request"]["iid"], "mention", remark)
            if thing.get("noteable_type") == "Issue":
                asked = _gitlab_issue(sent, sent["issue"], "mention")
                topic = Topic(number=int(sent["issue"]["iid"]), issue=True, remark=remark)
                return asked.model_copy(update={"words": _text(thing.get("note"))[:_BODY], "topic": topic})
        case "Note Hook" if thing.get("noteable_type") == "MergeRequest" and thing.get("type") == "DiffNote":
            return _gitlab_merge(sent, sent["merge_request"]["iid"], "review", f"note:{int(thing['id'])}")
        case "Merge Request Hook" if _newly_labelled(sent, thing, names):
            return _gitlab_merge(sent, thing["iid"], "label")
        case "Merge Request Hook" if thing.get("action") in ("approved", "unapproved"):
            return _gitlab_merge(sent, thing["iid"], "review")
        case "Pipeline Hook" if thing.get("status") == "failed":
            path = _path(project["path_with_namespace"])
            return Asked(wants="follow-up", by="", how="check", repository=path, commit=_sha(thing["sha"]))
    return None


def _newly_labelled(sent: Json, thing: Json, names: Names) -> bool:
    changed = (sent.get("changes") or {}).get("labels") or {}
    before = [label["title"] for label in changed.get("previous") or ()]
    labels = sent.get("labels") or () if thing.get("action") == "open" else changed.get("current") or ()
    now = [label["title"] for label in labels]
    return any(_same(one, names.label) for one in now) and not any(_same(one, names.label) for one in before)


def _gitlab_issue(sent: Json, issue: Json, how: Literal["label", "mention"]) -> Asked:
    return Asked(
        wants="task",
        by=_text(sent["user"]["username"]),
        how=how,
        repository=_path(sent["project"]["path_with_namespace"]),
        clone=_text(sent["project"]["git_http_url"]),
        topic=Topic(number=int(issue["iid"]), issue=True),
        author="",  # GitLab tells a number here, and no name
        title=_text(issue.get("title"))[:_TITLE],
        body=_text(issue.get("description"))[:_BODY],
        url=_text(issue.get("url")),
    )


def _gitlab_merge(
    sent: Json, number: object, how: Literal["label", "mention", "review"], remark: str | None = None
) -> Asked:
    return _follow_up(sent["user"]["username"], sent["project"]["path_with_namespace"], number, how, remark)


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and one.lower() == other.lower()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _path(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)+", value) or ".." in value.split("/"):
        raise ValueError("it names no repository")
    return value


def _sha(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{40,64}", value):
        raise ValueError("it names no commit")
    return value
