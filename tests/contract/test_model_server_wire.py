"""The scripted model server as any client sees it: plain HTTP, both interfaces, streaming and not."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from pullwright.domain.errors import UsageError
from pullwright.testing.model_server import ModelServer
from pullwright.testing.scenario import Scenario, position

SCENARIO = """
[[step]]
text = "Let me look."
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
    assert [item["type"] for item in whole["output"]] == ["message", "function_call", "function_call"]
    assert whole["output"][2]["arguments"] == "{broken"
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


@pytest.mark.parametrize("api", ["responses", "chat"])
async def test_the_step_follows_from_the_conversation(api: str) -> None:
    async def text_after(server: ModelServer, result: str) -> str:
        if api == "responses":
            said: list[dict[str, Any]] = [
                {"type": "message", "role": "assistant", "content": []},
                {"type": "function_call", "call_id": "call_0_0", "name": "exec_command", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_0_0", "output": result},
            ]
            return str((await post(server, "/responses", responses(*said))).json()["output"][0]["content"][0]["text"])
        said = [
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "tool_call_id": "call_0_0", "content": result},
        ]
        body = (await post(server, "/chat/completions", chat(*said))).json()
        return str(body["choices"][0]["message"]["content"])

    async with ModelServer(Scenario.parse(SCENARIO)) as server:
        assert await text_after(server, "a file") == "All is well."
        assert await text_after(server, "Interrupted: it was lost") == "Let me look."
        assert await text_after(server, "a file") == "All is well."
        assert [server.answered(0), server.answered(1)] == [1, 2]


def test_turns_with_an_interrupted_result_do_not_count() -> None:
    assert position([]) == 0
    assert position([["ok"], [], ["ok", "interrupted: x"]]) == 2


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
    assert answers[0].headers.get("retry-after") == ("1.5" if kind == "rate-limit" else None)
    assert another.status_code == status  # another conversation meets the fault for itself


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
