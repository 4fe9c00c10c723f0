"""The patch format: what applies, what is refused, and that nothing crashes it."""

import difflib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pullwright.engines.native.hunks import PatchError
from pullwright.engines.native.patch import apply, check_path, parse, touched


def patched(patch: str, files: dict[str, str]) -> dict[str, str | None]:
    return apply(parse(patch), files).files


def update(path: str, *lines: str) -> str:
    return "\n".join(["*** Begin Patch", f"*** Update File: {path}", *lines, "*** End Patch"])


FILE = "def one():\n    return 1\n\n\ndef two():\n    return 3\n"


def test_an_update_changes_the_lines_it_names() -> None:
    patch = update("a.py", "@@ def two():", "-    return 3", "+    return 2")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_add_delete_and_move() -> None:
    patch = """*** Begin Patch
*** Add File: new/b.txt
+one
+
+two
*** Delete File: gone.txt
*** Update File: a.py
*** Move to: c.py
@@
-def one():
+def first():
*** End Patch"""
    applied = apply(parse(patch), {"a.py": FILE, "gone.txt": "x"})
    assert applied.files == {
        "new/b.txt": "one\n\ntwo\n",
        "gone.txt": None,
        "a.py": None,
        "c.py": FILE.replace("def one", "def first"),
    }
    assert applied.moved == {"c.py": "a.py"}
    assert touched(parse(patch)) == ["new/b.txt", "gone.txt", "a.py", "c.py"]


def test_a_move_onto_itself_is_a_plain_update() -> None:
    patch = update("a.py", "*** Move to: a.py", "-    return 3", "+    return 2")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_one_hunk_that_does_not_fit_leaves_every_file_as_it_was() -> None:
    patch = """*** Begin Patch
*** Add File: b.py
+x
*** Update File: a.py
@@
-    return 1
+    return 10
@@
-    return 4
+    return 2
*** End Patch"""
    with pytest.raises(PatchError, match=r"Hunk 2 of a\.py does not fit") as caught:
        patched(patch, {"a.py": FILE})
    assert "Send the patch again" in str(caught.value) or "Read the file again" in str(caught.value)


def test_a_misfit_shows_the_nearest_lines() -> None:
    patch = update("a.py", " def two():", "-    return 4", "+    return 2")
    with pytest.raises(PatchError, match=r"from line 5, are\ndef two\(\):\n    return 3"):
        patched(patch, {"a.py": FILE})


def test_hunks_out_of_order_are_told_so() -> None:
    patch = update("a.py", "-    return 3", "+    return 2", "@@", "-    return 1", "+    return 0")
    with pytest.raises(PatchError, match="above an earlier hunk"):
        patched(patch, {"a.py": FILE})


def test_additions_under_a_context_line_go_below_it() -> None:
    patch = update("a.py", "@@ def one():", "+    # first")
    assert patched(patch, {"a.py": FILE})["a.py"] == FILE.replace("one():\n", "one():\n    # first\n")


def test_additions_without_any_context_go_to_the_end() -> None:
    assert patched(update("a.py", "+# end"), {"a.py": FILE})["a.py"] == FILE + "# end\n"
    assert (
        patched(update("a.py", "@@ def one():", "+# end", "*** End of File"), {"a.py": FILE})["a.py"]
        == FILE + "# end\n"
    )


def test_end_of_file_prefers_the_last_place_and_falls_back() -> None:
    twice = "x\ny\nx\ny\n"
    assert patched(update("a", "@@", " x", "-y", "+z", "*** End of File"), {"a": twice})["a"] == "x\ny\nx\nz\n"
    assert patched(update("a", "@@", "-x", "+z", "*** End of File"), {"a": "x\ny\n"})["a"] == "z\ny\n"


@pytest.mark.parametrize(
    ("present", "sought"),
    [
        ("value = 1   \n", "value = 1"),
        ("    value = 1\n", "value = 1"),
        ("say(\u201chi\u201d)\u00a0# \u2014\n", 'say("hi") # -'),
    ],
)
def test_differences_that_models_make_are_ignored_and_said(present: str, sought: str) -> None:
    applied = apply(parse(update("a", f"-{sought}", "+new")), {"a": present})
    assert applied.files == {"a": "new\n"}
    assert "ignored" in applied.notes[0]


def test_context_stays_as_the_file_has_it() -> None:
    patch = update("a", " one", "-two", "+2", " three")
    assert patched(patch, {"a": "one  \ntwo\n\tthree\n"}) == {"a": "one  \n2\n\tthree\n"}


