"""Small edits of expressions: operators, constants, conditions, arguments, names of calls and attributes."""

from __future__ import annotations

import ast
import difflib

from .edits import Found, between, compound_text, operand, replace, stepped
from .shape import Shape, subscript
from .source import Edit

_COMPARE: dict[type, tuple[tuple[str, ...], tuple[tuple[str, float], ...]]] = {
    ast.Lt: (("<",), (("<=", 1.0), (">", 0.5), (">=", 0.4), ("!=", 0.1))),
    ast.LtE: (("<=",), (("<", 1.0), (">=", 0.4), (">", 0.4), ("==", 0.1))),
    ast.Gt: ((">",), ((">=", 1.0), ("<", 0.5), ("<=", 0.4), ("!=", 0.1))),
    ast.GtE: ((">=",), ((">", 1.0), ("<=", 0.4), ("<", 0.4), ("==", 0.1))),
    ast.Eq: (("==",), (("!=", 0.6), ("<=", 0.35), (">=", 0.35), ("<", 0.15), (">", 0.15), ("in", 0.2), ("is", 0.05))),
    ast.NotEq: (("!=",), (("==", 0.6), ("<", 0.3), (">", 0.3), ("not in", 0.1))),
    ast.In: (("in",), (("not in", 0.6), ("==", 0.15))),
    ast.NotIn: (("not in",), (("in", 0.6), ("!=", 0.15))),
    ast.Is: (("is",), (("is not", 0.6), ("==", 0.4))),
    ast.IsNot: (("is not",), (("is", 0.6), ("!=", 0.4))),
}
_BINARY: dict[type, tuple[str, tuple[tuple[str, float], ...]]] = {
    ast.Add: ("+", (("-", 0.7), ("*", 0.2), ("|", 0.05))),
    ast.Sub: ("-", (("+", 0.7), ("/", 0.05), ("%", 0.05))),
    ast.Mult: ("*", (("/", 0.3), ("+", 0.3), ("**", 0.3), ("//", 0.2))),
    ast.Div: ("/", (("//", 0.7), ("*", 0.4), ("%", 0.2))),
    ast.FloorDiv: ("//", (("/", 0.6), ("%", 0.5), ("*", 0.2))),
    ast.Mod: ("%", (("//", 0.6), ("/", 0.2))),
    ast.Pow: ("**", (("*", 0.4),)),
    ast.BitAnd: ("&", (("|", 0.6), ("^", 0.4))),
    ast.BitOr: ("|", (("&", 0.6), ("^", 0.4), ("+", 0.1))),
    ast.BitXor: ("^", (("&", 0.6), ("|", 0.5), ("**", 0.3))),
    ast.LShift: ("<<", ((">>", 0.7),)),
    ast.RShift: (">>", (("<<", 0.7),)),
}
# Names that are taken for one another.
_CONFUSED = [
    ("any", "all"),
    ("min", "max"),
    ("append", "extend", "add", "insert", "appendleft"),
    ("remove", "discard", "pop", "popleft"),
    ("lower", "upper", "title", "capitalize", "casefold"),
    ("strip", "lstrip", "rstrip"),
    ("split", "rsplit", "splitlines"),
    ("partition", "rpartition"),
    ("find", "rfind", "index", "rindex"),
    ("startswith", "endswith"),
    ("keys", "values", "items"),
    ("floor", "ceil", "trunc"),
    ("round", "int", "float"),
    ("sorted", "reversed", "list"),
    ("issubset", "issuperset", "isdisjoint"),
    ("union", "intersection", "difference", "symmetric_difference"),
    ("isdigit", "isalpha", "isalnum", "isspace", "isnumeric"),
    ("sum", "len", "max"),
    ("ljust", "rjust", "center"),
    ("update", "setdefault"),
    ("heappush", "heappop"),
    ("list", "set", "tuple"),
    ("str", "repr"),
    ("first", "last"),
    ("next", "iter"),
]


