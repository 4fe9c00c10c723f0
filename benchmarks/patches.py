"""Our `apply_patch` beside another implementation of the format, on random patches: where do they differ?

scripts/bench patches PROGRAM [COUNT] [SEED]

PROGRAM applies the patch that is its only argument to the current directory; in development it was the binary of the
npm package `@openai/codex`, called under the name `apply_patch`. It is never installed or shipped by this project. What
came of it, and why, is in docs/apply_patch.md.
"""

import difflib
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from pullwright.engines.native.hunks import PatchError
from pullwright.engines.native.patch import apply, parse

Files = dict[str, bytes]
Case = tuple[str, Files]

WORDS = [
    "alpha",
    "beta",
    "gamma",
    "x = 1",
    "return x",
    "",
    "",
    "}",
    "    if x:",
    "\tdo()",
    "end",
    "caf\u00e9",
    "a \u2014 b",
]
LOOKALIKES = {"-": "\u2013", '"': "\u201c", "'": "\u2019", " ": "\u00a0"}


def a_text(dice: random.Random) -> list[str]:
    """A file, its lines all different or not."""
    unique = dice.random() < 0.5
    return [
        f"{dice.choice(WORDS)}{number if unique else ''}" + (" - 'q' \"r\"" if dice.random() < 0.1 else "")
        for number in range(dice.randint(1, 25))
    ]


def an_edit(dice: random.Random, lines: list[str]) -> list[str]:
    """One to three changes."""
    lines = list(lines)
    for _ in range(dice.randint(1, 3)):
        at = dice.randint(0, len(lines))
        match dice.choice(["drop", "change", "insert", "insert"]):
            case "drop" if at < len(lines) and len(lines) > 1:
                lines.pop(at)
            case "change" if at < len(lines):
                lines[at] = f"changed{dice.randint(0, 9)}"
            case _:
                lines.insert(at, f"new{dice.randint(0, 9)}")
    return lines


