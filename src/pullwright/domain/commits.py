"""How a change is written down in git: who made it, as how many commits, on which branch."""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field, field_validator

from pullwright.domain.value import Value

AUTHOR = "Pullwright <pullwright@localhost>"
BRANCH = "pullwright/{task}"
FIELDS = ("task", "slug", "user", "repository")
SLUG = 40  # characters of a slug
BRANCH_BYTES = 200  # of a whole branch name; a component has to fit a file name with `.lock` behind it

_PERSON = re.compile(r"(?P<name>[^<>\x00-\x1f\x7f]*[^<>\s\x00-\x1f\x7f]) <(?P<mail>[^<>\s\x00-\x1f\x7f]+)>")
_FIELD = re.compile(r"\{([^{}]*)\}")


class CommitStyle(StrEnum):
    """As how many commits a change is delivered."""

    SQUASH = "squash"  # one commit, whatever was committed on the way
    KEEP = "keep"  # the commits that the agent made, and one for what it left uncommitted


class FollowUps(StrEnum):
    """What a follow-up does to the commits that were delivered before."""

    AMEND = "amend"  # writes them anew: the branch is moved, with a lease
    APPEND = "append"  # leaves them and adds its own


class CommitRules(Value):
    """How one task's change becomes commits and a branch. People are written NAME <MAIL>."""

    author: str = AUTHOR
    committer: str | None = Field(None, description="None: the author.")
    co_authors: tuple[str, ...] = ()
    style: CommitStyle = CommitStyle.SQUASH
    follow_ups: FollowUps = FollowUps.AMEND
    branch: str = Field(BRANCH, description="A rule with `{task}`, `{slug}`, `{user}`, `{repository}` in it.")
    user: str = Field("", description="What `{user}` stands for; empty: nobody known.")

    @field_validator("author", "committer")
    @classmethod
    def _person(cls, value: str | None) -> str | None:
        return value if value is None else check_person(value)

    @field_validator("co_authors")
    @classmethod
    def _people(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check_person(person) for person in value))

    @field_validator("branch")
    @classmethod
    def _branch(cls, value: str) -> str:
        return check_rule(value)


def check_person(text: str) -> str:
    """A person as git writes one. Raises `ValueError` saying what is wrong."""
    match = _PERSON.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no commit identity; write it as NAME <MAIL>")
    return f"{match['name'].strip()} <{match['mail']}>"


def name_and_mail(person: str) -> tuple[str, str]:
    """The two parts of NAME <MAIL>. Raises `ValueError`."""
    match = _PERSON.fullmatch(check_person(person))
    assert match is not None
    return match["name"], match["mail"]


def check_rule(rule: str) -> str:
    """A rule for branch names: every name that it gives is one that git takes. Raises `ValueError`."""
    for name in _FIELD.findall(rule):
        if name not in FIELDS:
            known = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise ValueError(f"{{{name}}} is nothing that a branch name can be made of; use {known}")
    # A value is a word of lower-case letters, digits and single hyphens, so one example stands for all.
    example = _FIELD.sub("x", rule)
    if problem := branch_problem(example):
        raise ValueError(f"{rule!r} gives no branch name that git takes: {problem}")
    longest = _FIELD.sub("x" * SLUG, rule)
    if any(len(part.encode()) > BRANCH_BYTES for part in longest.split("/")) or len(longest.encode()) > BRANCH_BYTES:
        raise ValueError(f"{rule!r} may give a branch name of more than {BRANCH_BYTES} bytes")
    return rule


def branch_name(rules: CommitRules, *, task: str, prompt: str, repository: str) -> str:
    """The branch that the rules give for a task; the same arguments give the same name."""
    values = {
        "task": task,
        "slug": slug(prompt) or "change",
        "user": slug(rules.user) or "pullwright",
        "repository": slug(repository) or "repository",
    }
    return _filled(rules.branch, values)


def anew(rules: CommitRules) -> CommitRules:
    """The same rules for another task: a branch that was named outright gets the task's id behind it."""
    if "{task}" in rules.branch:
        return rules
    return rules.model_copy(update={"branch": check_rule(f"{rules.branch}-{{task}}")})


def slug(text: str) -> str:
    """Words as part of a branch name: lower-case ASCII letters and digits with single hyphens between, at most 40."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    made = ""
    for word in words:
        longer = f"{made}-{word}" if made else word[:SLUG]
        if len(longer) > SLUG:
            break
        made = longer
    return made


def branch_problem(name: str) -> str | None:
    """Why git would refuse a branch of this name, None where it takes it (the rules of git-check-ref-format(1))."""
    if not name:
        return "it is empty"
    if name in ("@", "HEAD") or name.startswith("-"):
        return f"a branch cannot be called {name!r}" if name in ("@", "HEAD") else "it begins with a hyphen"
    if bad := re.search(r"[\x00-\x20\x7f~^:?*\[\\]", name):
        return f"it holds {bad[0]!r}"
    for sequence in ("..", "@{", "//"):
        if sequence in name:
            return f"it holds {sequence!r}"
    if name.startswith("/") or name.endswith(("/", ".")):
        return "it begins with a slash, or ends with a slash or a dot"
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        return "a part of it begins with a dot or ends with .lock"
    return None


def _filled(rule: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: values[match[1]], rule)
