"""A map of a repository that fits a budget: the definitions that matter most, and most of all to what a task names.

Files are ranked by PageRank over who uses whose definitions, personalised by the files and names that the task speaks
of, as aider's repository map does it (https://aider.chat/docs/repomap.html); a definition's share of its file's rank
goes by how many files use its name.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pullwright.code.index.extract import Definition
from pullwright.code.index.snapshot import Snapshot
from pullwright.code.index.touched import is_test

CHARACTERS = 3.6  # of one token of code, about
_AMBIGUOUS = 3  # a name with more definitions than this says little about who uses whom
_DAMPING = 0.85
_ROUNDS = 25
_SETTLED = 0.005  # of all rank moves in a round: what moves after that changes no order that anybody sees
_FILES = 150  # ranked files whose definitions are looked at
_PER_FILE = 12  # definitions shown of a file that the task does not name
_SAME = 5  # definitions shown of one name
_WORD = re.compile(r"[A-Za-z_$][\w$]{2,}")
_KINDS = {
    "variable": 0.3,
    "constant": 0.3,
    "class": 3.0,
    "interface": 3.0,
    "enum": 2.0,
    "function": 2.0,
    "method": 1.0,
    "type": 1.5,
    "macro": 1.0,
}

# Words that are names in nearly every program and therefore name nothing.
_COMMON_WORDS = """
add all and any are back bug but call can change class code could data def does error fail fails file files fix for from
function get has have help import into issue key line list main make method module name need new not now out path please
pass return run self set should string task test tests that the then there this type use used user value want was when
where which while why will with work write you
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_NAMELESS = ("__init__", "index", "mod", "lib", "main")  # files that are called after their folder


@dataclass(frozen=True)
class Mentions:
    """What a text names of a tree."""

    files: frozenset[str]
    names: frozenset[str]


def mentions(snapshot: Snapshot, text: str) -> Mentions:
    """The files and names of the tree that a text speaks of."""
    words = {word for word in _WORD.findall(text) if word.lower() not in _COMMON}
    given = {piece.strip(".,:;()'\"`") for piece in re.findall(r"[\w./\\-]+", text)}
    stems = {word for word in words if len(word) > 3}
    tails = tuple(f"/{piece}" for piece in given if "/" in piece)
    files = set()
    for path in snapshot.files:
        name = path.rsplit("/", 1)[-1]
        stem = name.split(".")[0]
        by_stem = stem in stems and stem not in _NAMELESS
        if path in given or name in given or by_stem or (tails and path.endswith(tails)):
            files.add(path)
    return Mentions(frozenset(files), frozenset(words))


def weights(snapshot: Snapshot) -> dict[str, dict[str, float]]:
    """Who uses whose definitions, and how much: by user, then by definer. Only names with few definitions count."""
    by_file = snapshot.by_file
    definers: dict[int, list[int]] = defaultdict(list)
    for name, file in snapshot.shelf.defined_in(by_file):
        definers[name].append(file)
    telling = {name: files for name, files in definers.items() if len(files) <= _AMBIGUOUS}
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for name, user, size in snapshot.shelf.used_by(telling):
        if user not in by_file:
            continue
        for definer in telling[name]:
            if definer != user:
                found[by_file[user][0]][by_file[definer][0]] += math.sqrt(size) / len(telling[name])
    return {user: dict(targets) for user, targets in found.items()}


def page_rank(
    nodes: Collection[str], links: Mapping[str, Mapping[str, float]], personal: Mapping[str, float]
) -> dict[str, float]:
    """Personalised PageRank by power iteration (Page, Brin, Motwani, Winograd 1999)."""
    total = sum(personal.values())
    start = {node: personal.get(node, 0.0) / total if total else 1.0 / len(nodes) for node in nodes}
    sums = {node: sum(links[node].values()) for node in nodes if links.get(node)}
    rank = dict(start)
    for _ in range(_ROUNDS):
        loose = sum(value for node, value in rank.items() if node not in sums)
        fresh = {node: (1 - _DAMPING + _DAMPING * loose) * share for node, share in start.items()}
        for node, weight in sums.items():
            part = _DAMPING * rank[node] / weight
            for target, share in links[node].items():
                fresh[target] += part * share
        moved = sum(abs(fresh[node] - value) for node, value in rank.items())
        rank = fresh
        if moved < _SETTLED:
            break
    return rank


