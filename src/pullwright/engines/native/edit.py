"""`apply_patch` on the files of a sandbox, all or nothing: one command reads, one writes."""

import base64
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from pullwright.engines.native.hunks import PatchError
from pullwright.engines.native.patch import Applied, apply, parse, touched
from pullwright.sandbox.base import ExecRequest, Sandbox

MAX_FILE = 16 * 1024 * 1024
_OUTPUT = 96 * 1024 * 1024
_SECONDS = 120.0

# For each path one line: what it is, and a regular file's mode and bytes.
_READ = r"""
cd /workspace || exit 1
for path in "$@"; do
  real=$(realpath -m -- "./$path") || real=
  case "$real/" in
    /workspace/.git/*) echo astray; continue ;;
    /workspace/*) ;;
    *) echo astray; continue ;;
  esac
  if [ -f "./$path" ]; then
    if [ "$(stat -L -c %s -- "./$path")" -gt "$MAX" ]; then echo large; continue; fi
    [ -r "./$path" ] || { echo unreadable; continue; }
    printf 'file %s ' "$(stat -L -c %a -- "./$path")"
    base64 -w0 <"./$path"
    echo
  elif [ -d "./$path" ]; then echo folder
  elif [ -e "./$path" ] || [ -L "./$path" ]; then echo special
  else echo none
  fi
done
"""

# Arguments: `put INDEX PATH` and `drop PATH`. Everything that can fail for want of room or rights comes first.
_WRITE = r"""
set -eu
cd /workspace
stage=$(mktemp -d ./.pullwright.XXXXXX)
trap 'rm -rf -- "$stage"' EXIT
tar -xpf - -C "$stage"
i=1
for word in "$@"; do
  case $((i % 3)) in
    1) what=$word ;;
    2) index=$word ;;
    0) folder=$(dirname -- "./$word")
       if [ "$what" = put ]; then mkdir -p -- "$folder"; fi
       if [ ! -w "$folder" ]; then echo "$folder is not writable" >&2; exit 1; fi ;;
  esac
  i=$((i + 1))
done
i=1
for word in "$@"; do
  case $((i % 3)) in
    1) what=$word ;;
    2) index=$word ;;
    0) if [ "$what" = put ]; then
         target=./$word
         if [ -L "$target" ]; then target=$(realpath -- "$target"); fi
         mv -f -- "$stage/$index" "$target"
       else
         rm -f -- "./$word"
       fi ;;
  esac
  i=$((i + 1))
done
"""

_REFUSED = {
    "astray": "leads out of the workspace, or into `.git`, through a link. Name the file itself.",
    "large": f"is larger than {MAX_FILE // 2**20} MiB. Change it with a command.",
    "unreadable": "cannot be read. Change its mode first.",
    "folder": "is a folder. Name a file.",
    "special": "is no regular file, or a link that leads nowhere. Change it with a command.",
}


class PatchLeft(PatchError):
    """The patch failed and left some of its files changed."""


@dataclass(frozen=True)
class Done:
    """What came of a patch."""

    text: str  # what changed, for the model
    paths: tuple[str, ...]  # that changed


async def apply_patch(sandbox: Sandbox, text: str) -> Done:
    """Apply a patch and say what changed. Raises `PatchError`; nothing has changed then."""
    operations = parse(text.encode("utf-8", "replace").decode())
    files, modes = await _read(sandbox, touched(operations))
    applied = apply(operations, files)
    if not applied.files:
        return Done("The files are already as the patch would make them. Nothing changed.", ())
    await _put(sandbox, applied, files, modes)
    lines = ["Done. Changed:"]
    for path, content in sorted(applied.files.items()):
        letter = "D" if content is None else "M" if path in files else "A"
        lines.append(f"{letter} {path}" + (f" (from {applied.moved[path]})" if path in applied.moved else ""))
    lines += [f"Note: {note}." for note in applied.notes]
    return Done("\n".join(lines), tuple(sorted(applied.files)))


async def _read(sandbox: Sandbox, paths: list[str]) -> tuple[dict[str, str], dict[str, int]]:
    """The text and mode of each path that exists. What is no UTF-8 is kept as it is (`surrogateescape`)."""
    result = await sandbox.run(
        ExecRequest(
            argv=("sh", "-c", _READ, "sh", *paths),
            variables={"MAX": str(MAX_FILE)},
            timeout=_SECONDS,
            output_limit=_OUTPUT,
        )
    )
    lines = result.stdout.split(b"\n")[:-1]
    if result.exit_code != 0 or result.dropped or len(lines) != len(paths):
        why = result.stderr.decode(errors="replace").strip()[-500:] or "they are too large together"
        raise PatchError(f"The files could not be read: {why}. Send smaller patches.")
    files: dict[str, str] = {}
    modes: dict[str, int] = {}
    for path, line in zip(paths, lines, strict=True):
        kind, *rest = line.split(b" ")
        if kind == b"file":
            modes[path] = int(rest[0], 8) & 0o777
            files[path] = base64.b64decode(rest[1]).decode("utf-8", "surrogateescape")
        elif kind != b"none":
            raise PatchError(f"{path} {_REFUSED.get(kind.decode(), 'cannot be read.')}")
    return files, modes


async def _put(sandbox: Sandbox, applied: Applied, files: dict[str, str], modes: dict[str, int]) -> None:
    """Write what the patch comes to; where that fails half-way, put back what was. Raises `PatchError`."""
    problem = await _write(sandbox, applied.files, {**modes, **_moved_modes(applied, modes)})
    if problem is None:
        return
    paths = list(applied.files)
    if await _changed(sandbox, paths, files):
        await _write(sandbox, {path: files.get(path) for path in paths}, modes)
        if left := await _changed(sandbox, paths, files):
            raise PatchLeft(
                f"The files could not be written: {problem}. Putting them back failed, too, for {', '.join(left)}: "
                "look at them with a command before you go on."
            )
    raise PatchError(f"The files could not be written: {problem}. Nothing was changed.")


def _moved_modes(applied: Applied, modes: dict[str, int]) -> dict[str, int]:
    return {new: modes[old] for new, old in applied.moved.items() if old in modes}


async def _changed(sandbox: Sandbox, paths: list[str], files: dict[str, str]) -> list[str]:
    """Which of the paths are no longer as they were read."""
    try:
        present, _ = await _read(sandbox, paths)
    except PatchError:
        return paths
    return [path for path in paths if present.get(path) != files.get(path)]


async def _write(sandbox: Sandbox, files: Mapping[str, str | None], modes: Mapping[str, int]) -> str | None:
    """Write and remove files; gives what went wrong, if anything did."""
    archive = io.BytesIO()
    arguments: list[str] = []
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for index, (path, text) in enumerate(files.items()):
            if text is None:
                arguments += ["drop", "-", path]
                continue
            data = text.encode("utf-8", "surrogateescape")
            member = tarfile.TarInfo(str(index))
            member.size = len(data)
            member.mode = modes.get(path, 0o644)
            tar.addfile(member, io.BytesIO(data))
            arguments += ["put", str(index), path]
    result = await sandbox.run(
        ExecRequest(argv=("sh", "-c", _WRITE, "sh", *arguments), stdin=archive.getvalue(), timeout=_SECONDS)
    )
    if result.exit_code == 0:
        return None
    said = result.stderr.decode(errors="replace").strip()[-500:]
    return "it took too long" if result.timed_out else said or f"it ended with status {result.exit_code}"
