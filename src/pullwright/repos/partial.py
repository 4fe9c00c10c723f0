"""A store of a huge repository holds every commit and every tree, and of the files' contents what a checkout needs."""

from pullwright.repos.bare import BareStore
from pullwright.repos.names import path_bytes

_EVERYWHERE = (b".gitattributes", b".gitmodules", b".lfsconfig")


async def missing(store: BareStore, commit: str, sparse: tuple[str, ...] | None) -> list[str]:
    """The blobs that a checkout lays out and the store lacks.

    `sparse` are directories in cone mode (git-sparse-checkout(1)), empty for everything; None is the root's own files.
    """
    entries = await store.entries(commit)
    wanted = {
        entry.id
        for name, entry in entries.items()
        if entry.type == "blob" and (sparse == () or _laid_out(name, sparse or ()))
    }
    listed = "".join(f"{name}\n" for name in sorted(wanted)).encode()
    said = await store.run("cat-file", "--batch-check", stdin=listed)
    return [line.split()[0].decode() for line in said.splitlines() if line.endswith(b" missing")]


def _laid_out(name: bytes, sparse: tuple[str, ...]) -> bool:
    folder, _, last = name.rpartition(b"/")
    if not folder or last in _EVERYWHERE:
        return True
    for directory in sparse:
        whole = path_bytes(directory.strip("/"))
        if folder == whole or folder.startswith(whole + b"/") or whole.startswith(folder + b"/"):
            return True
    return False
