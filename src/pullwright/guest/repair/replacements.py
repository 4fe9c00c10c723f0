"""An expression replaced by, or combined with, another one of the function."""

from __future__ import annotations

import ast
import difflib

from .edits import Found, compound_text, operand, replace, stepped
from .expressions import negation
from .shape import Shape, subscript

_LONGEST = 48  # bytes of an expression that is copied elsewhere
_WRAPPERS = ("abs", "int", "str", "list", "set", "sorted", "len", "sum", "tuple", "reversed", "float", "round", "bool")


def names(shape: Shape) -> Found:
    """Another name that is in scope, or the same one moved by a little."""
    for node in shape.expressions:
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
            continue
        called = shape.field(node) == "func"
        kind = shape.kind(node.id)
        for other in shape.names_at(node):
            if other != node.id:
                yield (
                    _likeness(shape, node, other, kind) * (0.2 if called else 1.0),
                    "another name",
                    node,
                    replace(shape, node, other),
                )
        for other, what in shape.globals.items():
            if other == node.id or (called and what == "value"):
                continue
            prior = 0.15 if what == shape.globals.get(node.id) else 0.06
            prior += 0.3 * difflib.SequenceMatcher(None, node.id, other).ratio() ** 3
            yield prior, "another name of the module", node, replace(shape, node, other)
        if not called:
            yield from _moved(shape, node, kind)


def _likeness(shape: Shape, node: ast.Name, other: str, kind: str) -> float:
    prior = 0.3 + 0.25 * difflib.SequenceMatcher(None, node.id, other).ratio()
    other_kind = shape.kind(other)
    if kind and other_kind:
        prior *= 1.3 if kind == other_kind else 0.15
    if shape.is_late(node, other):
        prior *= 0.3
    if _namesake(shape, node):
        prior *= 0.25
    return prior


def _namesake(shape: Shape, node: ast.Name) -> bool:
    """Whether a name goes where something of the same name is kept, as in `self.size = size`."""
    parent = shape.parent(node)
    if isinstance(parent, ast.keyword):
        return parent.arg == node.id
    if isinstance(parent, (ast.Assign, ast.AnnAssign)):
        targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        return any(isinstance(target, ast.Attribute) and target.attr.strip("_") == node.id for target in targets)
    return False


def exchanged(shape: Shape) -> Found:
    """Two names of one statement in each other's place."""
    within: dict[ast.AST, list[ast.Name]] = {}
    for node in shape.expressions:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            within.setdefault(shape.statement_of(node), []).append(node)
    for names_of in within.values():
        for at, left in enumerate(names_of[:12]):
            for right in names_of[at + 1 : 12]:
                kinds = shape.kind(left.id), shape.kind(right.id)
                if left.id != right.id and (not all(kinds) or kinds[0] == kinds[1]):
                    yield (
                        0.12,
                        "two names exchanged",
                        left,
                        replace(shape, left, right.id) + replace(shape, right, left.id),
                    )


def methods(shape: Shape) -> Found:
    """A method called on a text."""
    for node in shape.expressions:
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or shape.field(node) == "func":
            continue
        if shape.types.get(node.id) == ["str"]:
            for method in ("lower()", "strip()", "upper()", "split()", "rstrip()", "lstrip()", "title()"):
                yield 0.12, "a method call added", node, replace(shape, node, "%s.%s" % (node.id, method), False)
        if shape.types.get(node.id) in (["str"], ["int"], ["float"]):
            for call in ("str", "int", "float"):
                yield 0.08, "wrapped in a call", node, replace(shape, node, "%s(%s)" % (call, node.id), False)
        if shape.kind(node.id) == "sequence":
            for call in ("sorted(%s)", "list(%s)", "len(%s)", "reversed(%s)", "set(%s)", "%s.copy()"):
                yield 0.06, "wrapped in a call", node, replace(shape, node, call % node.id, False)