def hunks(dice: random.Random, old: list[str], new: list[str]) -> list[str]:
    """An edit as a careful model writes it."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    written: list[str] = []
    for number, group in enumerate(matcher.get_grouped_opcodes(dice.choice([1, 2, 3, 3]))):
        start = group[0][1]
        header = "@@"
        if start and dice.random() < 0.3:
            line = old[dice.randrange(start)]
            header = f"@@ {line}" if line.strip() else "@@"
        if number or dice.random() < 0.8 or header != "@@":
            written.append(header)
        for tag, i1, i2, j1, j2 in group:
            written += [f" {line}" if tag == "equal" else f"-{line}" for line in old[i1:i2]]
            written += [f"+{line}" for line in new[j1:j2]] if tag != "equal" else []
        if group[-1][2] == len(old) and dice.random() < 0.3:
            written.append("*** End of File")
    return written


def joined(lines: list[str], end: str = "\n", last: bool = True) -> bytes:
    """Lines as bytes."""
    return (end.join(lines) + (end if last and lines else "")).encode()


def patch(*lines: str) -> str:
    """A whole patch."""
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def careful(dice: random.Random) -> Case:
    """As a careful model writes it."""
    old = a_text(dice)
    new = an_edit(dice, old)
    return patch("*** Update File: f", *hunks(dice, old, new)), {"f": joined(old)}


def no_last_newline(dice: random.Random) -> Case:
    """The same for a file whose last line has no newline."""
    old = a_text(dice)
    return patch("*** Update File: f", *hunks(dice, old, an_edit(dice, old))), {"f": joined(old, last=False)}


def crlf(dice: random.Random) -> Case:
    """The same for a file with CR LF."""
    old = a_text(dice)
    written = hunks(dice, old, an_edit(dice, old))
    if dice.random() < 0.3:
        written = [line + "\r" if line[:1] in " +-" else line for line in written]
    return patch("*** Update File: f", *written), {"f": joined(old, "\r\n")}


def sloppy(dice: random.Random) -> Case:
    """Context with other spaces or look-alikes, padded markers, wrappers."""
    text, files = careful(dice)
    lines = text.split("\n")
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(lines))
        line = lines[at]
        match dice.choice(["trail", "lead", "lookalike", "pad", "wrap", "blank"]):
            case "trail":
                lines[at] = line + dice.choice([" ", "  ", "\t"])
            case "lead" if line[:1] in (" ", "-"):
                lines[at] = line[0] + "  " + line[1:]
            case "lookalike" if line[:1] in (" ", "-"):
                lines[at] = line[0] + "".join(LOOKALIKES.get(c, c) for c in line[1:])
            case "pad" if line.startswith("***"):
                lines[at] = f"  {line} "
            case "wrap":
                return "\n".join(
                    dice.choice([["<<'EOF'", *lines, "EOF"], ["", *lines, ""], ["<<EOF", *lines, "EOF"]])
                ), files
            case "blank":
                lines.insert(at, "")
            case _:
                pass
    return "\n".join(lines), files


def broken(dice: random.Random) -> Case:
    """A careful patch with lines lost, doubled, swapped or made up."""
    text, files = careful(dice)
    lines = text.split("\n")
    for _ in range(dice.randint(1, 2)):
        at = dice.randrange(len(lines))
        match dice.choice(["drop", "double", "swap", "invent"]):
            case "drop":
                lines.pop(at)
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = dice.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines.insert(
                    at, dice.choice(["hello", " hello", "-hello", "+hello", "@@ hello", "*** Hello", "*** End of File"])
                )
        if not lines:
            break
    return "\n".join(lines), files


def additions(dice: random.Random) -> Case:
    """Nothing but additions, below a line or not."""
    old = a_text(dice)
    named = [line for line in old if line.strip()] or ["none"]
    header = dice.choice(["@@", f"@@ {dice.choice(named)}", f"@@ {dice.choice(named)}"])
    tail = ["*** End of File"] if dice.random() < 0.3 else []
    return patch("*** Update File: f", header, "+one", "+two", *tail), {"f": joined(old)}


def several(dice: random.Random) -> Case:
    """Several files, some of which are not there, or there already; moves."""
    files = {name: joined(a_text(dice)) for name in ("f", "g", "d/h") if dice.random() < 0.8}
    lines: list[str] = []
    for _ in range(dice.randint(1, 4)):
        name = dice.choice(["f", "g", "d/h", "n", "d/m", "./f", "f/x"])
        match dice.choice(["add", "delete", "update", "move"]):
            case "add":
                lines += [f"*** Add File: {name}", "+first", "+second"]
            case "delete":
                lines.append(f"*** Delete File: {name}")
            case kind:
                old = files.get(name, b"one\ntwo\n").decode().split("\n")[:-1]
                lines.append(f"*** Update File: {name}")
                lines += [f"*** Move to: {dice.choice(['f', 'g', 'q', 'd/r', name])}"] if kind == "move" else []
                lines += hunks(dice, old, an_edit(dice, old)) if kind == "update" or dice.random() < 0.5 else []
    return patch(*lines), files


KINDS: dict[str, Callable[[random.Random], Case]] = {
    kind.__name__: kind for kind in (careful, no_last_newline, crlf, sloppy, broken, additions, several)
}


def ours(text: str, files: Files) -> Files | str:
    """What ours makes of it: all files afterwards, or why not."""
    present = {path: data.decode("utf-8", "surrogateescape") for path, data in files.items()}
    try:
        result = apply(parse(text), present).files
    except PatchError as error:
        return str(error)
    after = {**present, **result}
    return {path: data.encode("utf-8", "surrogateescape") for path, data in after.items() if data is not None}


def theirs(program: str, text: str, files: Files) -> tuple[bool, Files]:
    """Whether the other program applied it, and all files afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path, data in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(data)
        done = subprocess.run([program, text], cwd=root, capture_output=True, timeout=20, check=False)
        after = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        return done.returncode == 0, after


SAME, BOTH, HALF = "the same", "both refuse", "both refuse, theirs has written some of it"
MINE, THEIRS, DIFFER = "only ours applies", "only theirs applies", "both apply, differently"
REFUSALS = {
    "exists already": "an added file is there already, or a file is moved onto another",
    "changes nothing": "an update has neither `-` nor `+`",
    "stands below": "lines stand below `*** End Patch`",
    "is a file": "a file is to be a folder",
    "does not fit": "theirs leaves out the removal of an empty line that is not there",
}


