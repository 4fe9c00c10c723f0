"""The command: reads a job, does it, tells what it found in lines of JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any

from . import tidy
from .channel import Channel
from .edits import Candidate, candidates, ordered
from .source import SourceFile, Unit, read

_MOST_UNITS = 24
_MOST_PASSING = 400
_MOST_FAILING = 200
_MOST_CANDIDATES = 60_000


def main(home: str, name: str) -> None:
    """Do the job in the file `name` of the folder `home`."""
    with open(os.path.join(home, name), encoding="utf-8") as file:
        job: dict[str, Any] = json.load(file)
    root = os.path.realpath(job["root"])
    if not job.get("module", True) and sys.path[:1] == [""]:
        del sys.path[0]
    channel = Channel()
    try:
        if job["mode"] == "apply":
            channel.tell("applied", problem=tidy.apply(root, job["changes"]))
        elif job["mode"] == "tidy":
            tidy.tidy(root, home, job["keep"])
        else:
            tidy.remember(root, home)
            try:
                _with_pytest(job, root, channel)
            finally:
                tidy.tidy(root, home, job["keep"])
    except BaseException:  # noqa: BLE001 - the edge of the process: whatever it is, the host is told
        channel.tell("fault", text=traceback.format_exc()[-2000:])
    channel.tell("end")
    os._exit(0)


def _with_pytest(job: dict[str, Any], root: str, channel: Channel) -> None:
    try:
        session = importlib.import_module(".session", __package__)
    except ImportError as error:
        channel.tell("no-pytest", text=str(error)[:300])
        return
    act = _survey if job["mode"] == "survey" else _search
    done = session.start(job["arguments"], lambda one: act(one, job, root, channel))
    if not done.started:
        channel.tell("not-collected", exit=done.exit_code, errors=done.collection_errors[:20])


class _Ticker:
    """Tells progress at most once a second."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._last = 0.0

    def tick(self, done: int, total: int, until: float, number: int = 0) -> None:
        now = time.monotonic()
        if now - self._last >= 1.0:
            self._last = now
            left = round(max(0.0, until - now), 1)
            self._channel.tell("progress", done=done, total=total, left=left, number=number)


def _survey(session: Any, job: dict[str, Any], root: str, channel: Channel) -> None:
    survey = importlib.import_module(".survey", __package__)
    ticker, began = _Ticker(channel), time.monotonic()
    total, found = len(session.items), survey.Survey()
    until = began + job["budget"] * 0.45
    survey.baseline(session, found, until, job["test_seconds"], lambda done: ticker.tick(done, total, until))
    failing = found.failing()
    if failing:
        slow = [at for at in failing if found.results[at]["slow"]]
        quick = [at for at in failing if at not in slow][:60]
        survey.traced(session, found, quick, root, until, 5.0)
        survey.traced(session, found, slow[:2], root, until + 6, 1.0)
        files = {str(session.items[at].nodeid).split("::")[0] for at in failing}
        near = sorted(found.passing(), key=lambda at: (str(session.items[at].nodeid).split("::")[0] not in files, at))
        survey.traced(session, found, near[:_MOST_PASSING], root, time.monotonic() + job["budget"] * 0.15, 5.0)
    channel.tell("survey", **_surveyed(session, found, survey.suspicion(found, root), root))


def _surveyed(session: Any, found: Any, suspicion: dict[tuple[str, int], float], root: str) -> dict[str, Any]:
    nodes = [str(item.nodeid) for item in session.items]
    failing, passing = found.failing()[:_MOST_FAILING], found.passing()[:_MOST_PASSING]
    units = []
    for score, unit in _suspects(suspicion, root)[:_MOST_UNITS]:
        inside = {(unit.file.path, line) for line in range(unit.first, unit.last + 1)}
        body = {place for place in inside if place[1] > unit.node.lineno} or inside
        units.append(
            {
                "path": unit.file.path,
                "name": unit.qualname,
                "first": unit.first,
                "score": round(score, 4),
                "module": _module(unit.file),
                "failing": [index for index, at in enumerate(failing) if found.lines.get(at, body) & body],
                "passing": [index for index, at in enumerate(passing) if found.lines.get(at, set()) & body],
                "lines": [[line, round(value, 4)] for (_, line), value in _of(suspicion, inside)],
                "types": _types(found.types, unit),
            }
        )
    return {
        "tests": len(nodes),
        "ran": len(found.results),
        "failed": len(found.failing()),
        "failing": [
            {
                "id": nodes[at],
                "message": found.results[at]["message"],
                "seconds": round(found.results[at]["seconds"], 4),
                "slow": found.results[at]["slow"],
            }
            for at in failing
        ],
        "passing": [[nodes[at], round(found.results[at]["seconds"], 4)] for at in passing],
        "errors": session.collection_errors[:20],
        "units": units,
    }


def _of(suspicion: dict[tuple[str, int], float], places: set[tuple[str, int]]) -> list[tuple[tuple[str, int], float]]:
    return sorted((place, suspicion[place]) for place in places if place in suspicion)


