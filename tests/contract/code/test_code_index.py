"""The index over real stores: what is read when, and what the questions are answered with."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from pullwright.code.index import parsers
from pullwright.code.index.indexes import Building, Indexes
from pullwright.code.index.parsers import Parsers, Source
from pullwright.repos.bare import BareStore

Library = Any  # conftest.Library

PYTHON: dict[str, str | bytes] = {
    "shop/__init__.py": "from .cart import Cart\nfrom .util import *\n",
    "shop/cart.py": "from shop.money import Money\n\nclass Cart:\n    def total(self):\n        return Money(1)\n",
    "shop/money.py": "class Money:\n    def total(self):\n        return helper()\n\ndef helper():\n    return 1\n",
    "shop/util.py": "def round_up(x):\n    return x\n",
    "shop/other.py": "helper = 3\nprint(helper, Money)\n",
    "app.py": "import shop\nfrom shop import Cart, round_up\nprint(shop.Cart().total(), round_up(2))\n",
    "tests/conftest.py": "pytest_plugins = []\n",
    "tests/test_cart.py": "from shop import Cart\n\ndef test_total():\n    assert Cart().total()\n",
    "tests/test_money.py": "import shop.money\n\ndef test_money():\n    assert shop.money.helper()\n",
    "tests/test_nothing.py": "def test_one():\n    assert True\n",
    "README.md": "# helper\n",
}


async def where(library: Library, files: dict[str, str | bytes], symbol: str) -> list[str]:
    found = await (await library.at(files)).find(symbol)
    return [f"{place.path}:{place.definition.line}" for place in found.places]


async def test_commits_share_what_was_read_and_an_edit_costs_one_file(library: Library) -> None:
    await library.at(PYTHON)
    assert library.read() == 10
    edited = {**PYTHON, "shop/util.py": "def round_down(x):\n    return x\n", "copy.py": PYTHON["app.py"]}
    assert await where(library, edited, "round_down") == ["shop/util.py:1"]
    assert library.read() == 11
    assert await where(library, edited, "round_up") == []
    assert await where(library, PYTHON, "round_up") == ["shop/util.py:1"]
    assert library.read() == 11


async def test_a_later_process_reads_nothing_again(library: Library, tmp_path: Path) -> None:
    commit = library.commit(PYTHON)
    await library.indexes.at(library.store, commit)
    later = Indexes(tmp_path / "index", uid=64200)
    try:
        assert (await (await later.at(library.store, commit)).find("Cart")).places
        assert later.parsers.read == 0
    finally:
        later.close()


async def test_uncommitted_changes_lie_over_the_commit(library: Library) -> None:
    base = await library.at(PYTHON)
    await base.find("Cart")
    changed = {
        "shop/money.py": b"class Money:\n    def cents(self): ...\n",
        "shop/new.py": b"import shop\n",
        "app.py": None,
    }
    over, blobs = await library.indexes.over(base, changed)
    assert library.read() == 12
    assert [place.path for place in (await over.find("Money.cents")).places] == ["shop/money.py"]
    assert (await over.find("helper")).places[0].path == "shop/other.py"
    assert await over.outline("app.py") is None
    assert await over.importers("shop/money.py")
    assert await base.outline("app.py") == []
    # What the attempt wrote is committed by its checkpoint: it is not read again.
    files: dict[str, str | bytes] = {**PYTHON, "shop/money.py": changed["shop/money.py"] or b""}
    await library.at(files)
    assert library.read() == 12
    again, _ = await library.indexes.over(base, {**changed, **blobs})
    assert (await again.find("cents")).places
    assert library.read() == 12


async def test_find_understands_owners_paths_and_near_misses(library: Library) -> None:
    base = await library.at(PYTHON)

    async def found(symbol: str) -> list[str]:
        return [f"{place.path}:{place.definition.line}" for place in (await base.find(symbol)).places]

    assert await found("total") == ["shop/cart.py:4", "shop/money.py:2"]
    assert await found("Cart.total") == ["shop/cart.py:4"]
    assert await found("Money::total()") == ["shop/money.py:2"]
    assert await found("money.py:total") == ["shop/money.py:2"]
    assert await found("shop.money.Money") == ["shop/money.py:1"]
    assert await found("helper") == ["shop/money.py:5", "shop/other.py:1"]
    assert await found("") == []
    missing = await base.find("cart")
    assert missing.places == ()
    assert missing.similar == ("Cart",)


async def test_references_follow_imports(library: Library) -> None:
    base = await library.at(PYTHON)

    async def used(symbol: str) -> tuple[list[str], list[str]]:
        found = await base.references(symbol)
        return [f"{u.path}:{u.line}" for u in found.uses], [f"{u.path}:{u.line}" for u in found.others]

    sure, unsure = await used("Money")
    assert sure == ["shop/cart.py:1", "shop/cart.py:5"]
    assert unsure == ["shop/other.py:2"], "nothing imports it there"
    sure, _ = await used("Cart")
    assert sure == [
        *("app.py:2", "app.py:3", "shop/__init__.py:1", "tests/test_cart.py:1", "tests/test_cart.py:4"),
    ]
    sure, _ = await used("round_up")
    assert sure == ["app.py:2", "app.py:3"], "handed on by a star"
    sure, unsure = await used("money.py:helper")
    assert sure == ["shop/money.py:3", "tests/test_money.py:4"]
    assert unsure == ["shop/other.py:2"]
    sure, _ = await used("Cart.total")
    assert sure == ["app.py:3", "tests/test_cart.py:4"]
    found = await base.references("Money")
    assert [use.within for use in found.uses] == ["", "Cart.total"]


async def test_tests_that_a_change_touches(library: Library) -> None:
    base = await library.at(PYTHON)

    async def touched(*paths: str) -> dict[str, int]:
        return {one.path: one.distance for one in (await base.tests_for(paths)).tests}

    assert await touched("shop/money.py") == {"tests/test_money.py": 1, "tests/test_cart.py": 2}
    assert await touched("shop/util.py") == {}, "no test takes anything out of it"
    assert await touched("tests/test_nothing.py") == {"tests/test_nothing.py": 0}
    assert set(await touched("tests/conftest.py")) == {f"tests/test_{n}.py" for n in ("cart", "money", "nothing")}
    found = await base.tests_for(["README.md", "shop/cart.py"])
    assert found.unknown == ("README.md",)
    assert found.all_tests == 3
    assert found.tests[0].path == "tests/test_cart.py"


async def test_coverage_that_was_recorded_counts(library: Library) -> None:
    base = await library.at(PYTHON)
    blob = base.snapshot.keys["shop/util.py"][0]
    base.snapshot.shelf.keep_coverage([("tests/test_nothing.py", "shop/util.py", blob)])
    (touched,) = (await base.tests_for(["shop/util.py"])).tests
    assert (touched.path, touched.why) == ("tests/test_nothing.py", "it ran lines of shop/util.py")
    later = await library.at({**PYTHON, "shop/util.py": "x = 1\n"})
    (touched,) = (await later.tests_for(["shop/util.py"])).tests
    assert touched.why == "it ran lines of shop/util.py, as it was when that was recorded"


async def test_the_map_fits_and_prefers_what_is_named(library: Library) -> None:
    text = "from lib.core import Engine\n\nclass Part{}:\n    def run(self):\n        return Engine()\n"
    files: dict[str, str | bytes] = {f"lib/part{n}.py": text.format(n) for n in range(40)}
    files["lib/core.py"] = "class Engine:\n    pass\n"
    base = await library.at(files)
    plain = await base.map("", 120)
    assert plain.splitlines()[:2] == ["lib/core.py:", "    1 class Engine:"]
    assert len(plain) < 120 * 4
    named = await base.map("Part9 does not stop", 120)
    assert "lib/part9.py:" in named
    assert "lib/part9.py:" not in plain
    assert (await base.map("mend lib/part3.py", 60)).startswith("lib/part3.py:")
    assert await (await library.at({"README": "x"})).map("anything", 100) == ""


IMPORTS: dict[str, str | bytes] = {
    "web/package.json": '{"name": "@shop/web"}',
    "web/src/index.ts": "export * from './cart';\n",
    "web/src/cart.ts": "import {price} from './lib/price.js';\nexport class Cart {}\n",
    "web/src/lib/price.ts": "export const price = () => 1;\n",
    "web/src/view/index.tsx": (
        "import {Cart} from '@/cart';\nimport w from '@shop/web';\nconst p = require('../lib/price');\n"
    ),
    "go.mod": "module example.org/shop\n",
    "pkg/money/money.go": "package money\nfunc New() int { return 1 }\n",
    "pkg/money/money_test.go": "package money\nfunc TestNew() { New() }\n",
    "cmd/main.go": 'package main\nimport "example.org/shop/pkg/money"\nfunc main() { money.New() }\n',
    "src/lib.rs": "mod cart;\npub mod money;\n",
    "src/cart.rs": "use crate::money::coin::Coin;\nuse super::money;\n",
    "src/money/mod.rs": "pub mod coin;\n",
    "src/money/coin.rs": "pub struct Coin;\n",
    "j/src/main/java/shop/Cart.java": "package shop;\nimport shop.money.Coin;\nclass Cart { Bag bag; }\n",
    "j/src/main/java/shop/Bag.java": "package shop;\nclass Bag {}\n",
    "j/src/main/java/shop/money/Coin.java": "package shop.money;\npublic class Coin {}\n",
    "j/src/test/java/shop/CartTest.java": "package shop;\nimport shop.money.*;\nclass CartTest {}\n",
    "c/main.c": '#include "lib/cart.h"\n#include <money.h>\n',
    "c/lib/cart.h": "int cart(void);\n",
    "c/lib/cart.c": '#include "cart.h"\nint cart(void) { return 1; }\n',
    "c/include/money.h": "#define MONEY 1\n",
}


async def test_imports_lead_to_files_in_every_language(library: Library) -> None:
    base = await library.at(IMPORTS)

    async def leads(path: str) -> list[str]:
        found: list[str] = await base.imports(path)
        return found

    assert await leads("web/src/cart.ts") == ["web/src/lib/price.ts"]
    assert await leads("web/src/view/index.tsx") == ["web/src/cart.ts", "web/src/index.ts", "web/src/lib/price.ts"]
    assert await leads("cmd/main.go") == ["pkg/money/money.go"]
    assert await leads("pkg/money/money_test.go") == ["pkg/money/money.go"]
    assert await leads("src/lib.rs") == ["src/cart.rs", "src/money/mod.rs"]
    assert await leads("src/cart.rs") == ["src/money/coin.rs", "src/money/mod.rs"]
    assert await leads("j/src/main/java/shop/Cart.java") == [
        "j/src/main/java/shop/Bag.java",
        "j/src/main/java/shop/money/Coin.java",
    ]
    assert await leads("j/src/test/java/shop/CartTest.java") == ["j/src/main/java/shop/money/Coin.java"]
    assert await leads("c/main.c") == ["c/include/money.h", "c/lib/cart.h"]
    assert await leads("c/lib/cart.h") == ["c/lib/cart.c"]
    assert {one.path for one in (await base.tests_for(["pkg/money/money.go"])).tests} == {"pkg/money/money_test.go"}


KILLED = """
import asyncio, os, sys
from pathlib import Path
from pullwright.code.index.indexes import Indexes
from pullwright.repos.bare import BareStore