def comparisons(shape: Shape) -> Found:
    """Another comparison, a bound moved by one, an operand added to or taken from."""
    for node in shape.expressions:
        if not isinstance(node, ast.Compare):
            continue
        operands = [node.left, *node.comparators]
        for index, operator in enumerate(node.ops):
            old, news = _COMPARE[type(operator)]
            left, right = operands[index], operands[index + 1]
            for new, prior in news:
                yield prior, "another comparison", node, between(shape, left, right, old, new)
            yield from _bound_moved(shape, node, left, right, old, [new for new, _ in news])


def _bound_moved(
    shape: Shape, node: ast.Compare, left: ast.AST, right: ast.AST, old: tuple[str, ...], news: list[str]
) -> Found:
    if not (isinstance(right, ast.Constant) and type(right.value) is int):
        return
    for new in news:
        if new in ("<", "<=", ">", ">=", "==", "!="):
            for value in (right.value + 1, right.value - 1):
                edits = between(shape, left, right, old, new) + replace(shape, right, str(value))
                yield 0.15, "another comparison and bound", node, edits


def operators(shape: Shape) -> Found:
    """Another operator, an operand left out, operands swapped."""
    for node in shape.expressions:
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            old, news = _BINARY[type(node.op)]
            for new, prior in news:
                yield prior, "another operator", node, between(shape, node.left, node.right, (old,), new)
            for side in (node.left, node.right):
                yield (
                    0.35,
                    "an operand left out",
                    node,
                    replace(shape, node, shape.file.source(side), compound_text(side)),
                )
            if not isinstance(node.op, ast.Mult):
                yield 0.45, "operands swapped", node, _swapped(shape, node.left, node.right)
        elif isinstance(node, ast.BoolOp):
            yield from _boolean(shape, node)
        elif isinstance(node, ast.UnaryOp):
            yield 0.6, "an operator left out", node, replace(shape, node, shape.file.source(node.operand))


def _boolean(shape: Shape, node: ast.BoolOp) -> Found:
    old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    edits: tuple[Edit, ...] = ()
    for left, right in [(node.values[at], node.values[at + 1]) for at in range(len(node.values) - 1)]:
        edits += between(shape, left, right, (old,), new)
    yield 0.7, "`%s` for `%s`" % (new, old), node, edits
    for index, value in enumerate(node.values):
        rest = [operand(shape, other) for at, other in enumerate(node.values) if at != index]
        yield 0.4, "a condition left out", node, replace(shape, node, (" %s " % old).join(rest))
        yield 0.35, "a condition negated", node, replace(shape, value, negation(shape, value), False)


