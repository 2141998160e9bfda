"""What an earlier race tells a later one: where to begin, what ties mean, and who need not run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jitr.models.surrogates.artifact.artifact import RaceEntry, read_manifest, read_measured
from jitr.models.surrogates.candidates import Candidate
from jitr.models.training.search.runner import Runner

_LEAST_ROWS = 300
_ERRORS = 3.0


@dataclass(frozen=True)
class Prior:
    """The entries of an earlier race, the winner's first.

    It orders the candidates, so that the limit of seconds hits the least promising. Of another task it also
    decides ties between encoders. Of the ``same`` task, on fewer labels, it leaves out who was clearly beaten
    there: a verdict for one race, for such an entry has no labels in the next one. Only agreement out of
    sample is looked at, which is the same on every machine; seconds and milliseconds are not.

    Examples
    --------
    >>> won = RaceEntry(candidate="e5 linear", rows=600, accuracy=0.9, curve=((300, 0.85), (600, 0.9)))
    >>> lost = RaceEntry(candidate="minilm linear", rows=300, accuracy=0.7, curve=((300, 0.7),))
    >>> prior = Prior((won, lost), same=True)
    >>> prior.beaten(Candidate("linear", False, "minilm"))
    'was beaten by e5 linear on 300 labels, 0.700 to 0.850'
    >>> prior.encoders == {}, Prior((won, lost)).encoders
    (True, {'e5': 0.9, 'minilm': 0.7})
    """

    entries: tuple[RaceEntry, ...] = ()
    same: bool = False

    @property
    def winner(self) -> str:
        """Name of the candidate that won; empty where nothing is known."""
        return self.entries[0].candidate if self.entries else ""

    @property
    def encoders(self) -> dict[str, float]:
        """The best agreement that each encoder reached on another task; a pair's, where it did not run alone.

        Nothing of the same task: whether its race was run at all may depend on who was killed, and in a tie
        that would choose the surrogate.
        """
        alone: dict[str, float] = {}
        paired: dict[str, float] = {}
        for entry in () if self.same else self.entries:
            names = entry.candidate.partition(" ")[0].removesuffix("+ngrams").split("+")
            for name in names if entry.rows else ():
                found = alone if len(names) == 1 else paired
                found[name] = max(found.get(name, 0.0), entry.accuracy)
        return paired | alone

    def beaten(self, candidate: Candidate) -> str:
        """Why it need not run again; empty where it must.

        N-grams always run: they are what is left where the time is short. With more labels tuned layers gain
        most, so that nothing is concluded about them; nor from them, for without torch they are not there.
        """
        entry = self._entry(candidate)
        if not self.same or candidate.tuned or candidate.encoder is None or entry is None or not entry.curve:
            return ""
        rows, own = entry.curve[-1]
        best = dict(self.entries[0].curve).get(rows)
        if rows < _LEAST_ROWS or best is None or self.winner.endswith((" tuned", " joined")):
            return ""
        error = ((own * (1 - own) + best * (1 - best)) / rows) ** 0.5
        if best - own <= _ERRORS * error:
            return ""
        return f"was beaten by {self.winner} on {rows} labels, {own:.3f} to {best:.3f}"

    def start(self, runners: Sequence[Runner]) -> tuple[list[Runner], list[Runner]]:
        """Those who run, the earlier winner first, and those who need not unless it falls out."""
        won = self.winner
        order = sorted(runners, key=lambda r: (r.candidate.name != won, -self._reached(r.candidate)))
        if all(runner.candidate.name != won for runner in order):
            return order, []
        aside = [runner for runner in order if self.beaten(runner.candidate)]
        return [runner for runner in order if runner not in aside], aside

    def _reached(self, candidate: Candidate) -> float:
        entry = self._entry(candidate)
        return 0.0 if entry is None else entry.accuracy

    def _entry(self, candidate: Candidate) -> RaceEntry | None:
        return next((entry for entry in self.entries if entry.candidate == candidate.name), None)


def prior_of(folder: Path, *, same: bool) -> Prior:
    """What the race of an artifact tells, of the ``same`` task or of another.

    Raises
    ------
    ArtifactError
        The folder holds no artifact.
    """
    read_manifest(folder)
    return Prior(read_measured(folder).race, same=same)
