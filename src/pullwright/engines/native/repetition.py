"""Telling when a model goes round in circles: the same calls with the same answers, again and again. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from pullwright.domain.transcript import ToolReturned
from pullwright.models.base import ToolCall

TELL = 3  # rounds after which the model is told
STOP = 6  # rounds after which its attempt ends
_LONGEST = 4  # turns of one round
_POLLS = 10  # so many times as patient where it only waits for a command

# What differs from run to run although nothing has changed.
_TIMES = re.compile(r"\b\d+(\.\d+)?\s*(ms|s|sec|secs|seconds?)\b|0x[0-9a-f]+")


def signature(calls: Sequence[ToolCall], returned: Mapping[str, ToolReturned]) -> str:
    """What a turn did and got, as one short word; run times do not count."""
    digest = hashlib.sha256()
    for call in calls:
        result = returned.get(call.id)
        text = _TIMES.sub("#", result.output.text) if result else ""
        for part in (call.name, _plain(call.arguments), text):
            digest.update(part.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()[:16]


def _plain(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def rounds(signatures: Sequence[str]) -> tuple[int, int]:
    """How many turns the shortest round has that the last turns repeat, and how often in a row they have made it."""
    best = (1, 1)
    for length in range(1, _LONGEST + 1):
        last = signatures[-length:]
        times = 0
        while len(last) == length and signatures[-length * (times + 1) :][:length] == last:
            if len(signatures) < length * (times + 1):
                break
            times += 1
        if times > best[1]:
            best = (length, times)
    return best


def note(signatures: Sequence[str], calls: Sequence[ToolCall]) -> str:
    """What the model is told after the last turn; empty where it does not repeat itself."""
    length, times = rounds(signatures)
    patience = _patience(calls)
    if times < TELL * patience or times % (TELL * patience):
        return ""
    what = "made the same call" if length == 1 else f"gone through the same {length} turns"
    return (
        f"You have {what} with the same answer {times} times in a row. Once more will not give anything else, and "
        f"after {STOP * patience} times the work is stopped. Do something different, or call `finish` and say what is "
        "in the way."
    )


def stopped(signatures: Sequence[str], calls: Sequence[ToolCall]) -> str | None:
    """Why the attempt ends here, if it goes round in circles after it was told."""
    length, times = rounds(signatures)
    if times < STOP * _patience(calls):
        return None
    names = ", ".join(dict.fromkeys(call.name for call in calls))
    what = f"the same call ({names})" if length == 1 else f"the same {length} turns (the last with {names})"
    return f"the model went round in circles: {what} with the same answer {times} times in a row, although it was told"


def _patience(calls: Sequence[ToolCall]) -> int:
    return _POLLS if calls and all(call.name == "write_stdin" for call in calls) else 1