def negation(shape: Shape, node: ast.AST) -> str:
    """The text of an expression's negation."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return shape.file.source(node.operand)
    return "not " + operand(shape, node)


def augmented(shape: Shape) -> Found:
    """`+=` for `-=`, `=` for `+=`, and the like."""
    for place in shape.places:
        node = place.statement
        if isinstance(node, ast.AugAssign) and type(node.op) in _BINARY:
            old, news = _BINARY[type(node.op)]
            for new, prior in news:
                yield prior, "another operator", node, between(shape, node.target, node.value, (old + "=",), new + "=")
            yield (
                0.3,
                "assignment in place of addition",
                node,
                between(shape, node.target, node.value, (old + "=",), "="),
            )
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            for new, prior in (("+=", 0.3), ("-=", 0.1), ("*=", 0.05), ("|=", 0.03)):
                yield (
                    prior,
                    "addition in place of assignment",
                    node,
                    between(shape, node.targets[0], node.value, ("=",), new),
                )


def constants(shape: Shape) -> Found:
    """A number one off, a flag turned, another string of the file."""
    for node in shape.expressions:
        if not isinstance(node, ast.Constant):
            continue
        value = node.value
        if isinstance(value, bool):
            yield 0.6, "the other truth value", node, replace(shape, node, str(not value))
        elif isinstance(value, (int, float)):
            yield from _numbers(shape, node, value)
        elif isinstance(value, str) and isinstance(shape.file.source(node)[:1], str):
            yield from _texts(shape, node, value)
        elif value is None:
            for text, prior in (("0", 0.1), ("[]", 0.1), ("False", 0.1), ("''", 0.05), ("True", 0.05)):
                yield prior, "another constant", node, replace(shape, node, text)


def _numbers(shape: Shape, node: ast.Constant, value: float) -> Found:
    near = {value + 1: 0.6, value - 1: 0.6, 0: 0.3, 1: 0.3, -1: 0.15, -value: 0.2, 2: 0.1}
    if abs(value) < 10**15:
        near.update({value * 10: 0.1, value / 10: 0.1, value * 100: 0.05, value / 100: 0.05, value * 2: 0.05})
    seen = {value}
    parent = shape.parents.get(node, (None, ""))[0]
    parity = 0.2 if value == 2 and isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mod) else 1.0
    for other, prior in near.items():
        if other in seen:
            continue
        seen.add(other)
        if isinstance(value, int) and isinstance(other, float) and other.is_integer():
            other = int(other)
        if isinstance(value, int) != isinstance(other, int):
            continue
        yield prior * parity, "another number", node, replace(shape, node, repr(other), other < 0)
    yield 0.04, "another constant", node, replace(shape, node, "None")
    if value == 0:
        yield 0.1, "another constant", node, replace(shape, node, "float('inf')", False)
        yield 0.1, "another constant", node, replace(shape, node, "float('-inf')", False)


def _texts(shape: Shape, node: ast.Constant, value: str) -> Found:
    text = shape.file.source(node)
    if not text or text[0] not in "'\"" or text[:3] in ("'''", '"""'):
        return
    quote = text[0]
    others = {"": 0.1, " ": 0.15, value + " ": 0.1, " " + value: 0.1, value.strip(): 0.15}
    others.update({value.lower(): 0.15, value.upper(): 0.15, value + "\n": 0.08, value.rstrip("\n"): 0.15})
    for other in shape.strings:
        ratio = difflib.SequenceMatcher(None, value, other).quick_ratio()
        others.setdefault(other, 0.08 + 0.2 * ratio * ratio)
    for other, prior in others.items():
        if other != value and quote not in other and "\\" not in other and other.isprintable():
            yield prior, "another text", node, replace(shape, node, quote + other + quote)
        elif other != value and other.replace("\n", "").isprintable() and quote not in other and "\\" not in other:
            yield prior, "another text", node, replace(shape, node, quote + other.replace("\n", "\\n") + quote)


def conditions(shape: Shape) -> Found:
    """A condition negated, set aside, or guarded against what is empty or None."""
    for node in shape.expressions:
        if not shape.in_condition(node):
            continue
        text = shape.file.source(node)
        both = operand(shape, node) if isinstance(node, (ast.BoolOp, ast.IfExp, ast.Lambda)) else text
        constant = isinstance(node, ast.Constant)
        yield 0.5, "the condition negated", node, replace(shape, node, negation(shape, node))
        if not constant:
            yield 0.1, "the condition always true", node, replace(shape, node, "True")
            yield 0.1, "the condition never true", node, replace(shape, node, "False")
        for name in shape.names_at(node):
            if constant:
                yield 0.4, "a condition in place of a constant", node, replace(shape, node, name)
                yield 0.1, "a condition in place of a constant", node, replace(shape, node, "not " + name)
                continue
            if name == text:
                yield 0.2, "`is not None` in place of truth", node, replace(shape, node, name + " is not None")
                continue
            used = 1.5 if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node)) else 1.0
            for words, prior in (
                ("%s or not %s", 0.14),
                ("%s and %s", 0.14),
                ("%s or %s", 0.05),
                ("%s and not %s", 0.06),
            ):
                yield prior * used, "a condition added", node, replace(shape, node, words % (both, name))
        yield from _none_guards(shape, node, both)
        yield from _sibling_conditions(shape, node, both)


