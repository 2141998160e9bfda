"""What a route's row says of money, of the teacher and of trainings, in words and in figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from jitr.cli.output import usd
from jitr.models.economics.money import instead_usd, saved_interval, saved_usd
from jitr.models.lifecycle import shadow_run
from jitr.schemas.routes import Route


def saved(route: Route) -> str:
    """Dollars saved, with the interval they lie in at 95%.

    Examples
    --------
    >>> from jitr.schemas.money import Money
    >>> saved(Route(tenant="t", task="k", money=Money(train_usd=0.5)))
    '-$0.5000'
    >>> seen = Money(teacher_calls=100, teacher_usd=10.0, answered_calls=900, cost_squares=1.25)
    >>> saved(Route(tenant="t", task="k", money=seen))
    '$90.00 ($80.66..$99.34)'
    """
    low, high = saved_interval(route.money)
    if low == high:
        return usd(low)
    if math.isinf(low):
        return f"{usd(saved_usd(route.money))} (too few bills to say)"
    return f"{usd(saved_usd(route.money))} ({usd(low)}..{usd(high)})"


def self_agreement(route: Route) -> str:
    """How often the teacher agreed with itself, on how many inputs; empty where none came twice.

    Examples
    --------
    >>> self_agreement(Route(tenant="t", task="k", repeats=20, repeats_agreed=17))
    '0.850 of 20 inputs that were asked again (as they came; no probes are sent)'
    """
    if not route.repeats:
        return ""
    rate = route.repeats_agreed / route.repeats
    return f"{rate:.3f} of {route.repeats} inputs that were asked again (as they came; no probes are sent)"


def shadow(route: Route) -> str:
    """How far the candidate's shadow run has come; empty where there is none.

    Examples
    --------
    >>> from jitr.schemas.routes import ShadowRun, SurrogateRef
    >>> ref = SurrogateRef(version="v", uri="", digest="", encoders="")
    >>> run = ShadowRun(version="v", calls=120, forecast_calls=400)
    >>> shadow(Route(tenant="t", task="k", candidate=ref, shadow=run))
    '120 of about 400 calls'
    """
    run = shadow_run(route)
    if run is None:
        return ""
    forecast = f" of about {run.forecast_calls}" if run.forecast_calls else ""
    return f"{run.calls}{forecast} calls"


def lines(route: Route, target: float) -> Iterator[tuple[str, str]]:
    """Everything, as (heading, text)."""
    yield "saved", f"{saved(route)} of {usd(instead_usd(route.money))} that the teacher alone would have cost"
    if route.repeats:
        below = route.repeats_agreed < target * route.repeats
        warns = f"; that is below the target {target:g}: little may be offered" if below else ""
        yield "teacher", f"agrees with itself on {self_agreement(route)}{warns}"
    if route.withheld is not None:
        yield "withheld", route.withheld.reason
    if run := shadow(route):
        yield "shadow", f"{run} to a certificate of {route.candidate.version if route.candidate else ''}"


def figures(route: Route) -> dict[str, Any]:
    """The row as JSON, with what follows from it: ``saved_usd`` and its bounds, ``self_agreement``.

    Bounds are null where there are too few bills to say.
    """
    low, high = saved_interval(route.money)
    return {name: getattr(route, name) for name in route.__struct_fields__} | {
        "saved_usd": saved_usd(route.money),
        "saved_low_usd": low if math.isfinite(low) else None,
        "saved_high_usd": high if math.isfinite(high) else None,
        "self_agreement": route.repeats_agreed / route.repeats if route.repeats else None,
    }
