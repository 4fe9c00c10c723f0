"""A Git LFS server beside a git server's repositories: the batch API and basic transfers (git-lfs's docs/api).

async with LfsServer(tmp_path / "far") as server:
    await server.create("team/tool")
    oid = server.keep("team/tool", b"content")
    ... {server.url}/team/tool.git, whose LFS files are at {server.url}/team/tool.git/info/lfs
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from pullwright.testing.git_server import GitServer
from pullwright.testing.http_server import Reply, Request

_MEDIA = {"content-type": "application/vnd.git-lfs+json"}


@dataclass
class LfsServer(GitServer):
    """Bare repositories and their LFS objects, with the same tokens and faults."""

    def kept(self, name: str, oid: str) -> Path:
        """Where an object of a repository is, or would be."""
        return self.root / ".lfs" / name / oid

    def keep(self, name: str, content: bytes) -> str:
        """Keep an object; gives its name."""
        oid = hashlib.sha256(content).hexdigest()
        self.kept(name, oid).parent.mkdir(parents=True, exist_ok=True)
        self.kept(name, oid).write_bytes(content)
        return oid

    async def serve(self, request: Request) -> Reply:
        """One request; those that are not for LFS are git's."""
        name, _, rest = request.path.lstrip("/").partition(".git/")
        if rest == "info/lfs/objects/batch":
            asked = json.loads(request.body)
            return self._refusal(request, writes=asked["operation"] == "upload") or self._batch(name, asked)
        if rest.startswith("lfs/"):
            return self._object(name, rest.removeprefix("lfs/"), request)
        return await super().serve(request)

    def _batch(self, name: str, asked: dict[str, object]) -> Reply:
        objects = []
        assert isinstance(asked["objects"], list)
        for one in asked["objects"]:
            there = self.kept(name, one["oid"]).is_file()
            action = {"href": f"{self.url}/{name}.git/lfs/{one['oid']}", "header": {"x-lfs": "1"}}
            answer: dict[str, object] = dict(one)
            if asked["operation"] == "upload" and not there:
                answer["actions"] = {"upload": action}
            elif asked["operation"] == "download" and there:
                answer["actions"] = {"download": action}
            elif asked["operation"] == "download":
                answer["error"] = {"code": 404, "message": "Object does not exist"}
            objects.append(answer)
        return Reply(200, json.dumps({"transfer": "basic", "objects": objects}).encode(), _MEDIA)

    def _object(self, name: str, oid: str, request: Request) -> Reply:
        path = self.kept(name, oid)
        if request.headers.get("x-lfs") != "1":
            return Reply(403, b"The header of the batch is missing.\n")
        if request.method == "PUT":
            if hashlib.sha256(request.body).hexdigest() != oid:
                return Reply(422, b"That is not it.\n")
            self.keep(name, request.body)
            return Reply(200)
        if not path.is_file():
            return Reply(404)
        content = path.read_bytes()
        first = request.headers.get("range", "").removeprefix("bytes=").removesuffix("-")
        if first:
            return Reply(206, content[int(first) :])
        return Reply(200, content)