def test_crlf_files_keep_their_line_ending() -> None:
    patch = update("a", " one", "-two", "+2", "+2b", " three")
    assert patched(patch, {"a": "one\r\ntwo\r\nthree\r\n"}) == {"a": "one\r\n2\r\n2b\r\nthree\r\n"}
    assert patched(update("a", "@@", "+four"), {"a": "one\r\n"}) == {"a": "one\r\nfour\r\n"}


def test_the_last_newline_is_kept_as_it_was_or_as_the_marker_says() -> None:
    assert patched(update("a", "-b", "+c"), {"a": "a\nb"}) == {"a": "a\nc"}
    assert patched(update("a", "-b", "\\ No newline at end of file", "+c"), {"a": "a\nb"}) == {"a": "a\nc\n"}
    assert patched(update("a", "-b", "+c", "\\ No newline at end of file"), {"a": "a\nb\n"}) == {"a": "a\nc"}


@pytest.mark.parametrize(
    "wrapped",
    [
        "apply_patch <<'EOF'\n{}\nEOF",
        "```\n{}\n```",
        "\n  {}\n\n",
        "{}\n",
    ],
)
def test_wrappers_and_padding_are_taken_off(wrapped: str) -> None:
    patch = update("a.py", "-    return 3", "+    return 2")
    assert patched(wrapped.format(patch), {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_a_patch_with_crlf_line_ends_is_read_as_one_without() -> None:
    patch = update("a.py", "-    return 3", "+    return 2").replace("\n", "\r\n") + "\r\n"
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_unified_headers_are_taken_as_a_bare_one() -> None:
    patch = update("a.py", "@@ -5,2 +5,2 @@ def two():", "-    return 3", "+    return 2")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_a_header_repeated_as_context_is_found() -> None:
    patch = update("a.py", "@@ def two():", " def two():", "-    return 3", "+    return 2")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_blank_lines_before_the_next_marker_do_not_stand_in_the_way() -> None:
    patch = update("a.py", "-    return 3", "+    return 2", "", "")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_an_empty_line_behind_the_last_one_is_where_the_model_thinks_it_is() -> None:
    assert patched(update("a", "@@", " x", " ", "+y"), {"a": "w\nx\n"}) == {"a": "w\nx\n\ny\n"}
    assert patched(update("a", "@@", " x", "+y", " "), {"a": "w\nx\n"}) == {"a": "w\nx\ny\n"}
    assert patched(update("a", "@@", "-x", "+y", " "), {"a": "w\nx\nz\n"}) == {"a": "w\ny\nz\n"}
    assert patched(update("a", "@@", " ", "+y"), {"a": ""}) == {"a": "\ny\n"}
    with pytest.raises(PatchError, match="does not fit"):
        patched(update("a", "@@", " x", " ", "+y"), {"a": "w\nx"})


def test_additions_without_a_place_do_not_hold_up_what_follows() -> None:
    patch = update("a.py", "+# end", "@@", "-    return 3", "+    return 2")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2") + "# end\n"}


def test_empty_lines_between_parts_are_no_hunks() -> None:
    patch = update("a.py", "", "@@", "-    return 3", "+    return 2", "*** End of File", "", "")
    assert patched(patch, {"a.py": FILE}) == {"a.py": FILE.replace("3", "2")}


def test_a_file_may_be_deleted_and_written_anew_in_one_patch() -> None:
    patch = "*** Begin Patch\n*** Delete File: a\n*** Add File: a\n+new\n*** End Patch"
    assert patched(patch, {"a": "old\n"}) == {"a": "new\n"}


@pytest.mark.parametrize(
    ("patch", "files", "remedy"),
    [
        ("", {}, "no line `\\*\\*\\* Begin Patch`"),
        ("*** Begin Patch\n*** Add File: a\n+x", {}, "cut short"),
        ("*** Begin Patch\n*** End Patch", {}, "changes no file"),
        ("*** Begin Patch\nhello\n*** End Patch", {}, "belongs to no file"),
        ("*** Begin Patch\n*** Add File: a\nx\n*** End Patch", {}, "begins with `\\+`"),
        ("*** Begin Patch\n*** Add File: a\n+x\n*** End Patch", {"a": ""}, "exists already"),
        ("*** Begin Patch\n*** Add File: a/b\n+x\n*** End Patch", {"a": ""}, "a is a file"),
        ("*** Begin Patch\n*** Delete File: a\n*** End Patch", {}, "does not exist"),
        (update("a", "-x", "+y"), {}, "does not exist"),
        (update("a", "x"), {"a": "x\n"}, "begins with neither"),
        (update("a", "-x", "+y") + "\n+z", {"a": "x\n"}, "stands below"),
        (update("a", " x"), {"a": "x\n"}, "changes nothing"),
        (update("a", "*** Move to: b"), {"a": "x", "b": "y"}, "exists already"),
        (update("a", "@@ nowhere", "-x", "+y"), {"a": "x\n"}, "no line `nowhere`"),
    ],
)
def test_refusals_say_what_to_send_instead(patch: str, files: dict[str, str], remedy: str) -> None:
    with pytest.raises(PatchError, match=remedy):
        patched(patch, files)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", ".git/config", "a/.GIT/hooks/x", "a/", "", "a\tb", "./", "a\x7f"]
)
def test_paths_that_lead_astray_are_refused(path: str) -> None:
    with pytest.raises(PatchError):
        check_path(path)


def test_paths_are_made_relative() -> None:
    assert check_path("./a//b.py") == "a/b.py"
    assert check_path("/workspace/a.py") == "a.py"


LINES = st.lists(
    st.sampled_from(["a", "b", "", " a", "a ", "@@ x", "*** End of File", "+x", "-x", "\ta", "a\r", "\u2014"]),
    max_size=12,
)


def texts() -> st.SearchStrategy[str]:
    return st.builds(
        lambda lines, newline: "\n".join(lines) + ("\n" if newline and lines else ""), LINES, st.booleans()
    )


def written(old: str, new: str, context: int) -> str:
    """An edit as a patch, the way a careful model writes it; context below 0: all of the file."""
    before, after = (old.split("\n"), new.split("\n"))
    before, after = (
        [line + "\n" for line in lines[:-1]] + [line for line in lines[-1:] if line] for lines in (before, after)
    )
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    lines: list[str] = []

    def write(kind: str, text: str) -> None:
        lines.append(kind + text.removesuffix("\n"))
        if not text.endswith("\n"):
            lines.append("\\ No newline at end of file")

    for group in [matcher.get_opcodes()] if context < 0 else matcher.get_grouped_opcodes(context):
        lines.append("@@")
        for tag, i1, i2, j1, j2 in group:
            for text in before[i1:i2]:
                write(" " if tag == "equal" else "-", text)
            for text in after[j1:j2] if tag != "equal" else ():
                write("+", text)
        if group[-1][2] == len(before):
            lines.append("*** End of File")
    return update("f", *lines)


@settings(max_examples=400, deadline=None)
@given(texts(), texts())
@example("a\na", "a\na\n")
def test_any_edit_written_as_a_patch_applies_to_what_the_edit_gives(old: str, new: str) -> None:
    if old != new:
        assert patched(written(old, new, -1), {"f": old}) == {"f": new}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40), st.data())
