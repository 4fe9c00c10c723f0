"""The scripted model server as any client sees it: plain HTTP, every interface, streaming and not."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from pullwright.domain.errors import UsageError
from pullwright.testing.model_server import SUMMARY, ModelServer
from pullwright.testing.scenario import Conversation, Scenario, Turn, position

SCENARIO = """
[[step]]
text = "Let me look."
think = "Where?"
[[step.call]]
tool = "exec_command"
arguments = { cmd = "ls" }
[[step.call]]
tool = "exec_command"
raw = "{broken"
[[step]]
text = "All is well."
"""


def responses(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "scripted", "input": [{"role": "user", "content": "go"}, *items], **more}


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "scripted", "messages": [{"role": "user", "content": "go"}, *messages], **more}


def messages(*said: dict[str, Any], **more: Any) -> dict[str, Any]:
    return chat(*said, max_tokens=100, **more)


PATHS = {"responses": "/responses", "chat": "/chat/completions", "anthropic": "/messages"}
BODIES = {"responses": responses, "chat": chat, "anthropic": messages}


async def post(server: ModelServer, path: str, body: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(server.url + path, json=body)


def sse(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def test_responses_streamed_say_what_the_whole_says() -> None:
    async with ModelServer(Scenario.parse(SCENARIO)) as server:
        whole = (await post(server, "/responses", responses())).json()
        events = sse(await post(server, "/responses", responses(stream=True)))
    assert [item["type"] for item in whole["output"]] == ["reasoning", "message", "function_call", "function_call"]
    assert whole["output"][3]["arguments"] == "{broken"
    assert events[-1]["response"]["output"] == whole["output"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text == "Let me look."
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == whole["output"]


async def test_chat_streamed_says_what_the_whole_says() -> None:
    async with ModelServer(Scenario.parse(SCENARIO)) as server:
        whole = (await post(server, "/chat/completions", chat())).json()
        streamed = await post(server, "/chat/completions", chat(stream=True))
    message = whole["choices"][0]["message"]
    chunks = [chunk["choices"][0] for chunk in sse(streamed) if chunk["choices"]]
    assert "".join(chunk["delta"].get("content") or "" for chunk in chunks) == message["content"] == "Let me look."
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"cmd": "ls"}', "{broken"]
    assert chunks[-1]["finish_reason"] == whole["choices"][0]["finish_reason"] == "tool_calls"
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert sse(streamed)[-1]["usage"]["completion_tokens"] > 0


async def test_anthropic_streamed_says_what_the_whole_says() -> None:
    async with ModelServer(Scenario.parse(SCENARIO)) as server:
        whole = (await post(server, "/messages", messages())).json()
        events = sse(await post(server, "/messages", messages(stream=True)))
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert (whole["content"][2]["input"], whole["stop_reason"]) == ({"cmd": "ls"}, "tool_use")
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == whole["content"][1]["text"] == "Let me look."
    assert "".join(delta.get("partial_json", "") for delta in deltas) == '{"cmd": "ls"}{broken'
    assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def a_turn(api: str, result: str, step: int) -> list[dict[str, Any]]:
    call = f"call_0_s{step}_0"
    if api == "responses":
        return [
            {"type": "message", "role": "assistant", "content": []},
            {"type": "function_call", "call_id": call, "name": "exec_command", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call, "output": result},
        ]
    if api == "chat":
        return [
            {"role": "assistant", "content": None, "tool_calls": [{"id": call}]},
            {"role": "tool", "tool_call_id": call, "content": result},
        ]
    return [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call, "name": "exec_command", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": result}]},
    ]


@pytest.mark.parametrize("api", PATHS)
async def test_the_step_follows_from_the_conversation(api: str) -> None:
    async with ModelServer(Scenario.parse(SCENARIO)) as server:

        async def text_after(result: str) -> str:
            body = (await post(server, PATHS[api], BODIES[api](*a_turn(api, result, 0)))).text
            return "end" if "All is well." in body else "begin" if "Let me look." in body else body

        assert await text_after("a file") == "end"
        assert await text_after("Interrupted: it was lost") == "begin"
        assert await text_after("a file") == "end"
        assert [server.answered(0), server.answered(1)] == [1, 2]


@pytest.mark.parametrize("api", PATHS)
async def test_the_place_is_kept_where_the_conversation_was_summarised(api: str) -> None:
    script = "\n".join(f'[[step]]\ntext = "no. {n}"\n[[step.call]]\ntool = "t"' for n in range(9))
    summary = '[summary]\nwhen = "Write a summary"\ntext = "It went well."\n'
    async with ModelServer(Scenario.parse(summary + script)) as server:

        async def said(*items: dict[str, Any]) -> str:
            return (await post(server, PATHS[api], BODIES[api](*items))).text

        user = {"role": "user", "content": "Write a summary"}
        assert "It went well. [step 4]" in await said(*a_turn(api, "ok", 3), *a_turn(api, "ok", 4), user)
        assert "no. 5" in await said({"role": "user", "content": "So far: It went well. [step 4]"})
        marked = {"role": "user", "content": "So far: It went well. [step 4]"}
        assert "no. 7" in await said(marked, *a_turn(api, "ok", 6))
        assert "no. 6" in await said(marked, *a_turn(api, "see [step 8]", 5))  # a tool may print anything
    assert [one.step for one in server.served] == [SUMMARY, 5, 7, 6]


def test_turns_with_an_interrupted_result_do_not_count() -> None:
    assert position(Conversation()) == 0
    lost = Turn(["call_7_s9_0"], ["ok", "interrupted: x"])
    assert position(Conversation([Turn(results=["ok"]), Turn(), lost])) == 2
    assert position(Conversation([Turn(["call_1_s5_0", "call_1_s5_1"]), Turn(), lost])) == 7
    assert position(Conversation([Turn(["theirs"])], said=["[step 3]", "done [step 11] so"])) == 13


async def test_after_the_end_it_says_so_or_begins_again() -> None:
    scenario = Scenario.parse('[[step]]\ntext = "one"\n[[step]]\ntext = "two"')
    assert scenario.at(2).text == "The scenario is over."
    assert scenario.model_copy(update={"loop": True}).at(2).text == "one"


async def test_keys_names_and_paths_are_checked() -> None:
    async with ModelServer(Scenario.parse('key = "sk-1"\n' + SCENARIO)) as server:
        assert (await post(server, "/responses", responses())).status_code == 401
        async with httpx.AsyncClient(trust_env=False, headers={"authorization": "Bearer sk-1"}) as client:
            assert [one["id"] for one in (await client.get(server.url + "/models")).json()["data"]] == ["scripted"]
            other = await client.post(server.url + "/responses", json={**responses(), "model": "other"})
            assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")
            other = await client.post(server.url + "/messages", json={**messages(), "model": "other"})
            assert (other.status_code, other.json()["error"]["type"]) == (404, "not_found_error")
            assert (await client.post(server.url + "/nowhere", json={})).status_code == 404
            assert (await client.post(server.url + "/responses", content=b"{")).status_code == 400
            assert (await client.post(server.url + "/responses", json={"model": "scripted"})).status_code == 400
    assert server.served == []


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("rate-limit", 429, "rate_limit_exceeded"),
        ("quota", 429, "insufficient_quota"),
        ("server-error", 500, None),
        ("overloaded", 503, None),
        ("context-overflow", 400, "context_length_exceeded"),
    ],
)
async def test_faults_strike_as_often_as_told(kind: str, status: int, code: str | None) -> None:
    fault = f'[[step]]\nfault = {{ kind = "{kind}", times = 2, retry_after = 1.5 }}\ntext = "fine"'
    async with ModelServer(Scenario.parse(fault)) as server:
        answers = [await post(server, "/responses", responses()) for _ in range(3)]
        another = await post(server, "/responses", responses(prompt_cache_key="other"))
    assert [answer.status_code for answer in answers] == [status, status, 200]
    assert answers[0].json()["error"]["code"] == code
    assert answers[0].headers.get("retry-after") == ("1.5" if status != 400 and kind != "quota" else None)
    assert another.status_code == status  # another conversation meets the fault for itself


async def test_a_fault_may_last_for_a_time() -> None:
    fault = '[[step]]\nfault = { kind = "rate-limit", seconds = 0.6, retry_after = "left" }\ntext = "fine"'
    async with ModelServer(Scenario.parse(fault)) as server:
        limited = await post(server, "/responses", responses())
        assert (limited.status_code, limited.headers["retry-after"]) == (429, "1")
        await asyncio.sleep(1.0)  # as it was told to wait
        assert (await post(server, "/responses", responses())).status_code == 200


async def test_an_outage_strikes_every_step_by_the_clock() -> None:
    outage = '[[outage]]\nkind = "overloaded"\nends = 60\nretry_after = "left"\ndate = true\n'
    later = '[[outage]]\nkind = "server-error"\nbegins = 60\nends = 61\n'
    async with (
        ModelServer(Scenario.parse(outage + SCENARIO)) as out,
        ModelServer(Scenario.parse(later + SCENARIO)) as up,
    ):
        refused = await post(out, "/messages", messages())
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "overloaded_error")
        assert refused.headers["retry-after"].endswith("GMT")
        assert (await post(up, "/messages", messages())).status_code == 200


@pytest.mark.parametrize("api", PATHS)
async def test_a_request_beyond_the_window_overflows(api: str) -> None:
    async with ModelServer(Scenario.parse("window = 200\n" + SCENARIO)) as server:
        assert (await post(server, PATHS[api], BODIES[api]())).status_code == 200
        long = await post(server, PATHS[api], BODIES[api](*a_turn(api, "x" * 900, 0)))
        assert long.status_code == 400
        assert ("too long" if api == "anthropic" else "context_length_exceeded") in long.text
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(server.url + "/models")).json()["data"][0]["max_model_len"] == 200


@pytest.mark.parametrize("stream", [True, False])
async def test_a_dropped_answer_is_no_answer(stream: bool) -> None:
    async with ModelServer(Scenario.parse('[[step]]\nfault = { kind = "drop" }\ntext = "fine"')) as server:
        with pytest.raises(httpx.RemoteProtocolError):
            await post(server, "/responses", responses(stream=stream))
        assert (await post(server, "/responses", responses(stream=stream))).status_code == 200
        assert [one.status for one in server.served] == [0, 200]


@pytest.mark.parametrize(
    "text", ["", "[[step]]\nspeak = 1", "step = 3", "[[step]]\nfault = { kind = 'x' }", "not toml"]
)
def test_a_scenario_that_cannot_be_played_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Scenario.parse(text)


async def test_it_runs_as_a_program(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pullwright.testing.model_server", str(tmp_path / "scenario.toml"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        url = (await asyncio.wait_for(server.stdout.readline(), 20)).decode().strip()
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(url + "/responses", json=responses())
            counts = (await client.get(url + "/counts")).json()
        assert counts == {"served": [{"api": "responses", "turn": 0, "step": 0, "status": 200, "times": 1}]}
    finally:
        server.terminate()
        await server.wait()
