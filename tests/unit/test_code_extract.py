"""What is read of a file, language by language."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullwright.code.index.extract import (
    IMPORTED,
    KEYWORD,
    KINDS,
    MAX_TEXT,
    MEMBER,
    PLAIN,
    THROUGH,
    Extract,
    extract,
    pack,
    unpack,
)
from pullwright.code.index.languages import LANGUAGES, header_language, language_of


def read(language: str, text: str) -> Extract:
    return extract(language, text.encode())


def defined(found: Extract) -> set[tuple[str, str, int]]:
    """Kind, name with what it stands in, and line of each definition."""
    return {
        (one.kind, f"{one.container}.{one.name}" if one.container else one.name, one.line) for one in found.definitions
    }


def imported(found: Extract) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.target, one.names) for one in found.imports]


def test_python() -> None:
    found = read(
        "python",
        """import a.b as c, d
from . import x as y, z
from ..p.q import (r,  # why
                   s)
from m import *
A, B = 1, 2
T: int = 3
@deco
class K(Base):
    f: int = 1
    async def m(self):
        self.q = self.q2 = 1
        def inner(): local = 1
        return c.foo.bar(r, k=1), self.q.z, f().y
""",
    )
    assert defined(found) == {
        ("variable", "A", 6),
        ("variable", "B", 6),
        ("variable", "T", 7),
        ("class", "K", 9),
        ("field", "K.f", 10),
        ("method", "K.m", 11),
        ("field", "K.q", 12),
        ("field", "K.q2", 12),
        ("local", "K.m.inner", 13),
    }
    assert imported(found) == [
        ("a.b", ()),
        ("d", ()),
        (".", ("x", "z")),
        ("..p.q", ("r", "s")),
        ("m", ("*",)),
    ]
    uses = {name: unpack(places) for name, places in found.uses.items()}
    assert uses["r"] == [(3, IMPORTED), (14, PLAIN)]
    assert uses["bar"] == uses["foo"] == [(14, THROUGH)]
    assert uses["y"] == [(2, IMPORTED), (14, MEMBER)]
    assert uses["k"] == [(14, KEYWORD)]
    assert "K" not in uses, "a definition is no use of its own name"


def test_typescript() -> None:
    found = read(
        "typescript",
        """import a, {b as c, type D} from './x';
import * as ns from "y";
export * from './z'; export {q as r} from './w';
export class A<T> extends B { #p = 1;
  static m(): void { ns.foo(); }
  constructor(private readonly y: string) {} }
export interface I { bar: number }
export type T1 = string; export enum E {A1, B1 = 2}
export const f = (x: number) => x, o = {k: 1};
const {u, v: w} = require('./q');
namespace N { export function inner() {} }
const lazy = () => import('./lazy');
describe('x', () => { const local = 1; });
""",
    )
    assert defined(found) == {
        ("class", "A", 4),
        ("field", "A.p", 4),
        ("method", "A.m", 5),
        ("method", "A.constructor", 6),
        ("interface", "I", 7),
        ("field", "I.bar", 7),
        ("type", "T1", 8),
        ("enum", "E", 8),
        ("constant", "E.A1", 8),
        ("constant", "E.B1", 8),
        ("function", "f", 9),
        ("variable", "o", 9),
        ("function", "N.inner", 11),
        ("function", "lazy", 12),
    }
    assert imported(found) == [
        ("./x", ("b", "D", "default")),
        ("y", ()),
        ("./z", ("*",)),
        ("./w", ("q",)),
        ("./q", ("u", "v")),
        ("./lazy", ()),
    ]
    assert unpack(found.uses["foo"]) == [(5, THROUGH)]


@pytest.mark.parametrize("language", ["javascript", "tsx"])
def test_components(language: str) -> None:
    found = read(
        language,
        """import React from 'react';
export default function App() { return <Panel.Body title="x"/>; }
exports.helper = function () { return 1 }
""",
    )
    assert {("function", "App", 2), ("function", "helper", 3)} <= defined(found)
    assert imported(found) == [("react", ("default",))]
    assert unpack(found.uses["Panel"]) == [(2, PLAIN)]
    assert found.note == ""


def test_go() -> None:
    found = read(
        "go",
        """package p
