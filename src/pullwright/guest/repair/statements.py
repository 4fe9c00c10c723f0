"""Edits of statements: dropped, added, moved, guarded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .edits import Found
from .shape import Place, Shape, subscript
from .source import Edit, FunctionNode

_SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Return, ast.Break, ast.Continue, ast.Pass, ast.Raise, ast.Delete)


def dropped(shape: Shape) -> Found:
    """A statement left out."""
    for place in shape.places:
        node = place.statement
        if isinstance(node, (*FunctionNode, ast.ClassDef, ast.Pass)) or not _alone(shape, node):
            continue
        prior = 0.25 if isinstance(node, _SIMPLE) else 0.08
        if len(place.block) == 1:
            yield prior * 0.6, "a statement left out", node, (Edit(*shape.file.span(node), "pass"),)
        else:
            yield prior, "a statement left out", node, (Edit(*_lines(shape, node), ""),)


def jumps(shape: Shape) -> Found:
    """`break`, `continue` and `return` taken for one another; `if`, `while` and `elif` likewise."""
    for place in shape.places:
        node = place.statement
        start, end = shape.file.span(node)
        if isinstance(node, (ast.Break, ast.Continue)):
            words = [("break", 0.4), ("continue", 0.4), ("pass", 0.15), ("return", 0.05)]
            for word, prior in words:
                yield prior, "`%s`" % word, node, (Edit(start, end, word),)
        elif isinstance(node, (ast.If, ast.While)):
            old, new = (b"if", "while") if isinstance(node, ast.If) else (b"while", "if")
            if shape.file.data[start : start + len(old)] == old:
                yield 0.15, "`%s` for `%s`" % (new, old.decode()), node, (Edit(start, start + len(old), new),)
            elif shape.file.data[start : start + 4] == b"elif":
                yield 0.2, "`if` for `elif`", node, (Edit(start, start + 4, "if"),)
            previous = place.block[place.at - 1] if place.at else None
            if isinstance(node, ast.If) and isinstance(previous, ast.If) and not previous.orelse:
                yield 0.2, "`elif` for `if`", node, (Edit(start, start + 2, "elif"),)


def moved(shape: Shape) -> Found:
    """Two statements swapped; a statement moved out of, or into, the block beside it."""
    for place in shape.places:
        node = place.statement
        if not isinstance(node, _SIMPLE) or not _alone(shape, node):
            continue
        if place.at + 1 < len(place.block):
            following = place.block[place.at + 1]
            if isinstance(following, _SIMPLE) and _alone(shape, following):
                first, second = shape.file.source(node), shape.file.source(following)
                if first != second:
                    edits = (Edit(*shape.file.span(node), second), Edit(*shape.file.span(following), first))
                    yield 0.25, "two statements swapped", node, edits
        yield from _moved_out(shape, place)
        yield from _moved_in(shape, place)


def _moved_out(shape: Shape, place: Place) -> Found:
    """The last statement of an inner block, after that block."""
    node, owner = place.statement, place.owner
    last = place.at == len(place.block) - 1 and place.at > 0
    if last and isinstance(owner, (ast.For, ast.While, ast.If, ast.With)) and getattr(owner, "orelse", []) == []:
        old, new = shape.file.indent(node.lineno), shape.file.indent(owner.lineno)
        if len(new) < len(old):
            yield 0.35, "a statement moved out of its block", node, _reindented(shape, node, new)


def _moved_in(shape: Shape, place: Place) -> Found:
    """A statement that follows a block, as the last of that block."""
    if not place.at:
        return
    owner = place.block[place.at - 1]
    while isinstance(owner, (ast.For, ast.While, ast.If, ast.With)):
        inner = (getattr(owner, "orelse", None) or owner.body)[-1]
        if inner.lineno == owner.lineno:
            return
        yield (
            0.3,
            "a statement moved into the block above it",
            place.statement,
            _reindented(shape, place.statement, shape.file.indent(inner.lineno)),
        )
        owner = inner


def _reindented(shape: Shape, node: ast.stmt, indent: str) -> tuple[Edit, ...]:
    old = shape.file.indent(node.lineno)
    edits = []
    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
        start = shape.file.starts[line - 1]
        if shape.file.indent(line).startswith(old):
            edits.append(Edit(start, start + len(old), indent))
    return tuple(edits)


def added(shape: Shape) -> Found:
    """A statement added: one like others of the function, or one that remembers, counts or leaves early."""
    for place in shape.places:
        if not _alone(shape, place.statement):
            continue
        for prior, words, text in _insertions(shape, place):
            yield prior, words, place.statement, _inserted(shape, place.statement, text, before=True)
        if place.at == len(place.block) - 1 and not isinstance(
            place.statement, (ast.Return, ast.Raise, ast.Break, ast.Continue)
        ):
            for prior, words, text in _insertions(shape, place):
                yield prior, words, place.statement, _inserted(shape, place.statement, text, before=False)


def _insertions(shape: Shape, place: Place) -> Iterator[tuple[float, str, str]]:
    names = shape.names_at(place.statement)
    yield from _like_others(shape, names)
    for left in names:
        kind = shape.kind(left)
        for right in names:
            if left == right:
                continue
            if kind and shape.kind(right) and kind != shape.kind(right):
                continue
            yield 0.05, "an assignment added", "%s = %s" % (left, right)
        if kind in ("number", ""):
            yield 0.05, "a count added", "%s += 1" % left
            yield 0.04, "a count added", "%s -= 1" % left
    for loop in ("break", "continue"):
        if _in_loop(shape, place.statement):
            yield 0.06, "`%s` added" % loop, loop
    for name in names:
        yield 0.03, "a return added", "return %s" % name
    yield from _remembered(shape, names)


def _like_others(shape: Shape, names: list[str]) -> Iterator[tuple[float, str, str]]:
    """Statements of the function once more, as they are or with one name changed."""
    seen: dict[str, None] = {}
    for place in shape.places:
        node = place.statement
        if not isinstance(node, (ast.Expr, ast.Assign, ast.AugAssign)) or node.lineno != node.end_lineno:
            continue
        text = shape.file.source(node)
        if text in seen or len(text) > 80:
            continue
        seen[text] = None
        yield 0.12, "a statement like another", text
        used = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
        for old in dict.fromkeys(used):
            for new in names:
                if new != old and not (shape.kind(old) and shape.kind(new) and shape.kind(old) != shape.kind(new)):
                    yield 0.08, "a statement like another", re.sub(r"\b%s\b" % re.escape(old), new, text)


def _remembered(shape: Shape, names: list[str]) -> Iterator[tuple[float, str, str]]:
    """What a container is asked for, put into it."""
    asked = {}
    for node in shape.expressions:
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            asked[shape.file.source(node.comparators[0])] = shape.file.source(node.left)
    containers = {name: 0.04 for name in names if shape.kind(name) in ("sequence", "set")}
    containers.update({container: 0.15 for container in asked if container.isidentifier() or "." in container})
    for container, prior in containers.items():
        for name in dict.fromkeys([asked.get(container, ""), *names]):
            if name and name != container and name.isidentifier():
                for method in ("add", "append"):
                    if shape.kind(container) == ("sequence" if method == "add" else "set"):
                        continue
                    yield prior, "an element remembered", "%s.%s(%s)" % (container, method, name)


def guards(shape: Shape) -> Found:
    """An early return for what is empty, None or one, at the start of a function or before a statement."""
    for place in shape.places:
        first = isinstance(place.owner, FunctionNode) and (
            place.at == 0 or (place.at == 1 and _is_text(place.block[0]))
        )
        if not _alone(shape, place.statement) or not (first or isinstance(place.statement, (ast.Return, ast.Assign))):
            continue
        inner = shape.file.indent(place.statement.lineno) + _step(shape)
        for name in shape.names_at(place.statement):
            if name in ("self", "cls") or shape.is_late(place.statement, name):
                continue
            for condition in ("not %s", "%s is None"):
                for result in ("None", "[]", "0", "False", "True", "''", "1", "{}", name):
                    prior = (0.08 if first else 0.03) * (0.7 if condition != "not %s" else 1.0)
                    text = "if %s:%s%sreturn %s" % (condition % name, shape.file.newline, inner, result)
                    yield (
                        prior,
                        "an early return added",
                        place.statement,
                        _inserted(shape, place.statement, text, before=True),
                    )


def rebound(shape: Shape) -> Found:
    """A result that was dropped, kept; a change in place turned into an assignment, and the other way round."""
    for place in shape.places:
        node = place.statement
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            text = shape.file.source(call)
            yield 0.1, "the result returned", node, replace_statement(shape, node, "return " + text)
            if isinstance(call.func, ast.Attribute):
                target = shape.file.source(call.func.value)
                yield 0.3, "the result kept", node, replace_statement(shape, node, "%s = %s" % (target, text))
                if len(call.args) == 1:
                    value = shape.file.source(call.args[0])
                    yield (
                        0.12,
                        "an assignment in place of a change",
                        node,
                        replace_statement(shape, node, "%s = %s" % (target, value)),
                    )
                    yield (
                        0.08,
                        "an addition in place of a call",
                        node,
                        replace_statement(shape, node, "%s += %s" % (target, value)),
                    )
            elif call.args and isinstance(call.args[0], ast.Name):
                yield 0.2, "the result kept", node, replace_statement(shape, node, "%s = %s" % (call.args[0].id, text))
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            yield from _counted(shape, node, node.target)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            yield 0.2, "an assignment left out", node, replace_statement(shape, node, shape.file.source(node.value))
        elif isinstance(node, ast.Expr) and isinstance(node.value, (ast.Compare, ast.BinOp, ast.Name, ast.BoolOp)):
            yield (
                0.4,
                "the result returned",
                node,
                replace_statement(shape, node, "return " + shape.file.source(node.value)),
            )
        if isinstance(node, ast.Return) and node.value is not None and isinstance(node.value, ast.Call):
            yield 0.08, "a call without return", node, replace_statement(shape, node, shape.file.source(node.value))


def _counted(shape: Shape, node: ast.AugAssign, target: ast.Subscript) -> Found:
    """A count in a mapping that starts where there is no key yet."""
    base, key = shape.file.source(target.value), shape.file.source(subscript(target))
    value = shape.file.source(node.value)
    for default, prior in (("0", 0.25), ("[]", 0.1), ('""', 0.05)):
        text = "%s[%s] = %s.get(%s, %s) + %s" % (base, key, base, key, default, value)
        if isinstance(node.op, ast.Add):
            yield prior, "a default for a missing key", node, replace_statement(shape, node, text)


def replace_statement(shape: Shape, node: ast.stmt, text: str) -> tuple[Edit, ...]:
    """A statement's text replaced."""
    return (Edit(*shape.file.span(node), text),)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _in_loop(shape: Shape, node: ast.AST) -> bool:
    while node in shape.parents:
        node = shape.parents[node][0]
        if isinstance(node, (ast.For, ast.While, ast.AsyncFor)):
            return True
        if isinstance(node, FunctionNode):
            return False
    return False