def _suspects(suspicion: dict[tuple[str, int], float], root: str) -> list[tuple[float, Unit]]:
    """Functions with suspicious lines, the most suspicious first."""
    found = []
    for path in sorted({place[0] for place in suspicion}):
        file = read(root, path)
        for unit in file.functions() if file is not None else ():
            scores = [suspicion.get((path, line), 0.0) for line in range(unit.first, unit.last + 1)]
            if max(scores) > 0:
                found.append((max(scores), unit))
    found.sort(key=lambda pair: (-pair[0], pair[1].file.path, pair[1].first))
    return found


def _types(types: dict[str, dict[str, set[str]]], unit: Unit) -> dict[str, list[str]]:
    merged: dict[str, set[str]] = {}
    for place, names in types.items():
        path, _, line = place.rpartition(":")
        if path == unit.file.path and unit.first <= int(line) <= unit.last:
            for name, kinds in names.items():
                merged.setdefault(name, set()).update(kinds)
    return {name: sorted(kinds)[:6] for name, kinds in sorted(merged.items())[:80]}


def _module(file: SourceFile) -> str:
    for name, module in sorted(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and name != "__main__" and os.path.realpath(path) == file.real:
            return name
    return ""


def _search(session: Any, job: dict[str, Any], root: str, channel: Channel) -> None:
    search = importlib.import_module(".search", __package__)
    until = time.monotonic() + job["budget"]
    survey = job["survey"]
    position = {str(item.nodeid): at for at, item in reversed(list(enumerate(session.items)))}
    failing = [position[one["id"]] for one in survey["failing"] if one["id"] in position]
    slow = [position[one["id"]] for one in survey["failing"] if one["slow"] and one["id"] in position]
    usual = {position[node]: seconds for node, seconds in survey["passing"] if node in position}
    usual.update({position[one["id"]]: one["seconds"] for one in survey["failing"] if one["id"] in position})
    usual.update(dict.fromkeys(slow, 0.0))
    passing = [position[node] for node, _ in survey["passing"] if node in position]
    generating = time.monotonic() + job["budget"] * 0.25
    found: list[Candidate] = []
    plans: dict[int, Any] = {}
    suspicion: dict[tuple[str, int], float] = {}
    for entry in survey["units"]:
        unit = _unit(root, entry)
        if unit is None:
            continue
        _load(entry["module"])
        touching = [position[node] for node in _ids(survey["failing"], entry["failing"]) if node in position]
        covering = [position[node] for node in _ids(survey["passing"], entry["passing"]) if node in position]
        checks = [*covering, *(at for at in passing if at not in covering)]
        plans[id(unit)] = search.plan(session, failing, slow, touching, checks, usual)
        suspicion.update({(unit.file.path, line): score for line, score in entry["lines"]})
        found.extend(candidates(unit, entry["types"], {line for line, _ in entry["lines"]}, generating))
    ranked = ordered(found, suspicion)[:_MOST_CANDIDATES]
    server = search.Search(session, ranked, plans, usual)
    ticker = _Ticker(channel)
    resume = (job["pass"], job["cleared"])
    total = len(ranked)
    best = search.hunt(server, job["skip"], resume, until, lambda number, done: ticker.tick(done, total, until, number))
    if best is not None:
        channel.tell("hit", **_hit(session, server, best))
    words = [verdict.word for verdict in server.verdicts.values()]
    channel.tell(
        "searched",
        tried=server.tried(),
        total=len(ranked),
        counts={word: words.count(word) for word in sorted(set(words))},
        functions=len(plans),
    )


def _ids(tests: list[Any], chosen: list[int]) -> list[str]:
    """The names of tests given by their numbers."""
    return [tests[at]["id"] if isinstance(tests[at], dict) else tests[at][0] for at in chosen]


def _load(module: str) -> None:
    if module and module not in sys.modules:
        try:
            importlib.import_module(module)
        except BaseException:  # noqa: BLE001 - somebody's module may raise anything; its functions stay unswapped
            return


def _unit(root: str, entry: dict[str, Any]) -> Unit | None:
    file = read(root, entry["path"])
    for unit in file.functions() if file is not None else ():
        if unit.qualname == entry["name"] and unit.first == entry["first"]:
            return unit
    return None


def _hit(session: Any, server: Any, index: int) -> dict[str, Any]:
    verdict = server.verdicts[index]
    others = [
        at
        for at, other in sorted(server.verdicts.items())
        if at != index and other.word == verdict.word and len(other.fixed) == len(verdict.fixed)
    ]
    return {
        "index": index,
        "full": verdict.word == "full",
        "fixed": [str(session.items[at].nodeid) for at in verdict.fixed],
        "change": _change(server.candidates[index]),
        "others": [_change(server.candidates[at]) for at in others[:5]],
        "others_count": len(others),
    }


def _change(candidate: Candidate) -> dict[str, Any]:
    data = candidate.unit.file.data
    return {
        "path": candidate.unit.file.path,
        "function": candidate.unit.qualname,
        "line": candidate.line,
        "rule": candidate.rule,
        "edits": [
            {"start": edit.start, "end": edit.end, "old": data[edit.start : edit.end].decode(), "new": edit.text}
            for edit in sorted(candidate.edits)
        ],
    }