import ("fmt"; x "a.b/c-d"; . "e"; "m/v2")
type T struct { A int; b, c string }
type I interface { M(a int) error }
type My string
func (t *T) Meth() { fmt.Println(t.A, x.Y) }
func (g G[K]) GM() {}
func F() { const local = 1 }
const (C1 = 1; C2 = 2)
var v1, v2 = 1, 2
""",
    )
    assert defined(found) == {
        ("class", "T", 3),
        ("field", "T.A", 3),
        ("field", "T.b", 3),
        ("field", "T.c", 3),
        ("interface", "I", 4),
        ("method", "I.M", 4),
        ("type", "My", 5),
        ("method", "T.Meth", 6),
        ("method", "G.GM", 7),
        ("function", "F", 8),
        ("constant", "C1", 9),
        ("constant", "C2", 9),
        ("variable", "v1", 10),
        ("variable", "v2", 10),
    }
    assert imported(found) == [("fmt", ()), ("a.b/c-d", ()), ("e", ("*",)), ("m/v2", ())]
    assert unpack(found.uses["Y"]) == [(6, THROUGH)]
    assert unpack(found.uses["A"]) == [(6, MEMBER)]


def test_rust() -> None:
    found = read(
        "rust",
        """use crate::a::{b, c::D as E, self}; use super::x::*;
pub mod foo; mod inl { pub fn q() {} }
pub struct S { pub a: u8 }
enum E1 { A, B(u8) }
trait T { fn m(&self); const K: u8; }
impl<X> T for S<X> { fn m(&self) { self.a; S::new(); E::z } }
impl S { pub fn new() -> Self { } }
macro_rules! mac { () => {} }
static ST: u8 = 1; type Al = u8;
""",
    )
    assert defined(found) == {
        ("function", "inl.q", 2),
        ("class", "S", 3),
        ("field", "S.a", 3),
        ("enum", "E1", 4),
        ("constant", "E1.A", 4),
        ("constant", "E1.B", 4),
        ("interface", "T", 5),
        ("method", "T.m", 5),
        ("constant", "T.K", 5),
        ("method", "S.m", 6),
        ("method", "S.new", 7),
        ("macro", "mac", 8),
        ("variable", "ST", 9),
        ("type", "Al", 9),
    }
    assert imported(found) == [
        ("crate::a", ("b",)),
        ("crate::a::c", ("D",)),
        ("crate", ("a",)),
        ("super::x", ("*",)),
        ("mod foo", ()),
    ]
    assert unpack(found.uses["new"]) == [(6, MEMBER)]
    assert unpack(found.uses["z"]) == [(6, THROUGH)]


def test_java() -> None:
    found = read(
        "java",
        """package a.b; import c.D; import static e.F.g; import h.*;
@Annotated
public class A extends B { private int x = 1, y; A() {}
  void m() { foo(); this.x = 2; D.q(); }
  enum E {P; void em(){} }
  interface I { int K = 1; } record R(int c) {} }
""",
    )
    assert defined(found) == {
        ("class", "A", 3),
        ("field", "A.x", 3),
        ("field", "A.y", 3),
        ("method", "A.A", 3),
        ("method", "A.m", 4),
        ("enum", "A.E", 5),
        ("constant", "A.E.P", 5),
        ("method", "A.E.em", 5),
        ("interface", "A.I", 6),
        ("field", "A.I.K", 6),
        ("class", "A.R", 6),
    }
    assert imported(found) == [("c.D", ("D",)), ("e.F", ("g",)), ("h", ("*",))]
    assert unpack(found.uses["q"]) == [(4, THROUGH)]
    assert unpack(found.uses["foo"]) == [(4, PLAIN)]


def test_c() -> None:
    found = read(
        "c",
        """#include "a/b.h"
