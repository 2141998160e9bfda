"""Whom the upstream has served lately: only they may be answered in its place."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

MOST_CALLERS: Final = 100_000
_MOST_MODELS: Final = 64
_REFUSED: Final = (401, 403)
V = TypeVar("V")


class Accepted:
    """Callers, by digests of what they show, and until when the upstream's word on them is believed.

    A caller is accepted for a model by an answer 2xx and forgotten for all models by the first 401 or 403.
    An answer to what was asked before a refusal accepts nobody, however late it comes.

    Parameters
    ----------
    lasts_s : float
        How long one answer is believed; 0 believes none.
    clock : callable
        Monotonic seconds.
    most : int
        Callers that are remembered; who was accepted longest ago is forgotten first.

    Examples
    --------
    >>> accepted = Accepted(600.0, clock=lambda: 5.0)
    >>> accepted.heard(b"who", "gpt-4o", 200, asked_at=4.0)
    >>> accepted.holds(b"who", "gpt-4o"), accepted.holds(b"who", "gpt-5"), accepted.holds(b"she", "gpt-4o")
    (True, False, False)
    >>> accepted.heard(b"who", "gpt-5", 401, asked_at=5.0)
    >>> accepted.holds(b"who", "gpt-4o")
    False
    """

    def __init__(
        self, lasts_s: float, *, clock: Callable[[], float] = time.monotonic, most: int = MOST_CALLERS
    ) -> None:
        self.now: Final = clock
        self._lasts_s: Final = lasts_s
        self._most: Final = most
        self._until: OrderedDict[bytes, dict[str, float]] = OrderedDict()
        # apart, so that a flood of wrong keys makes nobody forgotten who was accepted
        self._refused_at: OrderedDict[bytes, float] = OrderedDict()

    def holds(self, who: bytes, model: str) -> bool:
        """Whether the upstream has served this caller with this model lately."""
        models = self._until.get(who)
        return models is not None and self.now() < models.get(model, 0.0)

    def heard(self, who: bytes, model: str, status: int, *, asked_at: float) -> None:
        """Learn what the upstream said to a caller; ``asked_at`` is when, by the clock, it was asked."""
        if status in _REFUSED:
            self._until.pop(who, None)
            _keep(self._refused_at, who, self.now(), self._most)
        elif 200 <= status < 300 and asked_at > self._refused_at.get(who, float("-inf")):
            models = self._until.get(who, {})
            models.pop(model, None)
            if len(models) >= _MOST_MODELS:
                del models[next(iter(models))]
            models[model] = self.now() + self._lasts_s
            _keep(self._until, who, models, self._most)


def _keep(kept: OrderedDict[bytes, V], who: bytes, value: V, most: int) -> None:
    kept[who] = value
    kept.move_to_end(who)
    if len(kept) > most:
        kept.popitem(last=False)
