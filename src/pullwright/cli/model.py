"""`model add|list|test|remove`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from pullwright.cli.outside import with_models

if TYPE_CHECKING:
    from pullwright.cli.outside import Models
    from pullwright.models.offered import OfferedModel

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

    async def perform(models: Models) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line

        kept = await models.keep(entry, replace=replace, untested=untested)
        if json:
            answer_json(_shown(kept))
        else:
            tried = "" if untested else "; its key, name and address are right"
            answer([Line(f"{entry.name} is kept{tried}", "good")])
        return 0

    return with_models(perform)


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

    async def perform(models: Models) -> int:
        from pullwright.cli.screen import answer, answer_json, answer_table
        from pullwright.cli.story import Line
        from pullwright.models.known import WAYS

        listed = [_shown(one) for one in await models.listed()]
        if json:
            answer_json(listed)
        elif listed:
            rows = [
                (
                    str(one["name"]) + (" (default)" if one["default"] else ""),
                    str(one["model"]),
                    str(one["base_url"] or ""),
                    str(one["from"]),
                    str(one["key"] or ""),
                )
                for one in listed
            ]
            answer_table(("NAME", "MODEL", "ADDRESS", "FROM", "KEY"), rows)
        else:
            answer([Line(f"no model is kept, configured or found. {WAYS}")])
        return 0

    return with_models(perform)


@app.command(name="test", sort_key=2)
def try_model(name: str | None = None, /, *, json: bool = False) -> int:
    """Ask a model for one word: whether it answers, how fast, and what it costs.

    Args:
        name: A kept model, or PROVIDER:MODEL; the default one if not given.
        json: Print what came of it as JSON.
    """

    async def perform(models: Models) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line
        from pullwright.cli.words import first_line

        tried = await models.tried(name, _waits)
        if json:
            answer_json(tried.model_dump(mode="json"))
            return 0
        used = tried.usage
        cost = "price not known" if used.cost is None else f"${used.cost:.6f}"
        window = f", takes {tried.window:,} tokens" if tried.window else ""
        said = f"{tried.model} answers in {tried.seconds:.2f} s: {first_line(tried.text) or '(nothing)'}"
        answer([Line(said, "good")])
        answer([Line(f"{used.input_tokens:,} tokens in, {used.output_tokens:,} out, {cost}{window}")])
        return 0

    return with_models(perform)


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

    async def perform(models: Models) -> int:
        from pullwright.cli.screen import answer, answer_json
        from pullwright.cli.story import Line

        gone = await models.forget(name)
        if json:
            answer_json(_shown(gone))
        else:
            answer([Line(f"{name} is forgotten")])
        return 0

    return with_models(perform)


def _shown(model: OfferedModel) -> dict[str, Any]:
    """A model as JSON."""
    shown = model.model_dump(mode="json", exclude={"source"})
    return shown | {"from": "this machine" if model.source == "machine" else model.source}
