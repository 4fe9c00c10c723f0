"""What forges tell: who is spoken to, and that nothing that is sent can be more than refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pullwright.domain.incoming import Asked, Names
from pullwright.domain.value import task_id_of
from pullwright.forge.events import read

NAMES = Names()


@pytest.mark.parametrize(
    ("text", "addressed"),
    [
        ("@pullwright mend this", True),
        ("Hey @Pullwright, mend this.", True),
        ("/pullwright retry", True),
        ("(@pullwright)", True),
        ("ada@pullwright.example", False),
        ("@pullwright-bot", False),
        ("@pullwright.example", False),
        ("see github.com/pullwright", False),
        ("> @pullwright quoted", False),
        ("`@pullwright`", False),
        ("```\n@pullwright\n```", False),
        ("```\ncode\n```\n@pullwright", True),
        ("~~~\n@pullwright", False),
        ("", False),
    ],
)
def test_who_is_spoken_to(text: str, addressed: bool) -> None:
    assert NAMES.addressed(text) is addressed


def test_another_name_is_listened_to() -> None:
    assert Names(name="helper").addressed("@helper go")
    assert not Names(name="helper").addressed("@pullwright go")


REPOSITORY = {"full_name": "a/b", "clone_url": "https://f/a/b.git"}
ISSUE = {"number": 1, "title": "t", "body": "@pullwright", "user": {"login": "u"}, "labels": [{"name": "pullwright"}]}
AROUND = {"sender": {"login": "u"}, "repository": REPOSITORY}
COMMENT = {"id": 7, "body": "@pullwright", "user": {"login": "u"}}
PROJECT = {"path_with_namespace": "a/b", "git_http_url": "https://f/a/b.git"}
LABELS = {"labels": {"previous": [], "current": [{"title": "pullwright"}]}}
RUN = {"conclusion": "failure", "head_sha": "a" * 40}
NOTE = {"id": 7, "note": "@pullwright", "noteable_type": "Issue"}
GITLAB = {"user": {"username": "u"}, "project": PROJECT}
SENT: list[tuple[str, str, dict[str, Any]]] = [
    ("github", "issues", AROUND | {"action": "labeled", "label": {"name": "pullwright"}, "issue": ISSUE}),
    ("github", "issue_comment", AROUND | {"action": "created", "issue": ISSUE, "comment": COMMENT}),
    (
        "github",
        "pull_request_review",
        AROUND | {"action": "submitted", "pull_request": {"number": 1}, "review": COMMENT},
    ),
    ("github", "check_run", AROUND | {"action": "completed", "check_run": RUN}),
    ("gitea", "issues", AROUND | {"action": "label_updated", "issue": ISSUE}),
    ("gitea", "status", AROUND | {"state": "failure", "sha": "a" * 40}),
    ("gitlab", "Issue Hook", GITLAB | {"object_attributes": {"iid": 1, "action": "update"}, "changes": LABELS}),
    ("gitlab", "Note Hook", GITLAB | {"object_attributes": NOTE, "issue": {"iid": 1}}),
    ("gitlab", "Pipeline Hook", GITLAB | {"object_attributes": {"status": "failed", "sha": "a" * 40}}),
]
HOSTILE: tuple[Any, ...] = (None, True, -1, float("inf"), "", "x" * 100_000, "../..", [], [[]], {}, {"name": []})


def spoilt(value: Any) -> Iterator[Any]:
    """The value with one part of it gone or replaced, for each of its parts."""
    yield from HOSTILE
    if isinstance(value, dict):
        for name, inner in value.items():
            yield {key: kept for key, kept in value.items() if key != name}
            yield from ({**value, name: other} for other in spoilt(inner))
    elif isinstance(value, list) and value:
        yield from ([other] for other in spoilt(value[0]))


@pytest.mark.parametrize(("kind", "event", "sent"), SENT, ids=lambda value: value if isinstance(value, str) else "")
def test_whatever_is_sent_is_read_or_refused(kind: str, event: str, sent: dict[str, Any]) -> None:
    assert read(kind, event, sent, NAMES) is not None
    for other in spoilt(sent):
        if isinstance(other, dict):
            try:
                asked = read(kind, event, other, NAMES)
            except ValueError:
                continue
            assert asked is None or isinstance(asked, Asked)


def test_a_text_stands_for_one_task() -> None:
    assert task_id_of("a") == task_id_of("a") != task_id_of("b")
    assert len(task_id_of("a")) == 8


def test_an_event_of_the_wrong_form_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="label"):
        read("github", "issues", json.loads('{"action": "labeled"}'), NAMES)
