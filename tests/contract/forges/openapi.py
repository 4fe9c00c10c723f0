"""GitHub's published OpenAPI description (npm package @octokit/openapi), and whether a request keeps to it.

Fetched through npm into the user's cache, once; it is never part of the package. Stricter than the description itself,
which allows unknown fields: a field, a query parameter or a path that it does not name is a fault.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

PACKAGE, VERSION = "@octokit/openapi", "23.0.2"
FILE = "api.github.com.json"
SHA256 = "829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a"
SECONDS = 180

Json = Any


class Unavailable(Exception):
    """The description cannot be had here."""


def fetched() -> Path:
    """The description's file, downloaded where it is not there yet. Raises `Unavailable`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pullwright-tests"
    file = cache / f"octokit-openapi-{VERSION}.json"
    if file.is_file():
        return file
    if shutil.which("npm") is None:
        raise Unavailable("npm is not installed (Debian package npm)")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock, tempfile.TemporaryDirectory() as place:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.is_file():
            return file
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        try:
            done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"npm did not bring {PACKAGE} within {SECONDS} s") from None
        if done.returncode != 0:
            raise Unavailable(f"npm cannot bring {PACKAGE}: {done.stderr.strip()[-300:]}")
        (archive,) = Path(place).glob("*.tgz")
        with tarfile.open(archive) as tar:
            member = tar.extractfile(f"package/generated/{FILE}")
            assert member is not None
            data = member.read()
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise Unavailable(f"{PACKAGE} {VERSION} is not the file that it was")
        fresh = file.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(file)
    return file


@dataclass
class Description:
    """An OpenAPI 3.0 document."""

    document: Json

    @classmethod
    def read(cls, file: Path) -> "Description":
        return cls(json.loads(file.read_bytes()))

    def faults(self, method: str, path: str, query: str, body: bytes, status: int | None, answer: bytes) -> list[str]:
        """Where a request and its answer leave the description."""
        operation = self.operation(method, path)
        if operation is None:
            return [f"there is no {method} {path}"]
        faults = self._query(operation, query)
        schema = self._at(operation, "requestBody", "content", "application/json", "schema")
        if body:
            if schema is None:
                faults.append(f"{method} {path} takes no body")
            else:
                faults += self.check(schema, json.loads(body), "body", required=True)
        if status is not None and status < 300:
            documented = self._at(operation, "responses", str(status))
            if documented is None:
                faults.append(f"{method} {path} never answers {status}")
            elif (schema := self._at(documented, "content", "application/json", "schema")) and answer:
                faults += self.check(schema, json.loads(answer), "answer", required=False)
        return faults

    def operation(self, method: str, path: str) -> Json | None:
        """The description of a request; a path with fewer parameters comes first."""
        for template in sorted(self.document["paths"], key=lambda one: one.count("{")):
            pattern = re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path) and method.lower() in self.document["paths"][template]:
                return self.document["paths"][template][method.lower()]
        return None

    def check(self, schema: Json, value: Json, where: str, *, required: bool) -> list[str]:
        """Where a value leaves its schema."""
        schema = self._followed(schema)
        if value is None:
            kinds = [schema, *(self._followed(one) for one in schema.get("oneOf", schema.get("anyOf", [])))]
            fits = any(one.get("nullable") or one.get("type") == "null" for one in kinds) or not required
            return [] if fits else [f"{where} is null"]
        for name in ("oneOf", "anyOf"):
            if name in schema:
                tried = [self.check(one, value, where, required=required) for one in schema[name]]
                return min(tried, key=len)
        if "allOf" in schema:
            merged: Json = {"type": "object", "properties": {}}
            for one in schema["allOf"]:
                merged["properties"] |= self._followed(one).get("properties", {})
            schema = merged
        return self._typed(schema, value, where, required)

    def _typed(self, schema: Json, value: Json, where: str, required: bool) -> list[str]:
        kinds: dict[str, Any] = {
            "string": str,
            "integer": int,
            "number": (int, float),
            "boolean": bool,
            "array": list,
            "object": dict,
        }
        kind = schema.get("type", "object" if "properties" in schema else None)
        if kind and not isinstance(value, kinds[kind]):
            return [f"{where} is {value!r}, not {kind}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where} is {value!r}, none of {schema['enum']}"]
        faults = []
        if kind == "array":
            for number, item in enumerate(value):
                faults += self.check(schema.get("items", {}), item, f"{where}[{number}]", required=required)
        if kind == "object" and "properties" in schema:
            for name, item in value.items():
                if name in schema["properties"]:
                    faults += self.check(schema["properties"][name], item, f"{where}.{name}", required=required)
                else:
                    faults.append(f"{where} has no field {name}")
            missing = set(schema.get("required", [])) - set(value) if required else set()
            faults += [f"{where} lacks {name}" for name in sorted(missing)]
        return faults

    def _query(self, operation: Json, query: str) -> list[str]:
        parameters = [self._followed(one) for one in operation.get("parameters", [])]
        known = {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}
        faults = []
        for name, values in parse_qs(query, keep_blank_values=True).items():
            if name not in known:
                faults.append(f"there is no query parameter {name}")
                continue
            allowed = self._followed(known[name]).get("enum")
            faults += [f"{name}={value} is none of {allowed}" for value in values if allowed and value not in allowed]
        return faults

    def _followed(self, schema: Json) -> Json:
        while "$ref" in schema:
            found = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            schema = found
        return schema

    def _at(self, found: Json, *names: str) -> Json | None:
        for name in names:
            found = self._followed(found).get(name)
            if found is None:
                return None
        return found