def _none_guards(shape: Shape, node: ast.expr, text: str) -> Found:
    seen = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Attribute, ast.Subscript, ast.Name)):
            base = shape.file.source(part if isinstance(part, ast.Name) else part.value)
            if base in seen or base == "self":
                continue
            seen.add(base)
            prior = 0.35 if not isinstance(part, ast.Name) else 0.15
            yield prior, "a guard against None", node, replace(shape, node, "%s is None or %s" % (base, text))
            yield prior, "a guard against None", node, replace(shape, node, "%s is not None and %s" % (base, text))
            yield prior / 3, "a guard against emptiness", node, replace(shape, node, "not %s or %s" % (base, text))
            yield prior / 3, "a guard against emptiness", node, replace(shape, node, "%s and %s" % (base, text))


def _sibling_conditions(shape: Shape, node: ast.expr, text: str) -> Found:
    """Conditions of the same function joined to this one."""
    for other in shape.expressions:
        if other is node or not isinstance(other, ast.Compare):
            continue
        other_text = shape.file.source(other)
        if len(other_text) < 60 and other_text not in text:
            yield 0.06, "a condition added", node, replace(shape, node, "%s and %s" % (text, other_text))
            yield 0.06, "a condition added", node, replace(shape, node, "%s or %s" % (text, other_text))


def sequences(shape: Shape) -> Found:
    """Arguments, elements and branches swapped or left out."""
    for node in shape.expressions:
        if isinstance(node, ast.Call):
            yield from _pairs(shape, node, list(node.args), 0.7, "arguments swapped")
            for at, argument in enumerate(node.args):
                if len(node.args) > 1:
                    yield 0.2, "an argument left out", node, _without(shape, list(node.args), at)
                yield (
                    0.35,
                    "the argument in place of the call",
                    node,
                    replace(shape, node, shape.file.source(argument), compound_text(argument)),
                )
            if isinstance(node.func, ast.Attribute) and not node.keywords:
                yield 0.25, "a call left out", node, replace(shape, node, shape.file.source(node.func.value), False)
        elif isinstance(node, (ast.Tuple, ast.List)):
            yield from _pairs(shape, node, list(node.elts), 0.35, "elements swapped")
        elif isinstance(node, ast.IfExp):
            yield 0.4, "branches swapped", node, _swapped(shape, node.body, node.orelse)
            yield 0.1, "one branch only", node, replace(shape, node, shape.file.source(node.body))
            yield 0.1, "one branch only", node, replace(shape, node, shape.file.source(node.orelse))
        elif isinstance(node, ast.Slice):
            continue
        elif isinstance(node, (ast.Yield, ast.YieldFrom)) and node.value is not None:
            text = shape.file.source(node.value)
            word = "yield " if isinstance(node, ast.YieldFrom) else "yield from "
            yield 0.5, "`%s`" % word.strip(), node, (Edit(*shape.file.span(node), word + text),)
        elif isinstance(node, ast.DictComp):
            yield 0.2, "key and value swapped", node, _swapped(shape, node.key, node.value)


def _pairs(shape: Shape, node: ast.AST, parts: list[ast.expr], prior: float, words: str) -> Found:
    for left in range(len(parts)):
        for right in range(left + 1, len(parts)):
            yield prior / (right - left), words, node, _swapped(shape, parts[left], parts[right])


def _swapped(shape: Shape, left: ast.AST, right: ast.AST) -> tuple[Edit, ...]:
    first, second = shape.file.source(left), shape.file.source(right)
    if first == second:
        return ()
    return replace(shape, left, second, compound_text(right)) + replace(shape, right, first, compound_text(left))


