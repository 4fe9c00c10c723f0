"""Secrets are found however a program has written them down, and nothing else is taken for one."""

import base64
import html
import itertools
import json
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullwright.domain.errors import UsageError
from pullwright.domain.secret import Redacting, Redactor, check_name, check_value

TOKEN = "npm_9/aB+c\"d'e&f é7"
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join("aB3/" * 15 + f"x{n}" for n in range(3))
    + "\n-----END PRIVATE KEY-----\n"
)

WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps({"token": text})),
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "URL": lambda text: "https://" + quote(text, safe="") + "@host/",
    "form": quote_plus,
    "small percent": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "shell": shlex.quote,
    "HTML": html.escape,
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of user and password": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 inside more": lambda text: base64.b64encode(f"ab{text}cd".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"a{text}".encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(f"abc{text}def".encode()).decode(),
}


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("secret", [TOKEN, "t0" * 60, KEY], ids=["token", "long", "key"])
def test_it_is_found_in_every_form(secret: str, form: str) -> None:
    redactor = Redactor({"TOKEN": secret})
    written = WRITTEN[form](secret)
    assert redactor.found(f"before {written} after".encode()) == {"TOKEN"}
    cleared = redactor.text(f"before {written} after")
    assert "[secret TOKEN]" in cleared
    assert cleared.startswith("before ")
    assert not Redactor({"TOKEN": secret}).found(cleared.encode())
    assert redactor.text("nothing of it here, 012345678") == "nothing of it here, 012345678"


def test_one_line_of_a_key_is_enough_and_what_all_keys_share_is_not() -> None:
    redactor = Redactor({"KEY": KEY})
    assert redactor.text(KEY.splitlines()[2]) == "[secret KEY]"
    assert not redactor.found(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----")


def test_a_header_s_value_is_found_without_its_scheme() -> None:
    assert Redactor({"A": "Bearer abc123def456"}).text("token=abc123def456") == "token=[secret A]"


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 2))
def test_a_value_cut_between_pieces_is_found(cuts: list[int], copies: int) -> None:
    secret = "s3cr3t-v4lue-of-some-length"
    whole = ("x" * 7 + secret) * copies + "tail" + secret[:-1]
    told: list[bytes] = []
    stream = Redacting(Redactor({"S": secret}), told.append)
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    for begin, end in itertools.pairwise(places):
        stream.add(whole[begin:end].encode())
    stream.end()
    assert b"".join(told).decode() == ("x" * 7 + "[secret S]") * copies + "tail" + secret[:-1]


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "PATH", "LD_PRELOAD", "PULLWRIGHT_HOME", "A" * 101, "A\n"])
def test_a_name_that_cannot_be_meant_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("value", ["", "short1", "password", "postgres", "12345678", "x" * 40, " a1b2c3 ", "nul\0aa11"])
def test_a_value_that_could_be_any_text_is_refused_without_telling_it(value: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_value(value)
    assert not value or value not in str(refused.value)


def test_names_and_values_that_are_fine() -> None:
    assert check_name("NPM_TOKEN") == "NPM_TOKEN"
    assert check_value(KEY) == KEY
