"""Ours and the peers on the same short streams, in several orders: who leads, and beyond which interval.

The calls of the first order are shuffled for the others, so that they are embedded once. A peer's setting is
the best of a few on the first order, chosen with the truth; ours has none. The interval is that of the mean
difference over the orders (Student's t, 95%). A peer below 0.95 that three orders leave in a tie with ours
runs on seven more, which decide alone; its two looks are at 97.5% each, so that fewer than 5% of equals are
said to differ. All that is said of a peer is of the orders that decide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from statistics import fmean, stdev

from harness.options import Options
from harness.report import Report
from scipy.stats import t as student

from detection import peers
from detection.quality import quality
from detection.scores import score
from detection.streams import Stream
from detection.systems import Result, jitr

EMBEDDED = ("minilm-leader", "minilm-kmeans", "river-dbstream", "river-denstream")
PEERS = (*EMBEDDED, "river-textclust", "drain3")
ORDERS, MORE_ORDERS = 3, 10
HIGH = 0.95
_ONE_LOOK, _EACH_OF_TWO = 0.95, 0.975
# of CPU time, for learning 4,000 calls and for asking where each is; embedding them comes on top
LIMIT_S = 20.0
# no more than the rounding of floats: what lies beyond the interval is told, however little it is
_ROUNDING = 1e-9
# by the first part of a case: why ours is behind on it
WHY: dict[str, str] = {}
# by peer: why it is faster where it is as good
WHY_FASTER = {
    "drain3": "a log parser files a line by its number of words and its first ones, which suits prompts of a"
    " fixed length; it looks at no slot value and refines nothing"
}
_RATE = "mine_calls_per_s"


class Comparison:
    """Compares systems stream by stream, and says in the end where ours is behind.

    Parameters
    ----------
    report : Report
    options : Options
    """

    def __init__(self, report: Report, options: Options) -> None:
        self.report = report
        self.options = options
        self.limit_s = LIMIT_S / 4 if options.quick else LIMIT_S
        self.orders = 1 if options.quick else ORDERS
        self._behind: list[str] = []
        self._slower: list[str] = []
        self._cases = 0
        self._weakest: list[tuple[float, str]] = []

    def run(self, case: str, stream: Stream, n: int) -> None:
        """All systems that are wanted on the first n calls of a stream."""
        case = f"{case}/first={n}"
        self.report.step(case)
        calls = stream.calls[:n]
        systems = [s for s in PEERS if self.options.wants_system(s) and self._is_there(s)]
        vectors, rate = peers.embed(calls) if set(systems) & set(EMBEDDED) else (None, 0.0)
        chosen: dict[str, str | None] = dict.fromkeys(systems)
        aris: dict[str, list[float]] = {s: [] for s in ("jitr", *systems)}
        rates: dict[str, float] = {}
        for order in range(MORE_ORDERS if self.orders > 1 else 1):
            if order == self.orders:
                systems = [s for s in systems if _undecided(aris["jitr"], aris[s])]
            if order >= self.orders and not systems:
                break
            at = list(range(len(calls)))
            if order:
                random.Random(self.options.seed + order).shuffle(at)
            short = Stream(case, [calls[i] for i in at], stream.counted, stream.one)
            ours = jitr(short.calls, self.options.seed)
            aris["jitr"].append(self._ari(short, ours))
            rates.setdefault("jitr", ours.rates[_RATE])
            if order == 0 and self.options.wants_system("jitr"):
                quality(self.report, case, "jitr", short, ours)
            for system in systems:
                self.report.step(f"{case}: {system}, order {order + 1}")
                results = self._results(system, short, None if vectors is None else vectors[at], rate)
                best = self._best(short, results, chosen[system])
                chosen[system] = best[0]
                aris[system].append(self._ari(short, best[1]))
                rates.setdefault(system, best[1].rates[_RATE])
                if order == 0:
                    quality(self.report, case, system, short, best[1])
                    if best[1].note:
                        self.report.note(f"{case}: {system} ({best[0]}): {best[1].note}")
        self._judge(case, aris, rates)

    def close(self) -> None:
        """Say where ours is behind, and where it is weak."""
        if not self._cases:
            return
        where = "; ".join(self._behind) or "nowhere"
        said = "" if self.orders > 1 else " (one order: no interval)"
        self.report.note(f"behind a peer beyond the interval, of {self._cases} streams: {where}{said}")
        slower = "; ".join(self._slower) or "nowhere"
        self.report.note(f"slower than a peer that is as good: {slower}{said}")
        for low, text in self._weakest:
            if low < HIGH:
                self.report.note(text)

    def _is_there(self, system: str) -> bool:
        if system != "drain3" or peers.PEERS_PYTHON.is_file():
            return True
        if not self._cases:
            self.report.note("drain3 left out: .venv-peers is not there; `make bench` brings it")
        return False

    def _results(
        self, system: str, short: Stream, vectors: peers.Vectors | None, rate: float
    ) -> Iterator[tuple[str, Callable[[], Result]]]:
        if system == "river-textclust":
            return peers.textclust(short.calls, self.limit_s)
        if system == "drain3":
            return peers.drain(short.calls)
        assert vectors is not None, "it was embedded for this system"
        if system == "minilm-leader":
            return peers.leader(vectors, rate)
        if system == "minilm-kmeans":
            k = len({call.task for call in short.calls if call.task is not None})
            return peers.kmeans(vectors, rate, k, self.options.seed)
        make = peers.dbstream if system == "river-dbstream" else peers.denstream
        return make(vectors, rate, self.limit_s)

    def _best(
        self, short: Stream, results: Iterator[tuple[str, Callable[[], Result]]], chosen: str | None
    ) -> tuple[str, Result]:
        """The result of the chosen setting; of the best one where none is chosen yet."""
        made = [(name, make()) for name, make in results if chosen is None or name == chosen]
        return max(made, key=lambda pair: self._ari(short, pair[1]))

    def _ari(self, short: Stream, result: Result) -> float:
        truth = [call.task for call in short.calls]
        return score(truth, result.final, short.counted, one=short.one).ari

    def _judge(self, case: str, aris: dict[str, list[float]], rates: dict[str, float]) -> None:
        """The mean of each system, and by how much ours leads; where none does, which is faster."""
        self._cases += 1
        ours = aris.pop("jitr")
        self.report.add(case, "jitr", "orders", len(ours))
        self.report.add(case, "jitr", "ari_mean", fmean(ours))
        for system in aris:
            mine, theirs = _deciding(ours, aris[system])
            leads, half = _leads(ours, aris[system])
            self.report.add(case, system, "orders", len(theirs))
            self.report.add(case, system, "ari_mean", fmean(theirs))
            self.report.add(case, system, "jitr_ari_mean", fmean(mine))
            self.report.add(case, system, "jitr_leads_by", fmean(leads))
            self.report.add(case, system, "jitr_leads_by_half_width", half)
            if fmean(leads) + (half or 0.0) < -_ROUNDING:
                why = WHY.get(case.partition("/")[0], "not known why")
                self._behind.append(
                    f"{case}: {system} {fmean(theirs):.3f}, jitr {fmean(mine):.3f} (+-{half or 0:.3f}): {why}"
                )
            if abs(fmean(leads)) <= (half or 0.0) + _ROUNDING and rates[system] > rates["jitr"]:
                why = WHY_FASTER.get(system, "not known why")
                self._slower.append(
                    f"{case}: {system} {rates[system]:,.0f} calls/s, jitr {rates['jitr']:,.0f}: {why}"
                )
            if _undecided(ours, aris[system]):
                self._weakest.append((fmean(mine), f"{case}: jitr and {system} are a tie below 0.95"))


def _deciding(ours: list[float], theirs: list[float]) -> tuple[list[float], list[float]]:
    """What both had on the orders that decide: the first ones, or all others where those left a tie.

    Examples
    --------
    >>> _deciding([0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.6, 0.7])
    ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    >>> _deciding([0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.6, 0.7, 0.8, 0.9])
    ([0.4, 0.5], [0.8, 0.9])
    """
    first = ORDERS if len(theirs) > ORDERS else 0
    return ours[first : len(theirs)], theirs[first:]


def _leads(ours: list[float], theirs: list[float]) -> tuple[list[float], float | None]:
    """By how much ours leads on each order that decides, and half the interval of that.

    Who is asked a second time, or would have been, is asked more strictly each time.

    Examples
    --------
    >>> leads, half = _leads([1.0, 1.0, 1.0], [0.7, 0.8, 0.9])
    >>> [round(lead, 1) for lead in leads], round(half, 3)
    ([0.3, 0.2, 0.1], 0.358)
    """
    level = _EACH_OF_TWO if _is_low(theirs) else _ONE_LOOK
    leads = [a - b for a, b in zip(*_deciding(ours, theirs), strict=True)]
    return leads, half_width(leads, level)


def _is_low(theirs: list[float]) -> bool:
    """Whether a tie with a peer would be looked at again."""
    return fmean(theirs[:ORDERS]) < HIGH


def _undecided(ours: list[float], theirs: list[float]) -> bool:
    """Whether a peer is low and yet neither ahead nor behind."""
    leads, half = _leads(ours, theirs)
    return _is_low(theirs) and abs(fmean(leads)) <= (half or 0.0)


def half_width(values: list[float], level: float = _ONE_LOOK) -> float | None:
    """Half the interval of a mean at a level of confidence; None of one value.

    Examples
    --------
    >>> round(half_width([0.1, 0.2, 0.3]), 3), half_width([0.1])
    (0.248, None)
    """
    n = len(values)
    return float(student.ppf((1 + level) / 2, n - 1) * stdev(values) / n**0.5) if n > 1 else None
