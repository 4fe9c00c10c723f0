"""What a reply cost, from the price lists that come with genai-prices."""


def cost(model: str, base_url: str, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
    """US dollars; None where the provider at this address, or its model, has no known price."""
    # Prices take 0.1 s to import; nothing but a turn needs them.
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, cache_read_tokens=cached_tokens or None, output_tokens=output_tokens)
    try:
        return float(calc_price(usage, model, provider_api_url=base_url).total_price)
    except (LookupError, ValueError):
        return None
