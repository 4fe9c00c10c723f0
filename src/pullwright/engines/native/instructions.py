"""The repository's own instructions: AGENTS.md from the root down to where the work is, and its skills.

In each folder the first of AGENTS.override.md, AGENTS.md and CLAUDE.md counts (https://agents.md; the override is Codex
CLI's). Together those that lead to a folder may have 32 KiB, the root's first. Skills are folders under
`.agents/skills` whose SKILL.md begins with a name and a description (https://agentskills.io/specification).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from weakref import WeakKeyDictionary

from pullwright.domain.errors import SandboxError
from pullwright.domain.transcript import Compacted, CompactionUndone, Noticed, Recorded, Rewound, ToolReturned
from pullwright.engines.base import Work
from pullwright.engines.native.fence import fenced
from pullwright.sandbox.base import ExecRequest, Sandbox

MOST = 32 * 1024  # bytes, of all instructions that hold in one folder
_LISTED = 50  # deeper files, and skills, that are listed
_DEPTH = 20
_SKILL_HEAD = 4096
_SECONDS = 30.0

# `$1`: how many bytes to print of a file; then the folders. For each folder's first file: path, size, content; only the
# root's need not be tracked, since what a build or an installation brought along has nothing to say here.
_READ = r"""
cd /workspace || exit 1
most=$1; shift
for folder in "$@"; do
  for name in AGENTS.override.md AGENTS.md CLAUDE.md; do
    path=$folder$name
    [ -f "$path" ] && [ -r "$path" ] || continue
    [ -z "$folder" ] || git ls-files --error-unmatch -- ":(literal)$path" >/dev/null 2>&1 || continue
    printf '%s\0%s\0' "$path" "$(wc -c <"$path")"
    head -c "$most" <"$path" | tr -d '\000'
    printf '\0'
    break
  done
