"""What a call to the model may come to, taken aside before it is made, so that no call passes a cap. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from pullwright.domain.limits import AttemptLimits
from pullwright.domain.task import Usage

USUAL_OUTPUT = 32_000  # tokens of an answer, where nothing limits it
_LEAST_OUTPUT = 256  # an answer shorter than this is no use
_MARGIN = 1.1  # the tokens of a question are a guess until the provider has counted them

Price = Callable[[int, int], float | None]
"""US dollars of so many input and output tokens, none of them cached."""


class Spent(Exception):
    """A cap would be passed: a signal inside the engine, whose text is the attempt's reason."""


@dataclass(frozen=True)
class Reserved:
    """What was taken aside for a call."""

    tokens: int  # of the question, as guessed
    max_output: int | None  # what the answer may have; None: no cap is near


def reserve(limits: AttemptLimits, usage: Usage, tokens: int, price: Price) -> Reserved:
    """Take aside what a call with a question of so many tokens may come to. Raises `Spent`."""
    if usage.requests >= limits.turns:
        raise Spent(f"the limit of {limits.turns} turns was reached")
    question = int(tokens * _MARGIN)
    allowed = USUAL_OUTPUT
    used = usage.input_tokens + usage.output_tokens
    left = limits.tokens - used - question
    if left < _LEAST_OUTPUT:
        raise Spent(
            f"the limit of {limits.tokens:,} tokens would be passed: {used:,} are used, and the next call needs "
            f"{question + _LEAST_OUTPUT:,} or more"
        )
    allowed = min(allowed, left)
    if limits.cost is None:
        return Reserved(question, None if allowed == USUAL_OUTPUT else allowed)
    spent = usage.cost or 0.0
    asking, thousand = price(question, 0) or 0.0, price(0, 1000) or 0.0
    if thousand:
        allowed = min(allowed, int((limits.cost - spent - asking) / thousand * 1000))
    if allowed < _LEAST_OUTPUT or asking + spent > limits.cost:
        needs = asking + thousand * _LEAST_OUTPUT / 1000
        raise Spent(
            f"the limit of ${limits.cost:.2f} would be passed: ${spent:.4f} is spent, and the next call may cost "
            f"${needs:.4f} or more"
        )
    return Reserved(question, allowed)
