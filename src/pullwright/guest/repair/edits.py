"""A candidate edit, and every candidate for one function."""

from __future__ import annotations

import ast
import heapq
import math
import re
import time
from typing import Container, Iterable, Iterator, NamedTuple, Tuple

from .shape import Shape
from .source import Edit, Unit

_TIGHT = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Attribute, ast.Starred, ast.Await, ast.IfExp)


class Candidate(NamedTuple):
    """One small edit of one function."""

    unit: Unit
    edits: tuple[Edit, ...]
    rule: str  # which kind of edit, in words
    prior: float  # how likely this kind of edit is, before anything is known of the bug
    line: int  # the line it is about

    @property
    def key(self) -> tuple[str, tuple[Edit, ...]]:
        """What makes two candidates the same."""
        return (self.unit.file.path, self.edits)


Found = Iterator[Tuple[float, str, ast.AST, Tuple[Edit, ...]]]


def replace(shape: Shape, node: ast.AST, text: str, compound: bool = True) -> tuple[Edit, ...]:
    """An expression's text replaced, in parentheses where the place asks for them."""
    start, end = shape.file.span(node)
    if compound and not re.fullmatch(r"[\w.]+", text) and _needs_parentheses(shape, node, start, end):
        text = "(" + text + ")"
    return (Edit(start, end, text),)


def _needs_parentheses(shape: Shape, node: ast.AST, start: int, end: int) -> bool:
    parent, field = shape.parents.get(node, (None, ""))
    tight = isinstance(parent, (*_TIGHT, ast.BoolOp)) or (
        isinstance(parent, (ast.Call, ast.Subscript)) and field in ("func", "value")
    )
    if isinstance(parent, ast.comprehension):
        tight = field in ("ifs", "iter")
    if not tight:
        return False
    data = shape.file.data
    return not (data[start - 1 : start] == b"(" and data[end : end + 1] == b")" and not isinstance(parent, ast.Call))


def compound_text(node: ast.AST) -> bool:
    """Whether an expression, put into another, may need parentheses around it."""
    return isinstance(
        node, (ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Lambda, ast.Await, ast.Yield)
    )


def operand(shape: Shape, node: ast.AST) -> str:
    """An expression's text, fit to stand beside an operator."""
    text = shape.file.source(node)
    return "(" + text + ")" if compound_text(node) else text


def stepped(shape: Shape, node: ast.AST, sign: str) -> str:
    """The text of an expression one more (`+`) or one less (`-`)."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        if isinstance(node.right, ast.Constant) and type(node.right.value) is int:
            value = node.right.value if isinstance(node.op, ast.Add) else -node.right.value
            value += 1 if sign == "+" else -1
            left = shape.file.source(node.left)
            return left if not value else "%s %s %d" % (left, "+" if value > 0 else "-", abs(value))
        return "%s %s 1" % (shape.file.source(node), sign)
    return "%s %s 1" % (operand(shape, node) if not isinstance(node, ast.BinOp) else shape.file.source(node), sign)


def between(shape: Shape, left: ast.AST, right: ast.AST, old: tuple[str, ...], new: str) -> tuple[Edit, ...]:
    """The operator between two expressions replaced; nothing where it cannot be found for sure."""
    start, end = shape.file.span(left)[1], shape.file.span(right)[0]
    gap = shape.file.data[start:end].decode("utf-8")
    if "#" in gap:
        return ()
    for text in old:
        at = gap.find(text)
        if at >= 0:
            offset = start + len(gap[:at].encode())
            return (Edit(offset, offset + len(text), new),)
    return ()


_MOST = 6000  # candidates of one function


def candidates(
    unit: Unit, types: dict[str, list[str]], lines: Container[int] | None = None, until: float = math.inf
) -> list[Candidate]:
    """Every edit that the rules know for a function, each once, under its highest prior.

    `lines` that the failing tests run, None for all; no more are made after `until` on the monotonic clock.
    """
    from .expressions import RULES as EXPRESSIONS
    from .replacements import RULES as REPLACEMENTS
    from .statements import RULES as STATEMENTS

    shape = Shape(unit, types)
    wanted = None if lines is None else shape.lines_with(lines)
    best: dict[object, Candidate] = {}
    for rule in (*EXPRESSIONS, *REPLACEMENTS, *STATEMENTS):
        for prior, words, node, edits in rule(shape):
            line = getattr(node, "lineno", unit.first)
            if not edits or prior <= 0 or (wanted is not None and line not in wanted):
                continue
            found = Candidate(unit, edits, words, prior, line)
            known = best.get(found.key)
            if known is None or known.prior < prior:
                best[found.key] = found
        if time.monotonic() > until:
            break
    return heapq.nlargest(_MOST, best.values(), key=lambda one: (one.prior, -one.line, one.rule))


def ordered(found: Iterable[Candidate], suspicion: dict[tuple[str, int], float]) -> list[Candidate]:
    """Candidates by prior and suspicion of their line, ties in the order of the file."""
    weighed = []
    for candidate in found:
        path = candidate.unit.file.path
        weight = candidate.prior * (suspicion.get((path, candidate.line), 0.0) + 0.02)
        weighed.append((-weight, path, candidate.line, candidate.edits, candidate))
    weighed.sort(key=lambda item: item[:4])
    return [item[4] for item in weighed]
