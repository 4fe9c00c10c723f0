"""`model add|list|test|remove`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from pullwright.models.catalog import Models
    from pullwright.models.entries import Entry

app = App(name="model", help="The models that engines may ask.")


@app.command(sort_key=0)
def add(
    name: str,
    model: str,
    /,
    *,
    base_url: str | None = None,
    key_variable: str | None = None,
    key_stdin: bool = False,
    api: str | None = None,
    window: int | None = None,
    price_input: float | None = None,
    price_cached: float | None = None,
    price_output: float | None = None,
    effort: str | None = None,
    summary: str | None = None,
    fallback: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    default: bool = False,
    replace: bool = False,
    untested: bool = False,
    json: bool = False,
) -> int:
    """Keep a model under a name of your own: `pullwright model add fast anthropic:claude-haiku-4-5 --default`.

    It is asked whether its key, name and address are right before it is kept. What is kept is in models.json in the
    data directory, which only its owner can read.

    Args:
        name: What `--model` takes from now on.
        model: PROVIDER:MODEL; openai, openai-chat, anthropic, google, bedrock, mistral, openrouter, ollama, vllm ...
        base_url: Its address, where it is not the provider's usual one.
        key_variable: The environment variable that holds its key; the provider's usual one if not given.
        key_stdin: Read the key from standard input, and keep it with the model.
        api: responses or chat, for servers that speak OpenAI's protocol; found out if not given.
        window: Tokens that question and answer may have together.
        price_input: US dollars per million tokens of input, with --price-output; else the known prices count.
        price_cached: The same of input that the provider had cached.
        price_output: The same of output.
        effort: How much it reasons: minimal, low, medium, high or xhigh.
        summary: Have OpenAI's reasoning models tell of their reasoning: auto, concise or detailed.
        fallback: A model to go on with while this one is out. Repeat for several, in their order.
        default: Make it the model that is asked where none is named.
        replace: Take the place of the model that has the name.
        untested: Keep it without asking.
        json: Print it as JSON.
    """
    from pullwright.domain.errors import UsageError
    from pullwright.models.entries import an_entry

    if (price_input is None) != (price_output is None) or (price_cached is not None and price_input is None):
        raise UsageError("a price has at least --price-input and --price-output")
    provider, separator, bare = model.partition(":")
    if not separator:
        raise UsageError(f"`{model}` names no provider; write PROVIDER:MODEL, such as openai:{model}")
    prices = None
    if price_input is not None:
        prices = {"input": price_input, "cached": price_cached, "output": price_output}
    entry = an_entry(
        name=name,
        provider=provider,
        model=bare,
        base_url=base_url,
        key=_secret(name) if key_stdin else None,
        key_variable=key_variable,
        api=api,
        window=window,
        prices=prices,
        effort=effort,
        summary=summary,
        fallbacks=fallback,
        default=default,
    )
    return asyncio.run(_add(entry, replace=replace, untested=untested, json=json))


async def _add(entry: Entry, *, replace: bool, untested: bool, json: bool) -> int:
    from pullwright.cli.house import settings
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line
    from pullwright.flow.models import keep_model

    await keep_model(settings(), entry, replace=replace, untested=untested)
    if json:
        answer_json(_shown(entry))
    else:
        tried = "" if untested else "; its key, name and address are right"
        answer([Line(f"{entry.name} is kept{tried}", "good")])
    return 0


def _secret(name: str) -> str:
    """The key, without showing it."""
    from pullwright.domain.errors import UsageError

    if sys.stdin.isatty():
        from getpass import getpass

        key = getpass(f"Key of {name}: ")
    else:
        key = sys.stdin.readline(10_000)
    if not key.strip():
        raise UsageError("no key came on standard input")
    return key.strip()


@app.command(name="list", sort_key=1)
def list_models(*, json: bool = False) -> int:
    """List the models: kept ones, what the environment configures, and what servers of this machine offer.

    Args:
        json: Print them as a JSON array.
    """
    return asyncio.run(_list(json=json))


async def _list(*, json: bool) -> int:
    from pullwright.cli.screen import answer, answer_json, answer_table
    from pullwright.cli.story import Line
    from pullwright.models.known import WAYS

    models = _models()
    try:
        default = await models.configured()
        listed = [{**_shown(entry), "default": entry.name == default} for entry in models.entries()]
        if default is not None and all(one["name"] != default for one in listed):
            listed.append({"name": default, "model": default, "from": "environment", "default": True})
        listed += [
            {"name": one.name, "model": one.name, "base_url": one.base_url, "from": "this machine", "default": False}
            for one in await models.found()
        ]
    finally:
        await models.close()
    if json:
        answer_json(listed)
    elif listed:
        rows = [
            (
                str(one["name"]) + (" (default)" if one["default"] else ""),
                str(one["model"]),
                str(one.get("base_url") or ""),
                str(one["from"]),
                str(one.get("key") or ""),
            )
            for one in listed
        ]
        answer_table(("NAME", "MODEL", "ADDRESS", "FROM", "KEY"), rows)
    else:
        answer([Line(f"no model is kept, configured or found. {WAYS}")])
    return 0


@app.command(name="test", sort_key=2)
def try_model(name: str | None = None, /, *, json: bool = False) -> int:
    """Ask a model for one word: whether it answers, how fast, and what it costs.

    Args:
        name: A kept model, or PROVIDER:MODEL; the default one if not given.
        json: Print what came of it as JSON.
    """
    return asyncio.run(_test(name, json=json))


async def _test(name: str | None, *, json: bool) -> int:
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line
    from pullwright.cli.words import first_line
    from pullwright.models.base import Listener, Question, Said

    models = _models()
    try:
        model = await models.open(name)
        await model.check()
        reply = await model.ask(Question("Answer with one word.", (Said("Say ok."),)), Listener(waits=_waits))
    finally:
        await models.close()
    used = reply.usage
    result = {
        "model": reply.model,
        "text": reply.words.text,
        "seconds": round(reply.seconds, 3),
        "time_to_first_token": reply.time_to_first_token and round(reply.time_to_first_token, 3),
        "window": model.window,
        "usage": used.model_dump(mode="json"),
    }
    if json:
        answer_json(result)
        return 0
    cost = "price not known" if used.cost is None else f"${used.cost:.6f}"
    window = f", takes {model.window:,} tokens" if model.window else ""
    answer(
        [
            Line(
                f"{reply.model} answers in {reply.seconds:.2f} s: {first_line(reply.words.text) or '(nothing)'}", "good"
            ),
            Line(f"{used.input_tokens:,} tokens in, {used.output_tokens:,} out, {cost}{window}"),
        ]
    )
    return 0


async def _waits(why: str) -> None:
    from pullwright.cli.words import shown

    sys.stderr.write(f"{shown(why)}\n")


@app.command(sort_key=3)
def remove(name: str, /, *, json: bool = False) -> int:
    """Forget a kept model, and its key with it.

    Args:
        name: The kept model.
        json: Print it as JSON.
    """
    from pullwright.cli.house import settings
    from pullwright.cli.screen import answer, answer_json
    from pullwright.cli.story import Line
    from pullwright.flow.models import forget_model

    gone = forget_model(settings(), name)
    if json:
        answer_json(_shown(gone))
    else:
        answer([Line(f"{name} is forgotten")])
    return 0


def _models() -> Models:
    from pullwright.cli.house import settings
    from pullwright.models.catalog import Models

    ours = settings()
    return Models(ours.model, ours.models)


def _shown(entry: Entry) -> dict[str, Any]:
    """A kept model without its secret."""
    key = "kept" if entry.key else entry.key_variable
    shown = entry.model_dump(mode="json", exclude={"key", "key_variable", "provider", "model", "fallbacks"})
    return {
        **shown,
        "model": f"{entry.provider}:{entry.model}",
        "key": key,
        "fallbacks": list(entry.fallbacks),
        "from": "kept",
    }
