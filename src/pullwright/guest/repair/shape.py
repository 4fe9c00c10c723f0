"""What one function consists of: its names, expressions, statements, blocks."""

from __future__ import annotations

import ast
import sys
from typing import Any, Container, Dict, List, NamedTuple

from .source import FunctionNode, Unit

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FSTRING_POSITIONS = sys.version_info >= (3, 12)  # before, the parts of an f-string carry wrong positions
_NUMBERS = {"int", "float", "bool", "complex", "Fraction", "Decimal"}
_SEQUENCES = {"list", "tuple", "str", "bytes", "deque", "range"}

Types = Dict[str, List[str]]


class Place(NamedTuple):
    """Where a statement stands: in which block, as which of its statements."""

    statement: ast.stmt
    block: list[ast.stmt]
    at: int
    owner: ast.AST


class Shape:
    """A function taken apart once, for every rule to use."""

    def __init__(self, unit: Unit, types: Types | None = None) -> None:
        """Walk the function; `types` are names of the types that its variables were seen with."""
        self.unit = unit
        self.file = unit.file
        self.types = types or {}
        self.parents: dict[ast.AST, tuple[ast.AST, str]] = {}
        self.expressions: list[ast.expr] = []
        self.places: list[Place] = []
        self.blocks: list[tuple[ast.AST, list[ast.stmt]]] = []
        self._bound: dict[ast.AST, dict[str, int]] = {}
        self._walk(unit.node)
        self.attributes = _attributes(unit.file.tree)
        self.strings = _strings(unit.file.tree)
        self.globals = _globals(unit.file.tree)
        self.builtins_used = {node.id for node in self.expressions if isinstance(node, ast.Name)}

    def _walk(self, node: ast.AST) -> None:
        if isinstance(node, (*FunctionNode, ast.Lambda)):
            self._bound[node] = _bound(node)
        for field, value in ast.iter_fields(node):
            if field in ("decorator_list", "annotation", "returns", "type_comment", "type_params"):
                continue
            if field in ("body", "orelse", "finalbody") and isinstance(value, list):
                self._block(node, value)
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self._child(node, field, child)

    def _block(self, owner: ast.AST, block: list[ast.stmt]) -> None:
        if not block:
            return
        self.blocks.append((owner, block))
        for index, statement in enumerate(block):
            self.parents[statement] = (owner, "body")
            if index == 0 and isinstance(owner, FunctionNode) and _is_docstring(statement):
                continue
            if not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)):
                self.places.append(Place(statement, block, index, owner))
            self._walk(statement)

    def _child(self, parent: ast.AST, field: str, child: ast.AST) -> None:
        self.parents[child] = (parent, field)
        if isinstance(child, ast.JoinedStr) and not _FSTRING_POSITIONS:
            return
        if isinstance(child, ast.expr) and hasattr(child, "lineno"):
            self.expressions.append(child)
        self._walk(child)

    def lines_with(self, lines: Container[int]) -> set[int]:
        """The given lines, with all others of the statements, or heads of statements, that they are part of."""
        found = set(range(self.unit.first, self.unit.node.body[0].lineno))
        for place in self.places:
            node = place.statement
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            span = range(node.lineno, max(node.lineno, last) + 1)
            if any(line in lines for line in span):
                found.update(span)
        return found

    def parent(self, node: ast.AST) -> ast.AST:
        """The node that a node is part of."""
        return self.parents[node][0]

    def field(self, node: ast.AST) -> str:
        """Which part of its parent a node is."""
        return self.parents[node][1]

    def statement_of(self, node: ast.AST) -> ast.AST:
        """The statement that an expression is part of."""
        while not isinstance(node, ast.stmt) and node in self.parents:
            node = self.parents[node][0]
        return node

    def names_at(self, node: ast.AST) -> list[str]:
        """Names of parameters and variables that can be meant at a node, nearest scope first."""
        found: dict[str, None] = {}
        line = getattr(node, "lineno", 0)
        late: dict[str, None] = {}
        current = node
        while current in self.parents or current is self.unit.node:
            if isinstance(current, _COMPREHENSIONS):
                for generator in current.generators:
                    for target in ast.walk(generator.target):
                        if isinstance(target, ast.Name):
                            found.setdefault(target.id)
            for name, first in self._bound.get(current, {}).items():
                (found if first <= line else late).setdefault(name)
            if current is self.unit.node:
                break
            current = self.parents[current][0]
        return [*found, *(name for name in late if name not in found)]

    def is_late(self, node: ast.AST, name: str) -> bool:
        """Whether a name is first bound on a later line than the node's."""
        current = node
        while current in self.parents:
            current = self.parents[current][0]
            if name in self._bound.get(current, {}):
                return self._bound[current][name] > getattr(node, "lineno", 0)
        return False

    def kind(self, name: str) -> str:
        """`number`, `sequence`, `mapping`, `set`, `object`, or `` where it was never seen."""
        kinds = {kind_of(type_name) for type_name in self.types.get(name, [])}
        kinds.discard("none")
        return kinds.pop() if len(kinds) == 1 else ""

    def kind_of_expression(self, node: ast.AST) -> str:
        """The same for an expression, as far as it shows."""
        if isinstance(node, ast.Name):
            return self.kind(node.id)
        if isinstance(node, ast.Constant):
            return kind_of(type(node.value).__name__)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return {"len": "number", "int": "number", "abs": "number", "list": "sequence", "sorted": "sequence"}.get(
                node.func.id, ""
            )
        if isinstance(node, (ast.List, ast.Tuple, ast.ListComp)):
            return "sequence"
        if isinstance(node, ast.BinOp):
            left, right = self.kind_of_expression(node.left), self.kind_of_expression(node.right)
            return left if left == right else (left or right)
        return ""

    def in_condition(self, node: ast.AST) -> bool:
        """Whether an expression as a whole decides where the flow goes."""
        parent, field = self.parents.get(node, (None, ""))
        return (isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)) and field == "test") or (
            isinstance(parent, ast.comprehension) and field == "ifs"
        )


