"""The trees that are run: the change with the base's tests put back, the base with the change's tests."""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pullwright.domain.errors import RepositoryError
from pullwright.domain.receipt import TestChange
from pullwright.repos.mirror import Store
from pullwright.review import protected
from pullwright.review.protected import Kind

_READ_LIMIT = 4 * 1024 * 1024
_GRAFT_AT_ONCE = 500  # git takes the paths as arguments

# What pytest and unittest take up by its name in a module or class, so that adding it changes the tests already there.
_SPECIAL = {"pytestmark", "load_tests", "pytest_plugins", "collect_ignore", "collect_ignore_glob", "__test__"}
_FIXTURE_NAMES = ("setup", "teardown", "setUp", "tearDown", "pytest_", "asyncSetUp", "asyncTearDown", "run", "_")


@dataclass(frozen=True)
class Split:
    """A change's paths, told apart."""

    changed: frozenset[str]  # every path that differs between base and head
    protected: dict[str, Kind]  # those that the judged tree has as they are at the base
    test_changes: tuple[TestChange, ...]  # what of the base's tests and their configuration was touched

    @property
    def product(self) -> frozenset[str]:
        """The changed paths that the judged tree has as they are on head."""
        return self.changed - self.protected.keys()


async def split(store: Store, base: str, head: str, command: str) -> Split:
    """Tell a change's tests, their configuration and run-subverting machinery from the product's own files."""
    before, after = await store.files(base), await store.files(head)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    scripts = protected.test_scripts(await _read(store, base, "package.json"), command)
    whole_command = f"{command}\n{scripts}"
    found: dict[str, Kind] = {}
    changes: list[TestChange] = []
    for path in sorted(changed):
        kind = protected.kind(path, before.keys(), after.keys(), whole_command)
        if kind is None and protected.has_sections(path):
            old, new = await _read(store, base, path), await _read(store, head, path)
            if protected.sections(path, old, command) != protected.sections(path, new, command):
                kind = Kind.CONFIGURATION
        if kind is None:
            continue
        found[path] = kind
        if what := await _what(store, base, head, path, kind, (path in before, path in after)):
            changes.append(TestChange(path=path, what=what))
    return Split(frozenset(changed), found, tuple(changes))


async def _what(store: Store, base: str, head: str, path: str, kind: Kind, there: tuple[bool, bool]) -> str | None:
    """How the change touched what was there; None where it only adds tests."""
    if there == (True, False):
        return "deleted"
    if there == (False, True):
        return "added" if kind in (Kind.CONFIGURATION, Kind.MACHINERY) else None
    if kind is Kind.TEST and path.endswith(".py"):
        old, new = await _read(store, base, path), await _read(store, head, path)
        if old is not None and new is not None and only_adds_tests(old, new):
            return None
    return "edited"


async def _read(store: Store, commit: str, path: str) -> bytes | None:
    try:
        return await store.read(commit, path, _READ_LIMIT)
    except RepositoryError:  # too large to be compared by its parts: compared as a whole by its id
        return None


async def judged_commit(store: Store, base: str, head: str, paths: Iterable[str]) -> str:
    """Head with these paths as they are at the base; head itself where there are none."""
    return await _graft(store, head, base, sorted(paths))


async def new_tests_commit(store: Store, base: str, head: str, paths: Iterable[str]) -> str:
    """The base with these paths as they are on head."""
    return await _graft(store, base, head, sorted(paths))


async def _graft(store: Store, onto: str, source: str, paths: Sequence[str]) -> str:
    for start in range(0, len(paths), _GRAFT_AT_ONCE):
        onto = await store.graft(onto, source, paths[start : start + _GRAFT_AT_ONCE])
    return onto


def only_adds_tests(old: bytes, new: bytes) -> bool:
    """Whether a Python test file still holds every statement it had, and what came on top cannot change them.

    Imports may differ: they run before the tests and the base's own run without them.
    """
    try:
        before, after = ast.parse(old), ast.parse(new)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    try:
        return _extends(before.body, after.body)
    except RecursionError:
        return False


def _extends(old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> bool:
    waiting = [statement for statement in old if not _is_import(statement)]
    names = {name for statement in waiting for name in _defined(statement)}
    for statement in new:
        if _is_import(statement):
            continue
        if waiting and _same_or_extended(waiting[0], statement):
            waiting.pop(0)
        elif not _harmless(statement, names):
            return False
        else:
            names |= _defined(statement)
    return not waiting


def _same_or_extended(old: ast.stmt, new: ast.stmt) -> bool:
    if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef) and old.name == new.name:
        same_head = _dump([*old.bases, *old.keywords, *old.decorator_list]) == _dump(
            [*new.bases, *new.keywords, *new.decorator_list]
        )
        return same_head and _extends(old.body, new.body)
    return _dump([old]) == _dump([new])


def _harmless(statement: ast.stmt, taken: set[str]) -> bool:
    """Whether a statement that came on top only defines what was not there and what no runner takes up by itself."""
    defined = _defined(statement)
    if not defined or defined & (taken | _SPECIAL):
        return False
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        called = _dump(statement.decorator_list)
        return "autouse" not in called and not statement.name.startswith(_FIXTURE_NAMES)
    if isinstance(statement, ast.Assign):
        return not any(isinstance(node, ast.Call | ast.NamedExpr) for node in ast.walk(statement.value))
    return isinstance(statement, ast.ClassDef)


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return set()


def _is_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Import | ast.ImportFrom)


def _dump(nodes: Sequence[ast.AST]) -> str:
    return "\n".join(ast.dump(node) for node in nodes)