#include <vec.h>
#define MAX(a) a
struct S { int a, *b; };
typedef struct { int q; } TS;
typedef int (*fp)(int);
static int glob = 3;
int decl(int);
static struct S *
made(void) { int local = 1; return s->a; }
enum Q { ONE };
""",
    )
    assert defined(found) == {
        ("macro", "MAX", 3),
        ("class", "S", 4),
        ("field", "S.a", 4),
        ("field", "S.b", 4),
        ("type", "TS", 5),
        ("field", "TS.q", 5),
        ("type", "fp", 6),
        ("variable", "glob", 7),
        ("declaration", "decl", 8),
        ("function", "made", 10),
        ("enum", "Q", 11),
        ("constant", "Q.ONE", 11),
    }
    assert imported(found) == [("a/b.h", ("*",)), ("<vec.h>", ("*",))]
    assert unpack(found.uses["a"])[-1] == (10, MEMBER)


def test_cpp() -> None:
    found = read(
        "cpp",
        """namespace ns {
class Foo : public Bar { public: int x; void m(int); int inl() { return 1; } };
}
int ns::Foo::m2(int a) { return a; }
template <class T> T tf(T a) { return a; }
using U = int;
Foo::~Foo() {}
""",
    )
    assert defined(found) == {
        ("class", "ns.Foo", 2),
        ("field", "ns.Foo.x", 2),
        ("declaration", "ns.Foo.m", 2),
        ("method", "ns.Foo.inl", 2),
        ("method", "ns.Foo.m2", 4),
        ("function", "tf", 5),
        ("type", "U", 6),
        ("method", "Foo.Foo", 7),
    }


def test_files_that_name_their_folder() -> None:
    assert defined(read("go-module", "// x\nmodule example.org/m/v2 // y\n")) == {("module", "example.org/m/v2", 1)}
    assert defined(read("node-package", '{"name": "@a/b"}')) == {("module", "@a/b", 1)}
    for broken in ("", "[]", "{", '{"name": 3}', json.dumps({"name": "x" * 1000}), "[" * 100_000):
        assert read("node-package", broken).definitions == []


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("a.pyi", "python"),
        ("x.tsx", "tsx"),
        ("x.d.ts", "typescript"),
        ("x.mjs", "javascript"),
        ("a.h", "c"),
        ("a.hpp", "cpp"),
        ("go.mod", "go-module"),
        ("web/package.json", "node-package"),
        ("node_modules/a/x.js", None),
        ("x.min.js", None),
        ("x_pb2.py", None),
        ("README.md", None),
        ("py", None),
    ],
)
def test_languages_by_name(path: str, language: str | None) -> None:
    assert language_of(path) == language


def test_a_header_is_what_the_repository_is() -> None:
    assert header_language(["a.h", "a.c"]) == "c"
    assert language_of("a.h", headers=header_language(["a.h", "b.cc"])) == "cpp"


PARSED = sorted(name for name, language in LANGUAGES.items() if language.module)


@pytest.mark.parametrize("language", PARSED)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00\x01",
        b"\x00" * 100,
        b"(" * 20_000,
        b"{[(" * 5_000,
        b"def class func struct import from use mod\n" * 500,
        b"x" * 50_000,
        b"import " + b"a," * 5_000 + b"\n",
        "class Ünïcode { déf() }\nclass \ud7ff: pass".encode(),
        b"a" + b".b" * 10_000,
        b"'''\n" * 999,
    ],
    ids=range(11),
)
def test_no_content_is_too_much(language: str, data: bytes) -> None:
    found = extract(language, data)
    assert all(one.kind in KINDS and 1 <= one.line <= one.end <= found.lines for one in found.definitions)
    assert all(len(one.text) <= MAX_TEXT for one in found.definitions)
    for places in found.uses.values():
        assert all(1 <= line <= found.lines for line, _ in unpack(places))


def test_generated_and_binary_files_are_left_out() -> None:
    assert extract("javascript", b"var a=1;" * 1000).note == "minified or generated"
    assert extract("python", b"x = 1\n\0").note == "binary"
    assert extract("python", b"def f(:\n").note == "syntax errors"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="abc :=.()\n\t'\"#{}[]<>,;*&@def class import from"), st.sampled_from(PARSED))
def test_any_text_can_be_read(text: str, language: str) -> None:
    extract(language, text.encode())


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 4))))
def test_places_survive_packing(places: list[tuple[int, int]]) -> None:
    ordered = sorted(places)
    assert unpack(pack(ordered)) == ordered