def test_edits_of_unique_lines_apply_with_little_context(letters: list[str], data: st.DataObject) -> None:
    old = [f"{letter}{number}" for number, letter in enumerate(letters)]
    new = list(old)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(new) - 1))
        match data.draw(st.sampled_from(["drop", "change", "insert"])):
            case "drop" if len(new) > 1:
                new.pop(at)
            case "insert":
                new.insert(at, "inserted")
            case _:
                new[at] = "changed"
    before, after = "\n".join(old) + "\n", "\n".join(new) + "\n"
    if before != after:
        assert patched(written(before, after, 1), {"f": before}) == {"f": after}


PIECES = st.sampled_from(
    """*** Begin Patch|*** End Patch|*** Add File: f|*** Update File: f|*** Delete File: f|*** Move to: g
    |*** End of File|@@|@@ a|+a|-a| a||a|\\ No newline at end of file|*** Add File: g/h|@@ -1 +1 @@""".replace(
        "\n    ", ""
    ).split("|")
)


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(
        st.text(), st.lists(PIECES, max_size=14).map(lambda ls: "\n".join(["*** Begin Patch", *ls, "*** End Patch"]))
    ),
    texts(),
)
def test_no_input_crashes_it_or_changes_what_it_was_given(patch: str, text: str) -> None:
    files = {"f": text}
    try:
        result = patched(patch, files)
    except PatchError:
        pass
    else:
        assert all(path in ("f", "g", "g/h") for path in result)
    assert files == {"f": text}
