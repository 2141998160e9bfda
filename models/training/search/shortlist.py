"""Which encoders may race where many are known: the cheap look before anything is trained in full."""

from __future__ import annotations

from collections.abc import Mapping

from jitr.models.surrogates.candidates import Candidate
from jitr.models.training.search.halving import choose
from jitr.models.training.search.logme import logme
from jitr.models.training.search.race_data import Clock, RaceData
from jitr.schemas.trainings import Limits

_ROUNDS = (250, 500)
_KEPT = 2
# of the seconds to train: what is found must still be trained
_SHARE = 0.25
_NOT_LISTED = "the probe of its features on few labels was worse than those of others"


def shortlist(
    data: RaceData,
    names: tuple[str, ...],
    limits: Limits,
    clock: Clock,
    earlier: Mapping[str, float] | None = None,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """The encoder that a cross-validated probe on few labels likes best, and the next by the same probe.

    Those whose weights are missing or too large are left to the race, which says so. Who was best on an
    earlier task is looked at first, then the fastest; who would take more than is left of a quarter of the
    seconds to train is not looked at. Ties are decided by the earlier task, then by the evidence of the
    features (`logme`).

    Parameters
    ----------
    earlier : mapping of str to float, optional
        Agreement that encoders reached on an earlier task.

    Returns
    -------
    kept : tuple of str
        Those that can take part first.
    lost : dict of str to str
        Why each of the others is out.
    """
    started, most_s = clock(), _SHARE * limits.max_train_s
    here = [name for name in names if not data.refuse(name, limits)]
    rounds = [size for size in _ROUNDS if size <= len(data.dataset)] or [len(data.dataset)]
    lost: dict[str, str] = {}
    evidence: dict[str, float] = {}
    earlier = earlier or {}
    order = sorted(here, key=lambda name: (-earlier.get(name, 0.0), -data.weights.spec(name).texts_per_s))
    for name in order if len(here) > _KEPT else ():
        left = most_s - (clock() - started)
        if why := data.too_slow(name, rounds[0], left, limits, clock):
            lost[name] = f"not looked at: {why}"
        else:
            evidence[name] = logme(*data.sentences(name, rounds[0]))
    probes: dict[str, float] = {}

    def probe(name: str, labels: int) -> tuple[float, float]:
        before = clock()
        probes[name] = data.fit(Candidate("linear", False, name), labels).accuracy
        return probes[name], clock() - before

    here = [name for name in here if name not in lost]
    if len(here) > _KEPT:
        left = most_s - (clock() - started)
        # the two are not of one scale: places in their order are
        places = sorted(here, key=lambda name: (earlier.get(name, 0.0), evidence[name]))
        prior = {name: float(place) for place, name in enumerate(places)}
        best = choose(here, probe, rounds=rounds, prior=prior, most_s=left).winner
        others = sorted(here, key=lambda name: (name != best, -probes[name], -prior[name]))
        lost |= dict.fromkeys(others[_KEPT:], _NOT_LISTED)
    # those that are here first: two of them can be paired
    return tuple(
        sorted((name for name in names if name not in lost), key=lambda name: name not in here)
    ), lost
