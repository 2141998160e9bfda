"""How well clusters fit the truth."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

TASK = 20  # calls that make a cluster a task
_SHARE, _PURITY = 0.8, 0.9


@dataclass(frozen=True, slots=True)
class Score:
    """Figures of one assignment of calls to clusters.

    ``found`` of ``classes``: one cluster holds 80% of the class's calls at a purity of 90%.
    ``noise_inside``: share of the ad-hoc calls that are in a cluster of twenty calls or more.
    """

    found: int
    classes: int
    ari: float
    v_measure: float
    nmi: float
    noise_inside: float
    tasks: int
    missed: tuple[str, ...]


def adjusted_rand(truth: Sequence[Hashable], clusters: Sequence[Hashable]) -> float:
    """Agreement over pairs, 0 for chance and 1 for equality (Hubert and Arabie, 1985).

    Examples
    --------
    >>> adjusted_rand("aabb", "xxyy")
    1.0
    """
    n = len(truth)
    joint = sum(map(_pairs, Counter(zip(truth, clusters, strict=True)).values()))
    a = sum(map(_pairs, Counter(truth).values()))
    b = sum(map(_pairs, Counter(clusters).values()))
    chance = a * b / _pairs(n) if n > 1 else 0.0
    return (joint - chance) / ((a + b) / 2 - chance) if (a + b) / 2 != chance else 1.0


def _pairs(n: int) -> float:
    return n * (n - 1) / 2


def mutual_information(truth: Sequence[Hashable], clusters: Sequence[Hashable]) -> tuple[float, float]:
    """NMI with the arithmetic mean, and V-measure (Rosenberg and Hirschberg, 2007).

    The two are the same number by different roads; both are asked for.

    Examples
    --------
    >>> mutual_information("aabb", "xxyy")
    (1.0, 1.0)
    """
    n = len(truth)
    if not n:
        return 1.0, 1.0
    a, b = Counter(truth), Counter(clusters)
    joint = Counter(zip(truth, clusters, strict=True))
    shared = sum([c / n * math.log(c * n / (a[x] * b[y])) for (x, y), c in joint.items()])
    ha = -sum([c / n * math.log(c / n) for c in a.values()])
    hb = -sum([c / n * math.log(c / n) for c in b.values()])
    nmi = 2 * shared / (ha + hb) if ha + hb else 1.0
    homogeneity = shared / ha if ha else 1.0
    completeness = shared / hb if hb else 1.0
    both = homogeneity + completeness
    return round(nmi, 12), round(2 * homogeneity * completeness / both if both else 0.0, 12)


def score(
    truth: Sequence[str | None],
    clusters: Sequence[Hashable | None],
    counted: set[str],
    skip: int = 0,
    one: dict[str, str] | None = None,
) -> Score:
    """Score an assignment.

    Parameters
    ----------
    truth : sequence of str or None
        The class of each call, None for ad-hoc calls.
    clusters : sequence
        The cluster of each call; None stands alone.
    counted : set of str
        Classes that count.
    skip : int
        Leave out the first so many calls of each class.
    one : dict, optional
        Classes that may be found as one: class to group. Where a cluster holds several classes of one
        group, they count as one class.
    """
    held: list[Hashable] = [c if c is not None else ("alone", i) for i, c in enumerate(clusters)]
    truth = _joined(truth, held, one or {})
    counted = counted | {t for t in truth if t is not None and t.startswith("+")}
    seen: Counter[str] = Counter()
    picked = []
    for i, task in enumerate(truth):
        if task is not None and task in counted:
            seen[task] += 1
            if seen[task] > skip:
                picked.append(i)
    by_class: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for i in picked:
        by_class[str(truth[i])][held[i]] += 1
    inside: dict[Hashable, Counter[str | None]] = defaultdict(Counter)
    for i, task in enumerate(truth):
        inside[held[i]][task] += 1
    missed = []
    for task, clusters_of in sorted(by_class.items()):
        cluster, n = clusters_of.most_common(1)[0]
        purity = inside[cluster][task] / inside[cluster].total()
        if n < _SHARE * clusters_of.total() or purity < _PURITY:
            missed.append(task)
    y, c = [truth[i] for i in picked], [held[i] for i in picked]
    nmi, v_measure = mutual_information(y, c)
    adhoc = [i for i, task in enumerate(truth) if task is None]
    caught = sum([inside[held[i]].total() >= TASK for i in adhoc])
    return Score(
        found=len(by_class) - len(missed),
        classes=len(by_class),
        ari=adjusted_rand(y, c),
        v_measure=v_measure,
        nmi=nmi,
        noise_inside=caught / len(adhoc) if adhoc else 0.0,
        tasks=sum([k.total() >= TASK for k in inside.values()]),
        missed=tuple(missed),
    )


def _joined(
    truth: Sequence[str | None], held: Sequence[Hashable], one: dict[str, str]
) -> Sequence[str | None]:
    """Classes of one group whose most frequent cluster is the same are one class."""
    if not one:
        return truth
    most: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for task, cluster in zip(truth, held, strict=True):
        if task in one:
            most[task][cluster] += 1
    by_home: dict[tuple[str, Hashable], list[str]] = defaultdict(list)
    for task, clusters in most.items():
        by_home[one[task], clusters.most_common(1)[0][0]].append(task)
    names = {t: "+".join(["", *sorted(ts)]) for ts in by_home.values() if len(ts) > 1 for t in ts}
    return [names.get(t, t) if t is not None else None for t in truth]


def calls_until_found(
    truth: Sequence[str | None], arrival: Sequence[Hashable | None], counted: set[str], fewest: int = 25
) -> list[int]:
    """Per class, which of its own calls was the first that its main cluster took on arrival; sorted.

    A class that was never found gives a million.
    """
    clusters: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for task, cluster in zip(truth, arrival, strict=True):
        if task is not None and cluster is not None:
            clusters[task][cluster] += 1
    seen: Counter[str] = Counter()
    first: dict[str, int] = {}
    for task, cluster in zip(truth, arrival, strict=True):
        if task is None or task not in counted:
            continue
        seen[task] += 1
        if task not in first and cluster is not None and cluster == clusters[task].most_common(1)[0][0]:
            first[task] = seen[task]
    return sorted([first.get(task, 1_000_000) for task, n in seen.items() if n >= fewest])