def _moved(shape: Shape, node: ast.Name, kind: str) -> Found:
    """The name one more, one less, its part, its part's attribute."""
    number = {"number": 1.0, "": 0.6}.get(kind, 0.0)
    sequence = {"sequence": 1.0, "": 0.5}.get(kind, 0.0)
    name = node.id
    if name in ("self", "cls") or (name in shape.globals and name not in shape.types):
        return
    for text, prior in (
        ("%s + 1", 0.45),
        ("%s - 1", 0.45),
        ("%s ** 2", 0.08),
        ("-%s", 0.1),
        ("2 * %s", 0.06),
        ("%s / 2", 0.04),
    ):
        yield prior * number, "a name moved", node, replace(shape, node, text % name)
    for text, prior in (("%s[1:]", 0.2), ("%s[:-1]", 0.15), ("%s[::-1]", 0.1), ("%s[0]", 0.1), ("%s[-1]", 0.1)):
        yield prior * sequence, "part of a sequence", node, replace(shape, node, text % name, False)
    for other in shape.names_at(node):
        if other == name:
            continue
        other_kind = shape.kind(other)
        if other_kind in ("number", ""):
            yield 0.15 * sequence, "part of a sequence", node, replace(shape, node, "%s[%s:]" % (name, other), False)
            yield 0.12 * sequence, "part of a sequence", node, replace(shape, node, "%s[:%s]" % (name, other), False)
            yield 0.08 * sequence, "part of a sequence", node, replace(shape, node, "%s[%s]" % (name, other), False)
            for sign, prior in (("-", 0.2), ("+", 0.15), ("*", 0.06), ("//", 0.03), ("%", 0.03)):
                yield prior * number, "a name combined", node, replace(shape, node, "%s %s %s" % (name, sign, other))
    for attribute in sorted(shape.attributes.get(name, ())):
        yield 0.12, "an attribute in place of the name", node, replace(shape, node, "%s.%s" % (name, attribute), False)
    for attribute in sorted(shape.attributes.get("self", ())):
        if attribute == name or attribute.strip("_") == name.strip("_"):
            yield 0.5, "an attribute in place of the name", node, replace(shape, node, "self." + attribute, False)


def others(shape: Shape) -> Found:
    """Another expression of the same function, or a name, in place of an expression."""
    pool = _pool(shape)
    for node in shape.expressions:
        if not isinstance(node, (ast.Call, ast.BinOp, ast.Subscript, ast.Attribute)):
            continue
        store = not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        text = shape.file.source(node)
        kind = shape.kind_of_expression(node)
        for other, (other_text, rank) in pool.items():
            if other_text == text or (text in other_text and isinstance(node, ast.Attribute)):
                continue
            if store and not isinstance(other, (ast.Subscript, ast.Attribute)):
                continue
            same = type(other) is type(node)
            prior = 0.16 if same else 0.06
            prior *= 1.0 + difflib.SequenceMatcher(None, text, other_text).quick_ratio()
            yield (
                prior,
                "another expression of the function",
                node,
                replace(shape, node, other_text, compound_text(other)),
            )
            del rank
        if shape.field(node) == "func" or store:
            continue
        for name in shape.names_at(node):
            factor = 0.3 if kind and shape.kind(name) and shape.kind(name) != kind else 1.0
            yield 0.18 * factor, "a name in place of an expression", node, replace(shape, node, name)


def _pool(shape: Shape) -> dict[ast.expr, tuple[str, int]]:
    seen: dict[str, None] = {}
    found: dict[ast.expr, tuple[str, int]] = {}
    for node in shape.expressions:
        if isinstance(node, (ast.Call, ast.BinOp, ast.Subscript, ast.Attribute)) and shape.field(node) != "func":
            text = shape.file.source(node)
            if len(text) <= _LONGEST and "\n" not in text and text not in seen:
                seen[text] = None
                found[node] = (text, len(found))
    return found


def adjusted(shape: Shape) -> Found:
    """An expression one more or one less, wrapped in a call, limited from one side."""
    for node in shape.expressions:
        if not isinstance(node, (ast.Call, ast.BinOp, ast.Subscript, ast.Attribute)):
            continue
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or shape.field(node) == "func":
            continue
        text = operand(shape, node) if not isinstance(node, ast.BinOp) else shape.file.source(node)
        kind = shape.kind_of_expression(node)
        parent = shape.parent(node)
        if kind in ("number", "") and not isinstance(parent, ast.Expr):
            plus = 0.3 if kind else 0.15
            for sign in ("+", "-"):
                yield plus, "one more or one less", node, replace(shape, node, stepped(shape, node, sign))
            yield 0.12, "not below zero", node, replace(shape, node, "max(0, %s)" % shape.file.source(node), False)
            for name in shape.names_at(node):
                if shape.kind(name) in ("number", ""):
                    for sign, prior in (("+", 0.06), ("-", 0.06), ("*", 0.02)):
                        yield prior, "a name combined", node, replace(shape, node, "%s %s %s" % (text, sign, name))
        if kind in ("sequence", ""):
            for name in shape.names_at(node):
                if shape.kind(name) in ("sequence", ""):
                    yield 0.05, "sequences joined", node, replace(shape, node, "%s + %s" % (name, text))
                    yield 0.05, "sequences joined", node, replace(shape, node, "%s + %s" % (text, name))
        yield from _wrapped(shape, node)


