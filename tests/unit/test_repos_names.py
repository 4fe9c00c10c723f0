"""Any name git can hold becomes text that can be printed and kept, and comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from pullwright.repos.names import path_bytes, path_text


@given(st.binary())
def test_a_name_comes_back(name: bytes) -> None:
    assert path_bytes(path_text(name)) == name


@given(st.binary())
def test_the_text_is_encodable_and_on_one_line(name: bytes) -> None:
    text = path_text(name)
    text.encode()
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\\")))
def test_an_ordinary_name_is_written_as_it_is(name: str) -> None:
    assert path_text(name.encode()) == name