def kind_of(type_name: str) -> str:
    """The kind of a type by its name."""
    if type_name in _NUMBERS:
        return "number"
    if type_name in _SEQUENCES:
        return "sequence"
    if type_name in ("dict", "defaultdict", "OrderedDict", "Counter"):
        return "mapping"
    if type_name in ("set", "frozenset"):
        return "set"
    return "none" if type_name == "NoneType" else "object:" + type_name


def subscript(node: ast.Subscript) -> ast.expr:
    """What a subscript is by; Python 3.8 wraps it in a node without a place."""
    found: ast.expr = getattr(node.slice, "value", node.slice) if type(node.slice).__name__ == "Index" else node.slice
    return found


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _bound(function: Any) -> dict[str, int]:
    """Names bound in a function itself, with the line of the first binding, in order of appearance."""
    arguments = function.args
    names: dict[str, int] = {}
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        names[argument.arg] = 0
    for argument in (arguments.vararg, arguments.kwarg):
        if argument is not None:
            names[argument.arg] = 0
    if isinstance(function, ast.Lambda):
        return names
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, node.lineno)
        if isinstance(node, (*FunctionNode, ast.ClassDef)):
            names.setdefault(node.name, node.lineno)
            continue
        if not isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))
    return names


def _attributes(tree: ast.Module) -> dict[str, set[str]]:
    """Attribute names used in the file, by the text of what they were used on; `` for all together."""
    found: dict[str, set[str]] = {"": set()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found[""].add(node.attr)
            if isinstance(node.value, ast.Name):
                found.setdefault(node.value.id, set()).add(node.attr)
        elif isinstance(node, FunctionNode):
            found[""].add(node.name)
    return found


def _strings(tree: ast.Module) -> list[str]:
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= 40:
            found.setdefault(node.value)
    return list(found)[:40]


def _globals(tree: ast.Module) -> dict[str, str]:
    """Names bound at the top of the module: `function`, `class`, `import` or `value`."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, FunctionNode):
            found[node.name] = "function"
        elif isinstance(node, ast.ClassDef):
            found[node.name] = "class"
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                found[(alias.asname or alias.name).split(".")[0]] = "import"
        else:
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    found[part.id] = "value"
    return found