def outcome(program: str, text: str, files: Files) -> tuple[str, str]:
    """How the two compare, and why they differ; `?` where nobody knows."""
    mine, (ok, after) = ours(text, files), theirs(program, text, files)
    if isinstance(mine, str):
        if not ok:
            return (BOTH, "") if after == files else (HALF, "theirs writes file by file, as far as it comes")
        return THEIRS, next((why for words, why in REFUSALS.items() if words in mine), "?")
    if not ok:
        return MINE, _too_strict(text)
    return (SAME, "") if mine == after else (DIFFER, _differs(text, mine, after))


def _differs(text: str, mine: Files, after: Files) -> str:
    lines = text.split("\n")
    if {path: data.rstrip(b"\n") for path, data in mine.items()} == {
        path: data.rstrip(b"\n") for path, data in after.items()
    }:
        return "theirs ends every file with a newline"
    if _onto_itself(lines):
        return "theirs deletes what is moved onto itself"
    for line, following in pairwise(lines):
        if line.startswith("@@ ") and following.startswith("+"):
            return "theirs puts additions below a `@@ line` at the end of the file"
    for index, line in enumerate(lines[:-2]):
        if line.startswith("@@") and lines[index + 1].strip() == "" and lines[index + 2].startswith("+"):
            return "theirs puts additions below the empty line behind the last one at the file's beginning"
        if line.startswith("*** Update") and lines[index + 1].startswith("+"):
            return "additions without a place and others at the end come in another order"
    return "?"


def _onto_itself(lines: list[str]) -> bool:
    return any(after == line.replace("Update File", "Move to") for line, after in pairwise(lines) if "Update" in line)


def _too_strict(text: str) -> str:
    lines = text.strip().split("\n")
    if _onto_itself(lines):
        return "theirs deletes what is moved onto itself"
    if any(line.startswith("@@ ") and following[1:] == line[3:] for line, following in pairwise(lines)):
        return "theirs does not find a `@@ line` that is repeated as context"
    marks = [line.strip() for line in lines if line.startswith("*** ") or not line.strip()]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("*** Move to") and following.startswith("*** "):
            return "theirs knows no move without a change"
    if any(first == "" and second.startswith("*** ") for first, second in pairwise(marks)):
        return "theirs refuses an empty line above a file"
    if any(marks.count(mark) > 1 for mark in ("*** Begin Patch", "*** End Patch")):
        return "theirs refuses a marker that is there twice"
    if lines[0].strip() not in ("*** Begin Patch", "<<EOF", "<<'EOF'") or lines[-1].strip() != "*** End Patch":
        return "theirs refuses other lines around the patch"
    if "*** End of File" in marks or any(
        first.startswith("@@") and second.startswith(("@@", "***")) for first, second in pairwise(lines)
    ):
        return "theirs refuses hunks without lines, and `*** End of File` between hunks"
    if any(line.startswith("*** Add File: ") and "/x" in line for line in lines):
        return "theirs cannot write below a file that the patch deletes further down"
    return "?"


def main() -> None:
    """Print the table."""
    program, count, seed = sys.argv[1], int((sys.argv[2:] or ["3000"])[0]), int((sys.argv[3:] or ["1"])[0])
    dice = random.Random(seed)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        name = list(KINDS)[number % len(KINDS)]
        what, why = outcome(program, *KINDS[name](dice))
        counts[name][what] += 1
        reasons[what, why] += 1
    columns = [SAME, BOTH, HALF, MINE, THEIRS, DIFFER]
    print("| patches | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, found in counts.items():
        print(f"| {name.replace('_', ' ')} | " + " | ".join(str(found[column]) for column in columns) + " |")
    print("\n| outcome | why | patches |\n|---|---|---|")
    for (what, why), number in sorted(reasons.items()):
        if why:
            print(f"| {what} | {why} | {number} |")


if __name__ == "__main__":
    main()