def _without(shape: Shape, parts: list[ast.expr], at: int) -> tuple[Edit, ...]:
    start, end = shape.file.span(parts[at])
    if at + 1 < len(parts):
        end = shape.file.span(parts[at + 1])[0]
    elif at:
        start = shape.file.span(parts[at - 1])[1]
    return (Edit(start, end, ""),)


def spelling(shape: Shape) -> Found:
    """A method, a function or an attribute that is taken for another one."""
    for node in shape.expressions:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for other in _confused(node.id):
                yield 0.6, "another function", node, replace(shape, node, other)
        elif isinstance(node, ast.Attribute):
            end = shape.file.span(node)[1]
            start = end - len(node.attr.encode())
            for other in _confused(node.attr):
                yield 0.55, "another method", node, (Edit(start, end, other),)
            near = shape.attributes.get(node.value.id, set()) if isinstance(node.value, ast.Name) else set()
            for other in sorted(shape.attributes[""] - {node.attr}):
                ratio = difflib.SequenceMatcher(None, node.attr, other).ratio()
                prior = 0.05 + 0.45 * ratio * ratio + (0.1 if other in near else 0.0)
                yield prior, "another attribute", node, (Edit(start, end, other),)


def _confused(name: str) -> list[str]:
    return [other for group in _CONFUSED if name in group for other in group if other != name]


def slices(shape: Shape) -> Found:
    """Bounds of slices and ranges moved by one, added or left out."""
    for node in shape.expressions:
        if isinstance(node, ast.Subscript):
            bounds = subscript(node)
            if isinstance(bounds, ast.Slice):
                yield from _slice_bounds(shape, node, bounds)
            elif isinstance(bounds, ast.Constant) and bounds.value in (0, -1):
                yield 0.4, "the other end", node, replace(shape, bounds, "-1" if bounds.value == 0 else "0")
            elif isinstance(bounds, ast.UnaryOp):
                yield 0.4, "the other end", node, replace(shape, bounds, "0")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            yield from _range_bounds(shape, node)


def _slice_bounds(shape: Shape, node: ast.Subscript, bounds: ast.Slice) -> Found:
    value = shape.file.source(node.value)
    lower = shape.file.source(bounds.lower) if bounds.lower else ""
    upper = shape.file.source(bounds.upper) if bounds.upper else ""
    step = ":" + shape.file.source(bounds.step) if bounds.step else ""
    low = [lower, "", "1"] + ([lower + " + 1", lower + " - 1"] if lower else [])
    high = [upper, "", "-1"] + ([upper + " + 1", upper + " - 1"] if upper else [])
    yield 0.3, "the whole in place of a slice", node, replace(shape, node, value, False)
    for at, first in enumerate(low):
        for at_high, last in enumerate(high):
            if (at == 0) != (at_high == 0):
                yield (
                    0.35,
                    "another bound",
                    node,
                    replace(shape, node, "%s[%s:%s%s]" % (value, first, last, step), False),
                )


def _range_bounds(shape: Shape, node: ast.Call) -> Found:
    arguments = [shape.file.source(argument) for argument in node.args]
    if not arguments or node.keywords or len(arguments) > 3:
        return
    start, stop = ("0", arguments[0]) if len(arguments) == 1 else (arguments[0], arguments[1])
    texts = [(0.5, "1, " + stop)] if len(arguments) == 1 else [(0.2, stop)]
    if len(arguments) < 3:
        texts += [(0.2, "%s - 1, %s - 1, -1" % (stop, start)), (0.1, "%s, %s, -1" % (stop, start))]
        texts += [(0.1, "%s, %s, 2" % (start, stop))]
    for argument in node.args:
        for sign in ("+", "-"):
            yield (
                0.7,
                "a range one longer or shorter",
                node,
                replace(shape, argument, stepped(shape, argument, sign), False),
            )
    for prior, text in texts:
        yield prior, "another range", node, replace(shape, node, "range(%s)" % text, False)


RULES = (comparisons, operators, augmented, constants, conditions, sequences, spelling, slices)