def render(snapshot: Snapshot, links: Mapping[str, Mapping[str, float]], text: str, tokens: int) -> str:
    """The map for a task's words, at most about `tokens` tokens long."""
    if not snapshot.files:
        return ""
    named = mentions(snapshot, text)
    personal = _personal(snapshot, named)
    rank = page_rank(snapshot.files, links, personal)
    best = sorted(rank, key=lambda path: (path not in named.files, -rank[path]))[:_FILES]
    outlines = snapshot.shelf.outlines([snapshot.files[path].id for path in best])
    defined = {path: outlines.get(snapshot.files[path].id, []) for path in best}
    counts = snapshot.shelf.counts({one.name for found in defined.values() for one in found})
    scored = []
    for path in best:
        # Of overloads the last is the one that does the work.
        last = {(one.container, one.name): one for one in defined[path]}
        shown = sorted(last.values(), key=lambda one: -_worth(one, counts, named))
        take = len(shown) if path in named.files else _PER_FILE
        for one in shown[:take]:
            if one.kind in _KINDS:
                boost = (20.0 if one.name in named.names else 1.0) * (5.0 if path in named.files else 1.0)
                scored.append((rank[path] * _worth(one, counts, named) * boost, path, one))
    scored.sort(key=lambda item: -item[0])
    return _fitted(scored, named.files, int(tokens * CHARACTERS))


def _personal(snapshot: Snapshot, named: Mentions) -> dict[str, float]:
    """Where a reader starts: at what is named, and a little everywhere else, at tests least."""
    count = len(snapshot.files)
    personal = {path: (0.1 if is_test(path) else 1.0) / count for path in snapshot.files}
    for path in named.files:
        personal[path] += 3.0
    for name in named.names:
        holders = {
            path
            for file, one in snapshot.shelf.definitions(name)
            if one.kind != "declaration"
            for path in snapshot.by_file.get(file, ())
        }
        for path in holders if len(holders) <= 20 else ():
            personal[path] += 2.0 / len(holders)
    return personal


def _worth(one: Definition, counts: Mapping[str, int], named: Mentions) -> float:
    worth = _KINDS.get(one.kind, 0.5) * math.sqrt(1 + counts.get(one.name, 0))
    if one.name.startswith("_"):
        worth *= 0.2
    if one.kind in ("method", "field"):  # a common method's uses are mostly of others
        worth *= 0.3
    return worth * (10.0 if one.name in named.names else 1.0)


def _fitted(scored: Iterable[tuple[float, str, Definition]], first: Collection[str], room: int) -> str:
    """As many definitions, best first, as there is room for; shown file by file, in the order of the lines."""
    chosen: dict[str, list[Definition]] = {}
    same: dict[str, int] = defaultdict(int)
    for _, path, one in scored:
        same[one.name] += 1
        if same[one.name] > _SAME:
            continue
        cost = len(_line(one)) + 1 + (0 if path in chosen else len(path) + 2)
        if cost > room:
            break
        room -= cost
        chosen.setdefault(path, []).append(one)
    lines = []
    for path, found in sorted(chosen.items(), key=lambda item: item[0] not in first):
        lines.append(f"{path}:")
        lines += [_line(one) for one in sorted(found, key=lambda one: one.line)]
    return "\n".join(lines)


def _line(one: Definition) -> str:
    depth = min(one.container.count(".") + 1, 3) if one.container else 0
    return f"{one.line:>5} {'  ' * depth}{one.text[:110]}"
