"""Which encoders may race where many are known: the cheap look before anything is trained in full."""

from __future__ import annotations

from jitr.models.search.logme import logme
from jitr.models.search.pool import choose
from jitr.models.search.track import Clock, Track
from jitr.models.surrogates.candidates import Candidate
from jitr.schemas.trainings import Limits

_ROUNDS = (250, 500)
_KEPT = 2


def shortlist(track: Track, names: tuple[str, ...], limits: Limits, clock: Clock) -> tuple[str, ...]:
    """The encoder that a cross-validated probe on few labels likes best, and the next by the same probe.

    Those whose weights are missing or too large are left to the race, which says so. Ties are decided by the
    evidence of the features (`logme`).
    """
    here = [name for name in names if not track.refuse(name, limits)]
    rounds = [size for size in _ROUNDS if size <= len(track.dataset)] or [len(track.dataset)]
    evidence = {name: logme(*track.sentences(name, rounds[0])) for name in here}
    probes: dict[str, float] = {}

    def probe(name: str, labels: int) -> tuple[float, float]:
        before = clock()
        probes[name] = track.fit(Candidate("linear", False, name), labels).accuracy
        return probes[name], clock() - before

    if len(here) > _KEPT:
        best = choose(here, probe, rounds=rounds, prior=evidence).winner
        others = sorted(here, key=lambda name: (name != best, -probes[name], -evidence[name]))
        here = others[:_KEPT]
    return tuple(name for name in names if name in here or track.refuse(name, limits))
