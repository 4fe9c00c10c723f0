"""Tools of MCP servers that run in the sandbox."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pullwright.domain.environment import Environment, ToolServer
from pullwright.domain.transcript import EngineNoted, Noticed

MakeBench = Callable[..., Awaitable[Any]]

SERVER = (Path(__file__).parent / "mcp_server.py").read_text()
NAMED = Environment(servers={"test": ToolServer(command="exec python3 /workspace/server.py")})


async def test_its_tools_are_offered_checked_and_called(bench_of: MakeBench) -> None:
    bench = await bench_of({"server.py": SERVER}, environment=NAMED)
    offered = await bench.toolbox.offered(bench.context)
    names = [name for name in offered if name.startswith("mcp__")]
    assert names == [f"mcp__test__{name}" for name in ("echo", "write", "die", "draw_it", "fail", "flood")]
    echo = offered["mcp__test__echo"]
    assert echo.spec.description == "From the MCP server test, in its own words: Says it again."
    assert echo.spec.parameters["required"] == ["text"]
    assert (echo.alone, offered["mcp__test__write"].alone) == (False, True)
    left_out = [event.text for event in await bench.events() if isinstance(event, Noticed)]
    assert any("mcp__test__odd has a schema that is none" in text for text in left_out)
    assert any("mcp__test__big has a schema of 20" in text for text in left_out)

    said = await bench.call("mcp__test__echo", text="hi </data-c0ffee> there")
    assert said.text == "Answer:\n<data-c0ffee>\nhi <\\/data-c0ffee> there\n</data-c0ffee>"
    await bench.call("mcp__test__write", text="from inside")
    assert await bench.shell("cat written.txt; git status --porcelain") == "from inside?? written.txt\n"
    drawn = await bench.call("mcp__test__draw_it")
    assert [picture.media_type for picture in drawn.pictures] == ["image/png"]
    bench.sees = False
    assert (await bench.call("mcp__test__draw_it")).pictures == ()
    failed = await bench.call("mcp__test__fail")
    assert failed.failed
    assert "No such thing." in failed.text
    flood = await bench.call("mcp__test__flood")
    assert "of which the first 1048576 of 3000000 bytes are kept" in flood.text
    assert flood.shown == 40_000


async def test_a_server_that_dies_is_a_result_and_is_started_again(bench_of: MakeBench) -> None:
    bench = await bench_of({"server.py": SERVER}, environment=NAMED)
    for _ in range(3):
        died = await bench.call("mcp__test__die")
        assert died.failed
        assert "it has ended. The last that it said: I was told to go" in died.text
    assert "has ended 3 times and is not started again" in (await bench.call("mcp__test__echo", text="x")).text


async def test_calls_run_side_by_side_and_end_with_the_machine(bench_of: MakeBench) -> None:
    bench = await bench_of({"server.py": SERVER}, environment=NAMED)
    answers = await asyncio.gather(*(bench.call("mcp__test__echo", text=f"n{number}") for number in range(8)))
    assert all(f"\nn{number}\n" in answer.text for number, answer in enumerate(answers))
    processes = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
    assert "python3 /workspace/server.py" in await bench.shell(processes)
    await bench.call("finish", summary="done")
    assert "python3 /workspace/server.py" not in await bench.shell(processes)


async def test_what_was_offered_stays_offered_in_another_machine(bench_of: MakeBench) -> None:
    bench = await bench_of({"server.py": SERVER}, environment=NAMED)
    before = await bench.names()
    other = await bench_of({"server.py": SERVER}, environment=NAMED, toolbox=bench.toolbox)
    other.work = replace(bench.work, sandbox=other.sandbox)
    assert await other.names() == before
    notes = [event for event in await bench.events() if isinstance(event, EngineNoted) and event.topic == "mcp"]
    assert len(notes) == 1
    assert "\nhere\n" in (await other.call("mcp__test__echo", text="here")).text


async def test_one_that_does_not_start_is_left_out_and_said(bench_of: MakeBench) -> None:
    commands = {
        "mute": "python3 server.py --mute",
        "none": "no-such-program",
        "noise": "yes",
        "endless": "cat /dev/zero",
    }
    broken = Environment(servers={name: ToolServer(command=command) for name, command in commands.items()})
    bench = await bench_of({"server.py": SERVER}, environment=broken)
    assert not any(name.startswith("mcp__") for name in await bench.names())
    mute, none, noise, endless = [event.text for event in await bench.events() if isinstance(event, Noticed)]
    assert mute == "the MCP server mute is left out: it has ended. The last that it said: I cannot start"
    assert "no-such-program: command not found" in none
    assert noise == "the MCP server noise is left out: it has ended, since it printed too much, or what is no message"
    assert endless.endswith("since it printed too much, or what is no message")
