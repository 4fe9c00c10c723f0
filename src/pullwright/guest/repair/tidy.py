"""Edits put into files, and what tests left in the workspace removed."""

from __future__ import annotations

import json
import os
from typing import Any

from .source import Edit, applied, editable

_INVENTORY = "inventory.json"


def _walk(root: str) -> dict[str, list[int]]:
    found = {}
    for folder, folders, files in os.walk(root):
        if folder == root and ".git" in folders:
            folders.remove(".git")
        for name in files:
            path = os.path.join(folder, name)
            try:
                stat = os.lstat(path)
            except OSError:
                continue
            found[os.path.relpath(path, root)] = [stat.st_size, stat.st_mtime_ns]
    return found


def remember(root: str, home: str) -> None:
    """Write down which files are there before tests run."""
    with open(os.path.join(home, _INVENTORY), "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(_walk(root), file)


def tidy(root: str, home: str, keep: list[str]) -> None:
    """Remove files that tests made and put back those that they changed, but for the paths in `keep`."""
    try:
        with open(os.path.join(home, _INVENTORY), encoding="utf-8", errors="surrogateescape") as file:
            before = json.load(file)
    except (OSError, ValueError):
        return
    now = _walk(root)
    for path in now:
        if path not in before and path not in keep:
            os.unlink(os.path.join(root, path))
            _drop_empty(root, os.path.dirname(path))
    changed = [path for path, stat in before.items() if now.get(path) != stat and path not in keep]
    for at in range(0, len(changed), 200):
        os.spawnvp(os.P_WAIT, "git", ["git", "-C", root, "checkout-index", "-f", "-q", "--", *changed[at : at + 200]])


def _drop_empty(root: str, folder: str) -> None:
    while folder:
        try:
            os.rmdir(os.path.join(root, folder))
        except OSError:
            return
        folder = os.path.dirname(folder)


def apply(root: str, changes: list[dict[str, Any]]) -> str:
    """Make edits in files, each with the text that it replaces; the reason why not, or nothing."""
    for change in changes:
        path = os.path.join(root, change["path"])
        if editable(path, root) is None:
            return "%s is not a file to edit" % change["path"]
        with open(path, "rb") as file:
            data = file.read()
        edits = []
        for edit in change["edits"]:
            if data[edit["start"] : edit["end"]] != edit["old"].encode():
                return "%s is not as it was when the edit was found" % change["path"]
            edits.append(Edit(edit["start"], edit["end"], edit["new"]))
        with open(path, "r+b") as file:
            file.write(applied(data, tuple(edits)))
            file.truncate()
    return ""