def _alone(shape: Shape, node: ast.stmt) -> bool:
    """Whether the statement starts its line and nothing but a comment follows it."""
    start = shape.file.starts[node.lineno - 1]
    end_line = node.end_lineno or node.lineno
    rest = shape.file.data[shape.file.span(node)[1] : shape.file.starts[end_line]].strip()
    return not shape.file.data[start : shape.file.span(node)[0]].strip() and (not rest or rest.startswith(b"#"))


def _lines(shape: Shape, node: ast.stmt) -> tuple[int, int]:
    end = min(shape.file.starts[node.end_lineno or node.lineno], len(shape.file.data))
    return shape.file.starts[node.lineno - 1], end


def _inserted(shape: Shape, node: ast.stmt, text: str, *, before: bool) -> tuple[Edit, ...]:
    start, end = _lines(shape, node)
    indent, newline = shape.file.indent(node.lineno), shape.file.newline
    if before:
        return (Edit(start, start, indent + text + newline),)
    if not shape.file.data[:end].endswith(b"\n"):
        return (Edit(end, end, newline + indent + text),)
    return (Edit(end, end, indent + text + newline),)


def _step(shape: Shape) -> str:
    """One level of indentation, as the function has it."""
    outer = shape.file.indent(shape.unit.node.lineno)
    inner = shape.file.indent(shape.unit.node.body[0].lineno)
    return inner[len(outer) :] if inner.startswith(outer) and len(inner) > len(outer) else "    "


RULES = (dropped, jumps, moved, added, guards, rebound)
