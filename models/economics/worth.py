"""Whether a training is worth its money, asked when one is due by size.

What is assumed where nothing has been measured yet stands here, each with its reason.
"""

from __future__ import annotations

import math

from jitr.models.economics.money import Payback, training_pays
from jitr.models.economics.pace import Pace
from jitr.schemas.policy import Policy
from jitr.schemas.routes import Route, SurrogateRef

_DAY_S = 86_400.0
# No certificate is for fewer than this share of calls (`jitr.models.surrogates.forecast.SHARES`).
_LEAST = 0.30
# Before anything was trained: half way between the least share and all.
_FIRST = (0.65, _LEAST)
# A version is live: what its successor may add of the calls it leaves to the teacher.
_ROOM = (0.5, 0.1)
# Calls to a certificate at the median where the margin is 0.02 (docs/guarantee.md, "Shadow run"); the
# surrogate answers none of them.
_SHADOW_CALLS = 520
_ANSWER_S = 0.01


def coverage_ahead(route: Route | None, target: float) -> tuple[float, float]:
    """Share of calls that the next version is expected, and at least expected, to take off the teacher.

    Parameters
    ----------
    route : Route, optional
        With the version that is live, or the one that was trained last, as far as it is in sight.
    target : float
        The promised agreement.

    Examples
    --------
    >>> coverage_ahead(None, 0.95)
    (0.65, 0.3)
    >>> last = SurrogateRef(version="v", uri="", digest="", encoders="", state="retired",
    ...                     shares=(0.3, 0.6, 1.0), forecast=(0.99, 0.96, 0.9))
    >>> coverage_ahead(Route(tenant="t", task="k", surrogate=last), 0.95)
    (0.6, 0.3)
    """
    live = route.surrogate if route is not None and route.surrogate is not None else None
    if live is not None and live.state == "certified" and live.proof is not None:
        left = 1 - live.proof.coverage
        return _ROOM[0] * left, _ROOM[1] * left
    last = last_trained(route)
    reach = [s for s, q in zip(last.shares, last.forecast, strict=True) if q > target] if last else []
    # a forecast of nothing says nothing about twice the data
    return (max(reach), min(_LEAST, max(reach))) if reach else _FIRST


def last_trained(route: Route | None) -> SurrogateRef | None:
    """The version in sight that was trained on most labels."""
    seen = [ref for ref in (route.surrogate, route.candidate) if ref is not None] if route else []
    return max(seen, key=lambda ref: ref.labels, default=None)


def worth(pace: Pace, bill_usd: float, labels: int, route: Route | None, policy: Policy) -> Payback:
    """Forecast what the next training brings within ``policy.payback_days``.

    Parameters
    ----------
    pace : Pace
        Of all calls of the task, whoever answered.
    bill_usd : float
        Mean bill of the teacher.
    labels : int
        What it would be trained on. It costs what the last one cost, in proportion; the first is taken to
        cost all that `Limits.max_train_s` allows.
    route : Route, optional
    policy : Policy

    Examples
    --------
    >>> hourly, daily = Pace(), Pace()
    >>> for n in range(300):
    ...     hourly.call(n * 3600.0)
    ...     daily.call(n * 86400.0)
    >>> worth(hourly, 0.01, 300, None, Policy()).pays, worth(daily, 0.01, 300, None, Policy()).pays
    (True, False)
    """
    calls, span_s = pace.recent()
    expected, low = coverage_ahead(route, policy.target)
    last = last_trained(route)
    train_s = policy.limits.max_train_s
    if last is not None and last.labels and last.train_s:
        train_s = last.train_s * max(1.0, labels / last.labels)
    return training_pays(
        calls=calls,
        span_s=span_s,
        horizon_s=policy.payback_days * _DAY_S,
        bill_usd=bill_usd,
        coverage=expected,
        coverage_low=low,
        train_core_s=train_s,
        shadow_calls=_SHADOW_CALLS,
        surrogate_core_s=last.p99_ms / 1000 if last is not None and last.p99_ms else _ANSWER_S,
    )


def said(payback: Payback, pace: Pace, bill_usd: float, policy: Policy) -> str:
    """The forecast in words, with its figures.

    Examples
    --------
    >>> pace = Pace(times=[0.0, 86400.0, 172800.0])
    >>> said(worth(pace, 0.0009, 300, None, Policy()), pace, 0.0009, Policy()).split(":")[0]
    'a training does not pay for itself within 30 days'
    """
    calls, span_s = pace.recent()
    ahead = calls * policy.payback_days * _DAY_S / span_s if span_s else 0.0
    if math.isfinite(payback.break_even_calls):
        even = f"it would take {payback.break_even_calls:,.0f} calls to break even"
    else:
        even = "a call costs the LLM no more than it costs a surrogate, so that it never breaks even"
    return (
        f"a training {'pays' if payback.pays else 'does not pay'} for itself within "
        f"{policy.payback_days:g} days: {_dollars(payback.lower_usd)} at least, "
        f"{_dollars(payback.expected_usd)} expected, of about {ahead:,.0f} calls at {_dollars(bill_usd)}; "
        f"{even}"
    )


def _dollars(usd: float) -> str:
    return f"{'-' if usd < 0 else ''}${abs(usd):,.{2 if abs(usd) >= 1 else 6}f}"
