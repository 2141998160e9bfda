"""What a model's tokens cost, in US dollars a million."""

from __future__ import annotations

import msgspec

from jitr.schemas.bounds import Dollars


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Dollars per million input and output tokens.

    Examples
    --------
    >>> Price(2.0, 8.0).cost_usd(403, 8)
    0.00087
    """

    input: Dollars
    output: Dollars
    cached: Dollars | None = None

    def cost_usd(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """Dollars for one call; cached tokens are part of the input tokens."""
        cached = min(cached_tokens, input_tokens)
        at = self.input if self.cached is None else self.cached
        return ((input_tokens - cached) * self.input + cached * at + output_tokens * self.output) / 1e6


# List prices as of 2026; override them under `[prices]` of the settings file.
DEFAULT_PRICES: dict[str, Price] = {
    "gpt-4.1": Price(2.0, 8.0),
    "gpt-4.1-mini": Price(0.4, 1.6),
    "gpt-4.1-nano": Price(0.1, 0.4),
    "gpt-4o": Price(2.5, 10.0),
    "gpt-4o-mini": Price(0.15, 0.6),
    "gpt-5.5": Price(5.0, 30.0),
    "gpt-5.4-mini": Price(0.75, 4.5),
    "claude-haiku-4.5": Price(1.0, 5.0),
    "claude-sonnet": Price(3.0, 15.0),
    "claude-opus": Price(5.0, 25.0),
    "llama-8b": Price(0.2, 0.2),
    "llama-70b": Price(0.88, 0.88),
    "llama-405b": Price(3.5, 3.5),
}


def price_of(model: str, prices: dict[str, Price]) -> Price | None:
    """The price of a model: by its name, else by the longest known name that begins it.

    Dots and dashes are the same, and what begins a name ends where a word of it does.

    Examples
    --------
    >>> price_of("gpt-4o-mini-2024-07-18", DEFAULT_PRICES)
    Price(input=0.15, output=0.6, cached=None)
    >>> price_of("unheard-of", DEFAULT_PRICES) is price_of("gpt-4.15", DEFAULT_PRICES) is None
    True
    """
    if model in prices:
        return prices[model]
    name = _plain(model)
    fitting = [known for known in prices if _begins(_plain(known), name)]
    return prices[max(fitting, key=len)] if fitting else None


def price_for(asked: str, answered: str, prices: dict[str, Price]) -> Price | None:
    """The price of a call: of the model that was asked for if it is named so in the table, else of the one
    that answered; a deployment may have any name.

    Parameters
    ----------
    asked : str
        The request's model.
    answered : str
        The response's model, empty where it is not known.
    prices : dict of str to Price

    Examples
    --------
    >>> price_for("gpt-4-team", "gpt-4o-mini-2024-07-18", DEFAULT_PRICES) == DEFAULT_PRICES["gpt-4o-mini"]
    True
    """
    return prices.get(asked) or price_of(answered, prices) or price_of(asked, prices)


def _plain(model: str) -> str:
    return model.lower().rpartition("/")[2].replace(".", "-")


def _begins(known: str, name: str) -> bool:
    return name.startswith(known) and not name[len(known) : len(known) + 1].isalnum()
