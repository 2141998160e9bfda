"""What one call was billed: by who was asked for it, by its tokens, or by an estimate of them.

One rule for the worker, a scan of a log and whoever forecasts: a call costs the same wherever it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from jitr.schemas.calls import Call, Usage
from jitr.schemas.prices import Price, price_for
from jitr.schemas.tokens import MESSAGE_TOKENS, estimate_tokens


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens and dollars of one call; ``usd`` is None where no price is known."""

    usage: Usage
    usd: float | None


def bill(call: Call, prices: dict[str, Price]) -> Bill:
    """The bill of a call.

    What the call says it cost is believed. Else its tokens are priced: by the model that was asked for where
    the table names it, by the model that answered where it is known by another name (a deployment's).

    Parameters
    ----------
    call : Call
    prices : dict of str to Price

    Examples
    --------
    >>> from jitr.schemas.calls import Message, Response
    >>> prices = {"gpt-4o": Price(2.5, 10.0)}
    >>> call = Call(id="1", model="ours", time=0.0, response=Response(text="yes", model="gpt-4o-2024"),
    ...             messages=(Message(role="user", content="Is this spam? You have won!"),))
    >>> bill(call, prices)
    Bill(usage=Usage(input_tokens=11, output_tokens=1, cached_tokens=0, estimated=True), usd=3.75e-05)
    """
    usage = usage_of(call)
    if call.cost_usd is not None:
        return Bill(usage, call.cost_usd)
    if not usage.input_tokens and not usage.output_tokens:
        # a call that failed, or that a surrogate has answered alone
        return Bill(usage, 0.0)
    price = price_for(call.model, call.response.model if call.response is not None else "", prices)
    cost = (
        None
        if price is None
        else price.cost_usd(usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    )
    return Bill(usage, cost)


def usage_of(call: Call) -> Usage:
    """The tokens of a call as they were counted; estimated, and marked so, where they were not.

    A stream without usage, for one, was billed all the same. Of a call that failed, or that a surrogate has
    answered alone, nothing is made up.
    """
    counted, response = call.usage, call.response
    if response is None and (call.error is not None or call.decision is not None):
        return counted
    read, written = counted.input_tokens, counted.output_tokens
    if not read:
        texts = [t for m in call.messages for t in (m.content, m.tool_calls) if t]
        texts += [t for t in (call.tools, call.response_format) if t]
        read = MESSAGE_TOKENS * len(call.messages) + estimate_tokens("\n".join(texts), call.model)
    if not written and response is not None:
        written = estimate_tokens(response.text + (response.tool_calls or ""), call.model)
    if (read, written) == (counted.input_tokens, counted.output_tokens):
        return counted
    return msgspec.structs.replace(counted, input_tokens=read, output_tokens=written, estimated=True)
