"""What a model costs and how much it takes: said by its entry, or known from the lists that come with genai-prices."""

from collections.abc import Iterator
from typing import Any

from pullwright.models.known import Target

_NAMES = {"bedrock": "aws", "xai": "x-ai"}  # genai-prices has names of its own


def cost(where: Target, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
    """US dollars that so many tokens cost; None where neither the entry nor a list has the price."""
    if where.prices:
        return where.prices.cost(input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens)
    # Prices take 0.2 s to import; nothing but a turn needs them.
    from genai_prices import Usage

    usage = Usage(input_tokens=input_tokens, cache_read_tokens=cached_tokens or None, output_tokens=output_tokens)
    return listed_cost(where, usage)


def listed_cost(where: Target, usage: Any) -> float | None:  # noqa: ANN401  # pydantic-ai's usage or genai-prices'
    """US dollars by the lists, with all that a provider reported, such as what it wrote to its cache."""
    from genai_prices import calc_price

    for reference in _references(where):
        try:
            return float(calc_price(usage, where.name, **reference).total_price)
        except (LookupError, ValueError):
            continue
    return None


def listed_window(where: Target) -> int | None:
    """Tokens that the model takes, where a list says so."""
    from genai_prices.data_snapshot import get_snapshot

    for reference in _references(where):
        try:
            ids = (reference.get("provider_id"), reference.get("provider_api_url"))
            _, model = get_snapshot().find_provider_model(where.name, None, *ids)
        except LookupError:
            continue
        if model.context_window:
            return model.context_window
    return None


def _references(where: Target) -> Iterator[dict[str, Any]]:
    """By the address; and by the provider's name where it is the provider's own address."""
    yield {"provider_api_url": where.base_url}
    if where.usual:
        yield {"provider_id": _NAMES.get(where.provider, where.provider.partition("-")[0])}
