"""What Node projects say about their installation and their tests."""

import re
import shlex
from dataclasses import dataclass
from typing import Any

from pullwright.code.tree import Tree, table
from pullwright.domain.environment import Environment, Origin, Setting

PREFIX = "/opt/env"  # its bin folder is on the PATH of every sandbox

VARIABLES = {
    "CI": "1",  # test runners do not watch, prompts do not wait
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
    "npm_config_cache": "/tmp/npm-cache",  # noqa: S108 - inside the sandbox, where it is fresh and goes away
    "YARN_NODE_LINKER": "node-modules",
    "YARN_ENABLE_TELEMETRY": "0",
}
_PREPARE = (
    'command -v node >/dev/null || { echo "node is not installed on this machine; install it together with npm" >&2; '
    "exit 127; }\n"
    "certificates=/etc/ssl/certs/ca-certificates.crt\n"
    'if [ -f "$certificates" ]; then export NODE_EXTRA_CA_CERTS="${NODE_EXTRA_CA_CERTS:-$certificates}"; fi'
)
_TEST_FILE = re.compile(r"(?:^|/)(?:test/.*|[^/]*[.\-_]test|test-[^/]*|test)\.[cm]?js$")
_READ_TESTS = 40
_NO_TEST = re.compile(r"no test specified")
_RUNNERS = {"vitest": "npx vitest run", "jest": "npx jest", "mocha": "npx mocha", "ava": "npx ava"}


@dataclass(frozen=True)
class _PackageManager:
    name: str
    package: str  # what npm installs where the machine lacks it
    install: str
    why: str


def is_node(tree: Tree) -> bool:
    """Whether the root holds a Node project."""
    return "package.json" in tree


async def has_tests(tree: Tree) -> bool:
    """Whether package.json says how its tests are run."""
    return (await _check(tree, await tree.json("package.json"))).command is not None


async def environment(tree: Tree) -> Environment:
    """The environment of a Node project."""
    package = await tree.json("package.json")
    manager = await _package_manager(tree, package)
    needs_install = any(table(package, key) for key in ("dependencies", "devDependencies", "optionalDependencies"))
    lines = [_PREPARE]
    if needs_install or package.get("workspaces"):
        if manager.name != "npm":
            wanted = shlex.quote(manager.package)
            lines.append(f"command -v {manager.name} >/dev/null || npm install --global --prefix {PREFIX} {wanted}")
        lines.append(manager.install)
        setup = Setting(command="\n".join(lines), origin=Origin.DETECTED, why=f"Node: {manager.why}")
    else:
        setup = Setting(why="Node: package.json names no dependencies, so there is nothing to install")
    locks = ("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "pnpm-workspace.yaml", "yarn.lock")
    return Environment(
        language="node",
        setup=setup,
        check=await _check(tree, package),
        variables=VARIABLES,
        lock_files=tree.ids(("package.json", *locks, ".npmrc", ".yarnrc.yml", "bun.lock", "bun.lockb")),
    )


async def _package_manager(tree: Tree, package: dict[str, Any]) -> _PackageManager:
    """The one whose lock file is there; with several, the one that package.json names, else the first of ours."""
    named, _, version = str(package.get("packageManager", "")).partition("@")
    version = version.split("+")[0] if re.fullmatch(r"\d[\w.-]*(?:\+[\w.]+)?", version) else ""
    found = {
        "npm": tree.first("package-lock.json", "npm-shrinkwrap.json"),
        "pnpm": tree.first("pnpm-lock.yaml"),
        "yarn": tree.first("yarn.lock"),
        "bun": tree.first("bun.lock", "bun.lockb"),
    }
    name = named if named in found else next((name for name, lock in found.items() if lock), "npm")
    lock = found[name]
    version = version if name == named else ""
    why = f"{lock} is installed by {name}" if lock else f"there is no lock file, so {name} resolves package.json anew"
    if name == "pnpm":
        version = version or await _pnpm_version(tree)
        install = "pnpm install --frozen-lockfile" if lock else "pnpm install --no-frozen-lockfile"
        return _PackageManager(name, f"pnpm@{version}", install, why)
    if name == "yarn":
        berry = "__metadata:" in await tree.text("yarn.lock") or (version and not version.startswith("1."))
        wanted = f"@yarnpkg/cli-dist@{version or '4'}" if berry else f"yarn@{version or '1'}"
        frozen = ("--immutable" if berry else "--frozen-lockfile") if lock else ""
        return _PackageManager(name, wanted, f"yarn install {frozen}".strip(), why)
    if name == "bun":
        install = "bun install --frozen-lockfile" if lock else "bun install"
        return _PackageManager(name, f"bun@{version or 'latest'}", install, why)
    # Whatever npm would write beside package.json is no part of anybody's change.
    return _PackageManager("npm", "npm", "npm ci" if lock else "npm install --no-package-lock", why)


async def _pnpm_version(tree: Tree) -> str:
    """The major version that writes this lock file's format."""
    found = re.search(r"^lockfileVersion:\s*['\"]?(\d+)", await tree.text("pnpm-lock.yaml"), re.M)
    return {"5": "7", "6": "8"}.get(found[1] if found else "", "9")


async def _check(tree: Tree, package: dict[str, Any]) -> Setting:
    script = table(package, "scripts").get("test")
    if isinstance(script, str) and script.strip() and not _NO_TEST.search(script):
        return Setting(
            command="npm test", origin=Origin.DETECTED, why=f"package.json's test script is `{script[:200]}`"
        )
    installed = {**table(package, "dependencies"), **table(package, "devDependencies")}
    for name, command in _RUNNERS.items():
        if name in installed:
            why = f"package.json has no test script but depends on {name}"
            return Setting(command=command, origin=Origin.DETECTED, why=why)
    tests = [path for path in tree.files if _TEST_FILE.search(path) and "node_modules/" not in path]
    for path in tests[:_READ_TESTS]:
        if re.search(r"['\"]node:test['\"]", await tree.text(path)):
            return Setting(command="node --test", origin=Origin.DETECTED, why=f"{path} uses Node's own test runner")
    return Setting(why="package.json has no test script; say how to check the project with --check")