def tell(building):
    if building.done >= 800:
        os.kill(os.getpid(), 9)

if __name__ == "__main__":
    store = BareStore(Path(sys.argv[1]), "tidy")
    asyncio.run(Indexes(Path(sys.argv[2]), uid=64200).at(store, sys.argv[3], tell))
"""


async def test_a_build_that_is_killed_keeps_what_was_done(library: Library, tmp_path: Path) -> None:
    commit = library.commit({f"m{n}.py": f"def f{n}(): pass\n" for n in range(850)})
    words = (sys.executable, "-c", KILLED, str(library.store.path), str(tmp_path / "index"), commit)
    killed = await asyncio.create_subprocess_exec(*words)
    assert await asyncio.wait_for(killed.wait(), 60) == -9
    told: list[Building] = []
    base = await library.indexes.at(library.store, commit, told.append)
    assert told[0].total in (450, 50), "whether the second batch was written is a matter of moments"
    assert (told[-1].done, told[-1].seconds_left) == (told[0].total, 0)
    assert library.read() == told[0].total
    assert len(base.snapshot.files) == 850


async def test_a_broken_or_foreign_index_is_begun_anew(library: Library, tmp_path: Path) -> None:
    commit = library.commit(PYTHON)
    path = library.indexes.path(library.store)
    path.parent.mkdir(exist_ok=True)
    for content in (b"this is no database, but it is long enough to be taken for one" * 40, b""):
        path.write_bytes(content)
        fresh = Indexes(tmp_path / "index", uid=64200)
        try:
            assert (await (await fresh.at(library.store, commit)).find("Cart")).places
        finally:
            fresh.close()


async def test_hostile_files_cost_themselves_only(library: Library) -> None:
    files: dict[str, str | bytes] = {
        "good.py": "def good(): pass\n",
        "deep.py": "(" * 300_000,
        "huge.c": b"int x;\n" * 400_000,
        "binary.js": bytes(range(256)) * 100,
        "bad\tname.py": "def odd(): pass\n",
        "many.go": "package p\n" + "".join(f"func F{n}() {{}}\n" for n in range(30_000)),
    }
    base = await library.at(files)
    assert (await base.find("good")).places
    assert base.snapshot.files["huge.c"].note == "too large"
    assert "are kept" in base.snapshot.files["many.go"].note
    assert (await base.find("F1")).places


async def test_a_parser_that_hangs_or_dies_loses_its_file_alone() -> None:
    group = Parsers(most=1)
    bad = Source("bad", "no such language", b"x = 1\n")  # makes the process end
    good = Source("good", "python", b"def good(): pass\n")
    try:
        found = {source.blob: extract async for source, extract in group.extract([good, bad, good])}
    finally:
        group.close()
    assert found["good"].definitions[0].name == "good"
    assert found["bad"].note == "the parser failed on it or took too long"


def test_readers_have_no_rights_to_lose() -> None:
    """In a process of its own: what it gives up is gone for good."""
    program = (
        "import os\nfrom pullwright.code.index import parsers\nparsers._confine(64200 if os.getuid() == 0 else None)\n"
        "for attempt in (lambda: os.fork(), lambda: os.open('/etc/hosts', os.O_RDONLY)):\n"
        "    try:\n        attempt()\n    except OSError:\n        continue\n    raise SystemExit('it could')\n"
        "assert os.getuid() != 0\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert parsers.FILE_SECONDS < 60


async def test_two_processes_may_build_at_once(library: Library, tmp_path: Path) -> None:
    commit = library.commit({f"m{n}.py": f"def f{n}(): pass\n" for n in range(100)})
    other = Indexes(tmp_path / "index", uid=64200)
    try:
        one, two = await asyncio.gather(
            library.indexes.at(BareStore(library.store.path, "a"), commit), other.at(library.store, commit)
        )
    finally:
        other.close()
    assert len(one.snapshot.files) == len(two.snapshot.files) == 100
    assert library.read() + other.parsers.read == 100
