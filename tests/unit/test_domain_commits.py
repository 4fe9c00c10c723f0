"""Branch names by rule are names that git takes, for any prompt and any user; identities are what git can write."""

import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pullwright.domain.commits import (
    BRANCH_BYTES,
    FIELDS,
    SLUG,
    CommitRules,
    anew,
    branch_name,
    branch_problem,
    check_person,
    check_rule,
    name_and_mail,
    slug,
)
from pullwright.domain.errors import ConfigurationError
from pullwright.domain.value import new_task_id
from pullwright.settings import Settings

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.sampled_from("abAZ09-_./@{}~^:?*[\\ \x01\x7fé"), max_size=12)
RULES = st.lists(
    st.one_of(st.sampled_from([f"{{{field}}}" for field in FIELDS]), st.sampled_from(["work", "/", "-", "v2", "."])),
    min_size=1,
    max_size=6,
).map("".join)


def git_takes(name: str) -> bool:
    command = ["git", "check-ref-format", f"refs/heads/{name}"]
    branch = subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0
    return branch and not name.startswith("-") and name != "HEAD"


@settings(max_examples=300, deadline=None)
@given(NAMES.filter(lambda name: "\0" not in name))
def test_a_name_is_judged_as_git_judges_it(name: str) -> None:
    # A lone @ is a fine ref below refs/heads; as a branch it would be read as HEAD everywhere.
    assert (branch_problem(name) is None) == (git_takes(name) and name != "@")


@settings(max_examples=200, deadline=None)
@given(RULES, TEXT, TEXT, TEXT)
def test_a_rule_that_is_taken_gives_names_that_git_takes(rule: str, prompt: str, user: str, repository: str) -> None:
    try:
        rules = CommitRules(branch=rule, user=user)
    except ValidationError:
        return
    name = branch_name(rules, task=new_task_id(), prompt=prompt, repository=repository)
    assert branch_problem(name) is None
    assert len(name.encode()) <= BRANCH_BYTES + len(rule)


@given(TEXT)
def test_a_slug_is_words_with_hyphens(text: str) -> None:
    made = slug(text)
    assert len(made) <= SLUG
    assert re.fullmatch(r"([a-z0-9]+(-[a-z0-9]+)*)?", made)
    assert slug(made) == made


@pytest.mark.parametrize(
    ("text", "made"),
    [("Fix the failing tests!", "fix-the-failing-tests"), ("Überlänge prüfen", "uberlange-prufen"), ("修正", "")],
)
def test_what_a_slug_looks_like(text: str, made: str) -> None:
    assert slug(text) == made


def test_names_by_rule() -> None:
    rules = CommitRules(branch="{user}/{slug}-{task}", user="Ada Lovelace")
    assert branch_name(rules, task="abc12345", prompt="Fix it", repository="p") == "ada-lovelace/fix-it-abc12345"
    assert branch_name(CommitRules(), task="abc12345", prompt="x", repository="p") == "pullwright/abc12345"
    nobody = CommitRules(branch="{user}/{slug}/{repository}")
    assert branch_name(nobody, task="t", prompt="修", repository="修") == "pullwright/change/repository"


def test_a_task_tried_again_has_a_branch_of_its_own() -> None:
    assert anew(CommitRules(branch="mine")).branch == "mine-{task}"
    assert anew(CommitRules()) == CommitRules()


@pytest.mark.parametrize("rule", ["{task}.lock", "a..{task}", "/{task}", "{nobody}/{task}", "", "x" * 201, "a b{task}"])
def test_a_rule_that_git_would_refuse_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"branch name|nothing that"):
        check_rule(rule)


@pytest.mark.parametrize("text", ["", "Ada", "Ada <>", "<a@b>", "A <a@b> C", "A\nB <a@b>", "A <a b>"])
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME <MAIL>"):
        check_person(text)


def test_people_are_read() -> None:
    assert name_and_mail(" Ada L. <ada@example.org> ") == ("Ada L.", "ada@example.org")


def test_settings_say_how_to_commit() -> None:
    variables = {
        "PULLWRIGHT_HOME": "/x",
        "PULLWRIGHT_AUTHOR": "Bot <bot@example.org>",
        "PULLWRIGHT_CO_AUTHORS": "Ada <a@example.org>, Bob <b@example.org>",
        "PULLWRIGHT_BRANCH": "{user}/{task}",
        "PULLWRIGHT_COMMITS": "keep",
        "PULLWRIGHT_FOLLOW_UPS": "append",
    }
    commits = Settings.from_environment(variables).commits
    assert commits.co_authors == ("Ada <a@example.org>", "Bob <b@example.org>")
    assert (commits.author, commits.style, commits.follow_ups) == ("Bot <bot@example.org>", "keep", "append")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PULLWRIGHT_AUTHOR", "nobody"),
        ("PULLWRIGHT_CO_AUTHORS", "Ada"),
        ("PULLWRIGHT_BRANCH", "always-the-same"),
        ("PULLWRIGHT_COMMITS", "all"),
    ],
)
def test_a_wrong_setting_is_told_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        Settings.from_environment({"PULLWRIGHT_HOME": "/x", variable: value})
