"""A whole attempt finds its way by the index: real sandboxes, real git, a scripted model over HTTP."""

import asyncio
import subprocess
from pathlib import Path

from pullwright.domain.task import State
from pullwright.domain.transcript import EngineNoted, ModelAsked, ToolCalled, ToolReturned
from pullwright.flow import desk
from pullwright.flow.worker import idle, work
from pullwright.settings import Settings
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario
from pullwright.wiring import build

FILES = {
    "shop/__init__.py": "",
    "shop/cart.py": "from shop.money import Money\n\n\nclass Cart:\n    def total(self):\n        return Money(2)\n",
    "shop/money.py": "class Money:\n    def __init__(self, cents):\n        self.cents = cents\n",
    "tests/test_cart.py": "from shop.cart import Cart\n\n\ndef test_total():\n    assert Cart().total().cents == 2\n",
    "tests/test_other.py": "def test_other():\n    assert True\n",
}
MANY = {f"shop/part{n}.py": f"class Part{n}:\n    pass\n" for n in range(120)}


def call(**arguments: str) -> str:
    given = ", ".join(f'{name} = "{value}"' for name, value in arguments.items())
    return f'[[step.call]]\ntool = "code"\narguments = {{ {given} }}\n'


LOOKS = f"""
[[step]]
{call(action="find", target="Money")}
{call(action="refs", target="Money")}
{call(action="find", target="Purse")}
{call(action="importers", target="/workspace/shop/money.py")}
{call(action="outline", target="shop/cart.py")}
{call(action="tests")}
{call(action="map", target="Cart")}

[[step]]
[[step.call]]
tool = "apply_patch"
arguments.patch = '''
*** Begin Patch
*** Update File: shop/money.py
@@
-class Money:
+class Purse:
     def __init__(self, cents):
         self.cents = cents
*** Add File: shop/bank.py
+from shop.money import Purse
*** Delete File: tests/test_other.py
*** End Patch'''

[[step]]
{call(action="find", target="Purse")}
{call(action="refs", target="Purse")}
{call(action="find", target="Money")}
{call(action="tests")}
{call(action="outline", target="tests")}

[[step]]
[[step.call]]
tool = "finish"
arguments = {{ summary = "Looked." }}
"""


def a_repository(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*identity, "commit", "-q", "-m", "First")):
        subprocess.run(["git", "-C", str(path), *words], check=True, timeout=60)
    return path


async def attempt(
    tmp_path: Path, scenario: str, files: dict[str, str], prompt: str
) -> tuple[dict[str, str], str, list[str]]:
    """What its calls gave, by turn and arguments, its opening, its requests and how many files were parsed."""
    repository = a_repository(tmp_path / "repository", files)
    async with ModelServer(Scenario.parse(scenario)) as server:
        variables = {"PULLWRIGHT_HOME": str(tmp_path), "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-test"}
        async with build(Settings.from_environment(variables)) as platform:
            order = desk.Order(
                prompt=prompt,
                repository=str(repository),
                cwd=repository,
                setup="",
                check="true",
                models=("openai:scripted",),
            )
            task = await desk.submit(platform, order)
            await asyncio.wait_for(work(platform, until=lambda: idle(platform)), 110)
            task = await platform.record.task(task.id)
            assert task.state in (State.DONE, State.FAILED), task.reason
            log = await platform.record.log(task.attempts[0].id)
            events = [recorded.event for recorded in await log.read()]
            opening = [event for event in events if isinstance(event, EngineNoted) and event.topic == "opening"]
            called = {event.call: event for event in events if isinstance(event, ToolCalled)}
            returned = {}
            for event in events:
                if isinstance(event, ToolReturned):
                    given = called[event.call].arguments
                    words = f"{event.turn} {given.get('action', called[event.call].name)} {given.get('target', '')}"
                    returned[words.strip()] = event.output.text  # calls run side by side, in no order
            asked = [(await log.load(event.request)).decode() for event in events if isinstance(event, ModelAsked)]
            return returned, "\n".join(opening[0].data["messages"]), [*asked, str(platform.indexes.parsers.read)]


async def test_an_attempt_sees_its_own_edits_and_an_edit_costs_one_file(tmp_path: Path) -> None:
    gave, opening, asked = await attempt(tmp_path, LOOKS, FILES, "Rename Money")
    assert "A map of the repository" not in opening, "a small repository needs none"
    assert '"code"' in asked[0]
    assert (
        "shop/money.py:1-3  class Money: class Money:\nclass Money:\n    def __init__(self, cents):"
        in gave["1 find Money"]
    )
    assert "shop/cart.py:1: from shop.money import Money" in gave["1 refs Money"]
    assert "shop/cart.py:6: return Money(2)  [in Cart.total]" in gave["1 refs Money"]
    assert gave["1 find Purse"].startswith("Purse is not defined in the repository.")
    assert "shop/cart.py:1  Money" in gave["1 importers /workspace/shop/money.py"]
    assert "5-6   method: def total(self):" in gave["1 outline shop/cart.py"]
    assert gave["1 tests"] == "Nothing is changed yet, and no path was given."
    assert "class Cart:" in gave["1 map Cart"]
    assert gave["2 apply_patch"].startswith("Done. Changed:")
    assert "shop/money.py:1-3  class Purse" in gave["3 find Purse"]
    assert "shop/bank.py:1: from shop.money import Purse" in gave["3 refs Purse"]
    assert gave["3 find Money"].startswith("Money is not defined in the repository.")
    assert "tests/test_cart.py  it imports shop/cart.py, 2 imports from the change" in gave["3 tests"]
    assert "1 of 1 files of tests" in gave["3 tests"]
    assert "tests/test_cart.py" in gave["3 outline tests"]
    assert "tests/test_other.py" not in gave["3 outline tests"]
    assert asked[-1] == "7", "five files of the base, one edited, one new"


async def test_a_large_repository_is_shown_as_a_map_that_stays(tmp_path: Path) -> None:
    scenario = f"[[step]]\n{call(action='find', target='Part7')}\n" + LOOKS[LOOKS.rindex("[[step]]") :]
    _, opening, asked = await attempt(tmp_path, scenario, FILES | MANY, "Mend Part77, please")
    assert "A map of the repository: of its 125 indexed files" in opening
    assert "shop/part77.py:\n    1 class Part77:" in opening
    assert "<data-" in opening
    assert opening.endswith("Mend Part77, please")
    assert all("A map of the repository" in request for request in asked[:2])