def _wrapped(shape: Shape, node: ast.expr) -> Found:
    text = shape.file.source(node)
    for wrapper in _WRAPPERS:
        yield 0.05, "wrapped in a call", node, replace(shape, node, "%s(%s)" % (wrapper, text), False)
    if isinstance(node, ast.Subscript) and not isinstance(subscript(node), ast.Slice):
        base, key = shape.file.source(node.value), shape.file.source(subscript(node))
        for default, prior in (("0", 0.15), ("[]", 0.1), ("None", 0.1), ("''", 0.05)):
            yield (
                prior,
                "a default for a missing key",
                node,
                replace(shape, node, "%s.get(%s, %s)" % (base, key, default), False),
            )
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and len(node.args) == 1
    ):
        inner = "%s, %%s" % shape.file.source(node.args[0])
        for default, prior in (("0", 0.3), ("[]", 0.2), ("''", 0.1), ("{}", 0.1), ("False", 0.05)):
            yield (
                prior,
                "a default for a missing key",
                node,
                replace(shape, node, "%s(%s)" % (shape.file.source(node.func), inner % default), False),
            )
    if isinstance(node, ast.Call):
        yield from _keywords(shape, node)
    for method in ("strip()", "lower()", "copy()", "upper()"):
        yield 0.05, "a method call added", node, replace(shape, node, "%s.%s" % (operand(shape, node), method), False)


def _keywords(shape: Shape, node: ast.Call) -> Found:
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    text = shape.file.source(node)
    if called in ("sorted", "sort") and not any(word.arg == "reverse" for word in node.keywords):
        inner = text[:-1].rstrip().rstrip(",")
        comma = "" if inner.endswith("(") else ", "
        yield 0.3, "an argument added", node, replace(shape, node, inner + comma + "reverse=True)", False)
    if node.keywords or not text.endswith(")"):
        return
    inner = text[:-1].rstrip().rstrip(",")
    comma = "" if inner.endswith("(") else ", "
    for name in shape.names_at(node):
        yield 0.05, "an argument added", node, replace(shape, node, "%s%s%s)" % (inner, comma, name), False)


def collections(shape: Shape) -> Found:
    """An empty collection given its element, elements left out."""
    for node in shape.expressions:
        if not isinstance(node, (ast.List, ast.Dict)) or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            continue
        parts: list[ast.expr] = node.elts if isinstance(node, ast.List) else []
        if isinstance(node, ast.List) and not parts:
            yield 0.2, "an element added", node, replace(shape, node, "[[]]", False)
            yield 0.05, "another constant", node, replace(shape, node, "[0]", False)
            yield 0.08, "another constant", node, replace(shape, node, "None", False)
            for name in shape.names_at(node):
                yield 0.2, "an element added", node, replace(shape, node, "[%s]" % name, False)
        elif isinstance(node, ast.List):
            yield 0.1, "an empty list", node, replace(shape, node, "[]", False)
            if len(parts) == 1:
                yield 0.15, "the element in place of the list", node, replace(shape, node, shape.file.source(parts[0]))


def results(shape: Shape) -> Found:
    """What is returned or assigned: negated, compared, joined, the larger or smaller of two."""
    for place in shape.places:
        node = place.statement
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _returned(shape, node.value)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            value = shape.file.source(node.value)
            target = node.targets[0]
            if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)):
                before = shape.file.source(target)
                for call in ("max", "min"):
                    yield (
                        0.2,
                        "the larger or smaller of two",
                        node,
                        replace(shape, node.value, "%s(%s, %s)" % (call, before, value), False),
                    )
                yield 0.1, "one after the other", node, replace(shape, node.value, "%s + %s" % (before, value))


def _returned(shape: Shape, value: ast.expr) -> Found:
    text = shape.file.source(value)
    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        for name in shape.names_at(value):
            for form, prior in (("%s == 0", 0.15), ("not %s", 0.15), ("bool(%s)", 0.1), ("%s > 0", 0.06), ("%s", 0.1)):
                yield prior, "a condition in place of a constant", value, replace(shape, value, form % name)
    elif isinstance(value, (ast.Compare, ast.BoolOp, ast.Call, ast.UnaryOp, ast.Name, ast.Attribute)):
        yield 0.25, "the result negated", value, replace(shape, value, negation(shape, value))
    if not isinstance(value, ast.Name):
        for name in shape.names_at(value):
            yield 0.15, "another result", value, replace(shape, value, name)
    if isinstance(value, (ast.ListComp, ast.List, ast.BinOp, ast.Call, ast.Name)):
        for name in shape.names_at(value):
            if name != text and shape.kind(name) in ("sequence", ""):
                yield 0.12, "sequences joined", value, replace(shape, value, "%s + %s" % (name, operand(shape, value)))
                yield 0.1, "sequences joined", value, replace(shape, value, "%s + %s" % (operand(shape, value), name))
    for default in ("0", "[]", "''", "None", "False"):
        if default != text and not isinstance(value, ast.Constant):
            yield (
                0.04,
                "a default for what is empty",
                value,
                replace(shape, value, "%s or %s" % (operand(shape, value), default)),
            )


RULES = (names, exchanged, methods, others, adjusted, collections, results)
