"""Git's progress lines in the words that a person reads."""

import re
from collections.abc import Callable
from dataclasses import dataclass

# "Receiving objects:  45% (150/333), 1.20 MiB | 512.00 KiB/s", with "remote: " before what the far side does.
_LINE = re.compile(
    r"(?:remote: )?(?P<what>[A-Z][A-Za-z ]+): +(?P<percent>\d+)% \((?P<done>\d+)/(?P<total>\d+)\)(?:, (?P<rest>.*))?"
)
_COUNTED = re.compile(r"(?:remote: )?(?P<what>[A-Z][A-Za-z ]+): (?P<done>\d+)(?:, done\.)?")
_BYTES = re.compile(r"([0-9.]+) (bytes|KiB|MiB|GiB)")
_UNITS = ("bytes", "KiB", "MiB", "GiB")
_WORDS = {
    "Enumerating objects": "the far side looks for what is new",
    "Counting objects": "the far side counts what is new",
    "Compressing objects": "the far side packs",
    "Receiving objects": "receiving",
    "Resolving deltas": "unpacking",
    "Updating files": "writing files",
}


@dataclass(frozen=True)
class Progress:
    """How far a transfer is."""

    what: str  # git's own name of the stage
    done: int
    total: int | None
    rest: str = ""  # bytes and speed, as git writes them

    @property
    def receiving(self) -> bool:
        """Whether objects are coming in, so that `total` is the number of all of them."""
        return self.what == "Receiving objects"

    def bytes(self) -> int:
        """How many bytes have come in, as far as git says; 0 where it does not."""
        match = _BYTES.match(self.rest)
        return int(float(match[1]) * 1024 ** _UNITS.index(match[2])) if match else 0

    def words(self) -> str:
        """One line for a person."""
        said = _WORDS.get(self.what, self.what.lower())
        if self.total is None:
            return f"{said}: {self.done:,}"
        share = f"{100 * self.done // max(self.total, 1)} % of {self.total:,} objects"
        return f"{said}: {share}" + (f", {self.rest}" if self.rest else "")


def parse(line: str) -> Progress | None:
    """A line of git's progress; None for anything else that git says."""
    if match := _LINE.match(line):
        rest = (match["rest"] or "").removesuffix(", done.").removesuffix("done.").replace(" | ", " at ")
        return Progress(match["what"], int(match["done"]), int(match["total"]), rest)
    if (match := _COUNTED.fullmatch(line)) and match["what"] in _WORDS:
        return Progress(match["what"], int(match["done"]), None)
    return None


def worded(name: str, on_progress: Callable[[str], None]) -> Callable[[str], None]:
    """A listener for git's lines that hands progress on in words, each at most once."""
    last = ""

    def listen(line: str) -> None:
        nonlocal last
        if progress := parse(line):
            text = f"fetching {name}: {progress.words()}"
            if text != last:
                last = text
                on_progress(text)

    return listen