done
"""

# Deeper files, then `//`, then path and head of every skill.
_LOOK = r"""
cd /workspace || exit 1
git ls-files -z -- '*/AGENTS.md' '*/AGENTS.override.md' | head -c 65536
printf '\0//\0'
for path in .agents/skills/*/SKILL.md; do
  [ -f "$path" ] && [ -r "$path" ] || continue
  printf '%s\0' "$path"
  head -c "$1" <"$path" | tr -d '\000'
  printf '\0'
done | head -c 262144
"""


@dataclass(frozen=True)
class File:
    """One file of instructions, as far as it was read."""

    path: str
    size: int  # bytes of the whole
    text: str


@dataclass(frozen=True)
class Skill:
    """What a skill is for; the rest of it is read when it is needed."""

    path: str
    name: str
    description: str


@dataclass(frozen=True)
class Guide:
    """What a repository says at first."""

    text: str  # for the model; empty where there is nothing
    notices: tuple[str, ...]  # for people: what was cut


async def guide(sandbox: Sandbox, mark: str) -> Guide:
    """The root's instructions, where deeper ones are, and the skills."""
    files = await _read(sandbox, [""])
    looked = await sandbox.run(
        ExecRequest(argv=("sh", "-c", _LOOK, "sh", str(_SKILL_HEAD)), timeout=_SECONDS, output_limit=1024 * 1024)
    )
    listed, _, rest = looked.stdout.decode(errors="replace").partition("\0//\0")
    deeper = [path for path in listed.split("\0") if _plain(path)][:_LISTED]
    fields = rest.split("\0")
    skills = [_skill(path, head) for path, head in zip(fields[::2], fields[1::2], strict=False) if _plain(path)]
    parts, notices = [], []
    for file in files:
        parts.append(f"The repository's instructions, from {file.path}:\n\n" + _shown(file, mark, MOST))
        if file.size > MOST:
            notices.append(_cut(file))
    if deeper:
        parts.append(
            "There are instructions for single folders, too; you are given them when you first work there: "
            + ", ".join(deeper)
        )
    if skills:
        lines = "\n".join(f"- {skill.name} ({skill.path}): {skill.description}" for skill in skills[:_LISTED])
        parts.append(
            "The repository has skills. Read the file of one before you do what it is for:\n\n"
            + fenced(lines, mark, "skills")
        )
    return Guide("\n\n".join(parts), tuple(notices))


class Instructions:
    """Which folders' instructions a model still has to be given."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Sandbox, dict[str, File | None]] = WeakKeyDictionary()

    async def due(self, work: Work, mark: str, places: Iterable[str]) -> str:
        """The instructions of the folders that these paths are in, but for those that were given; empty if none."""
        known = self._known.setdefault(work.sandbox, {})
        chains = [chain for place in places if (chain := _folders(place))]
        if unknown := list(dict.fromkeys(folder for chain in chains for folder in chain if folder not in known)):
            try:
                files = {_folder(file.path): file for file in await _read(work.sandbox, unknown)}
            except SandboxError:
                return ""
            known.update({folder: files.get(folder) for folder in unknown})
        if not any(known[folder] for chain in chains for folder in chain if folder):
            return ""
        given = _given(await work.log.read(), mark)
        parts: list[str] = []
        for chain in chains:
            room = MOST
            for folder in chain:
                file = known[folder]
                if file is None:
                    continue
                if folder and file.path not in given:
                    given.add(file.path)
                    parts.append(
                        f"Instructions for what is below {folder} (they go before those of the folders above):\n"
                        + _shown(file, mark, room)
                    )
                    if file.size > room:
                        await work.log.append(Noticed(text=_cut(file), level="warning"))
                room = max(room - file.size, 0)
        return "\n\n".join(parts)


def _given(events: Iterable[Recorded], mark: str) -> set[str]:
    """The files that the model has before it: not those of interrupted calls, nor what was summed up or taken back."""
    opened = re.compile(rf'<instructions-{re.escape(mark)} of="([^"]*)">')
    of_call: dict[tuple[int, str], set[str]] = {}
    for recorded in events:
        match recorded.event:
            case ToolReturned(turn=turn, call=call, output=output):
                of_call[turn, call] = set(opened.findall(output.text)) if "<instructions-" in output.text else set()
            case Compacted() | CompactionUndone() | Rewound():
                of_call.clear()
            case _:
                pass
    return set().union(*of_call.values())


async def _read(sandbox: Sandbox, folders: list[str]) -> list[File]:
    result = await sandbox.run(
        ExecRequest(
            argv=("sh", "-c", _READ, "sh", str(MOST), *folders),
            timeout=_SECONDS,
            output_limit=(len(folders) + 1) * 2 * (MOST + 8192),
        )
    )
    fields = result.stdout.decode(errors="replace").split("\0")
    return [
        File(path, int(size), text)
        for path, size, text in zip(fields[::3], fields[1::3], fields[2::3], strict=False)
        if _plain(path) and size.strip().isdigit()
    ]


def _shown(file: File, mark: str, room: int) -> str:
    if file.size <= room:
        return fenced(file.text.strip(), mark, "instructions", of=file.path)
    kept = file.text.encode()[:room].decode(errors="ignore").strip()
    return (
        fenced(kept, mark, "instructions", of=file.path)
        + f"\nThey are cut: the file has {file.size} bytes. Read the rest of it where it matters."
    )


def _cut(file: File) -> str:
    return (
        f"{file.path} is longer than the {MOST // 1024} KiB that instructions may have together; only its beginning "
        "was given to the model"
    )


def _folders(place: str) -> list[str]:
    """The folders from the root (written as nothing) down to a file or folder, each with its slash; none outside."""
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts or len(path.parts) > _DEPTH:
        return []
    parts = [path, *path.parents]
    return ["", *(f"{part}/" for part in reversed(parts) if str(part) != ".")]


def _folder(path: str) -> str:
    return path[: path.rfind("/") + 1]


def _plain(path: str) -> bool:
    return bool(path) and path.isprintable() and '"' not in path


def _skill(path: str, head: str) -> Skill:
    """Name and description from the lines between `---`; a description may go on in indented lines."""
    found: dict[str, str] = {}
    key = ""
    lines = head.splitlines()
    for line in lines[1:] if lines and lines[0].strip() == "---" else []:
        if line.strip() == "---":
            break
        if line[:1].isspace() and key:
            found[key] = f"{found[key]} {line.strip()}".strip()
        elif (colon := line.find(":")) > 0:
            key = line[:colon].strip()
            value = line[colon + 1 :].strip()
            found[key] = "" if value in (">", "|", ">-", "|-", ">+", "|+") else value.strip("\"'")
    name = found.get("name") or PurePosixPath(path).parent.name
    return Skill(path, " ".join(name.split())[:100], " ".join(found.get("description", "").split())[:500])
