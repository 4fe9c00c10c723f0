"""Edits that turn out not to be needed, taken back."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pullwright.engines.repair.confirm import backward
from pullwright.engines.repair.findings import FoundChange

Apply = Callable[[list[dict[str, Any]]], Awaitable[str]]


async def needed(
    changes: Sequence[FoundChange], apply: Apply, green: Callable[[], Awaitable[bool]]
) -> list[FoundChange]:
    """The edits that the checks need, oldest first, with the others taken back in the workspace.

    `changes` are in the order in which they were made; each counts bytes in the file as it was then.
    """
    kept = list(changes)
    at = 0
    while at < len(kept) - 1:
        undo = _moved(backward(kept[at]), kept[at + 1 :])
        if undo is None or await apply([undo]):
            at += 1
        elif await green():
            kept = kept[:at] + [_before(kept[at], later) for later in kept[at + 1 :]]
        else:
            await apply([_redo(undo)])
            at += 1
    return kept


def _moved(undo: dict[str, Any], later: Sequence[FoundChange]) -> dict[str, Any] | None:
    """An undo with its places as they are after later edits of the same file; None where those touch it."""
    pieces = [dict(piece) for piece in undo["edits"]]
    for change in later:
        if change.path != undo["path"]:
            continue
        for piece in pieces:
            shift = 0
            for other in change.edits:
                if other.end <= piece["start"]:
                    shift += len(other.new.encode()) - (other.end - other.start)
                elif other.start < piece["end"]:
                    return None
            piece["start"] += shift
            piece["end"] += shift
    return {"path": undo["path"], "edits": pieces}


def _redo(undo: dict[str, Any]) -> dict[str, Any]:
    """The edit that makes an undo undone."""
    pieces, shift = [], 0
    for piece in sorted(undo["edits"], key=lambda one: int(one["start"])):
        start = piece["start"] + shift
        new = piece["new"].encode()
        pieces.append({"start": start, "end": start + len(new), "old": piece["new"], "new": piece["old"]})
        shift += len(new) - (piece["end"] - piece["start"])
    return {"path": undo["path"], "edits": pieces}


def _before(gone: FoundChange, later: FoundChange) -> FoundChange:
    """A later edit with its places as they are now that an earlier one is gone."""
    if later.path != gone.path:
        return later
    pieces = []
    for piece in later.edits:
        shift = 0
        for other in gone.edits:
            if other.start + shift <= piece.start:
                shift += len(other.new.encode()) - (other.end - other.start)
        pieces.append(piece.model_copy(update={"start": piece.start - shift, "end": piece.end - shift}))
    return later.model_copy(update={"edits": pieces})
