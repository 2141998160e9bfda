"""The card's plots as SVG, drawn by hand: a few lines need no plotting library."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from jitr.models.surrogates.artifact.artifact import Manifest, Measured
from jitr.models.surrogates.confusion import Confusion

_WIDE, _HIGH, _EDGE = 460, 280, 46
_CELL, _NAMES, _LONGEST_NAME = 32, 190, 28
_COLOURS = ("#2463a5", "#c2571a", "#3a7d44", "#7a4fa3", "#8a6d1d", "#555555")

Line = tuple[str, Sequence[tuple[float, float]]]


def plots(manifest: Manifest, measured: Measured) -> dict[str, str]:
    """Coverage against agreement as forecast, confusion of the worst labels, learning curve of the race.

    Returns
    -------
    dict of str to str
        Name and SVG of each that there is something to draw for.
    """
    drawn: dict[str, str] = {}
    coverage = list(zip(manifest.shares, manifest.forecast_agreement, strict=True))
    if coverage:
        drawn["coverage"] = line_plot(
            "agreement of the accepted, forecast", "share of calls accepted", [(manifest.candidate, coverage)]
        )
    if measured.confusion is not None and _is_square(measured.confusion):
        drawn["confusion"] = confusion_plot(measured.confusion)
    curves: dict[str, list[tuple[float, float]]] = {}
    for entry in measured.race:
        for rows, accuracy in entry.curve or ((entry.rows, entry.accuracy),):
            if rows:
                curves.setdefault(entry.candidate, []).append((float(rows), accuracy))
    if curves:
        drawn["learning"] = line_plot(
            "agreement out of sample, all answers",
            "labels",
            [(name, sorted(c)) for name, c in curves.items()],
        )
    return drawn


def plot_link(name: str, drawn: Collection[str]) -> list[str]:
    """The lines that show a plot, where it was drawn."""
    return ["", f"![{name}]({name}.svg)"] if name in drawn else []


def line_plot(title: str, across: str, lines: Sequence[Line]) -> str:
    """One plot as SVG.

    Examples
    --------
    >>> svg = line_plot("a < b", "x", [("one", [(0.0, 1.0), (1.0, 0.5)])])
    >>> svg.startswith("<svg"), "a &lt; b" in svg, svg.count("<polyline")
    (True, True, 1)
    """
    points = [point for _, line in lines for point in line]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    right, high = (right if right > left else left + 1), (high if high > low else low + 0.01)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _EDGE + (x - left) / (right - left) * (_WIDE - 2 * _EDGE),
            _HIGH - _EDGE - (y - low) / (high - low) * (_HIGH - 2 * _EDGE),
        )

    parts = [
        *_page(_WIDE, _HIGH + 16 * len(lines), title),
        f'<text x="{_WIDE / 2}" y="{_HIGH - 8}" text-anchor="middle">{escape(across)}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        x, y = left + share * (right - left), low + share * (high - low)
        (px, _), (_, py) = at(x, low), at(left, y)
        parts.append(f'<text x="{px:.1f}" y="{_HIGH - 26}" text-anchor="middle">{x:.4g}</text>')
        parts.append(f'<text x="{_EDGE - 6}" y="{py + 4:.1f}" text-anchor="end">{y:.3f}</text>')
        parts.append(f'<path d="M{_EDGE} {py:.1f}H{_WIDE - _EDGE}" stroke="#ddd"/>')
    for i, (name, line) in enumerate(lines):
        colour = _COLOURS[i % len(_COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in (at(*point) for point in line if len(line) < 8):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        parts.append(f'<text x="{_EDGE}" y="{_HIGH + 10 + 16 * i}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"])


def confusion_plot(found: Confusion) -> str:
    """What was said out of sample of the rows of each label, as SVG: the darker, the more of them.

    Examples
    --------
    >>> svg = confusion_plot(Confusion(labels=("a", "<b>"), counts=((3, 1, 0), (2, 4, 1))))
    >>> "&lt;b&gt;" in svg, svg.count("<title>"), svg.count('class="cell"')
    (True, 1, 6)
    """
    n = len(found.labels)
    wide, top = max(_WIDE, _NAMES + _CELL * (n + 1) + 24), 62
    of = f" ({found.field[:_LONGEST_NAME]})" if found.field else ""
    parts = _page(wide, top + _CELL * n + 34, f"labels most confused{of}: rows out of sample")
    parts.append(f'<text x="{_NAMES - 8}" y="{top - 8}" text-anchor="end">the teacher said</text>')
    for column, name in enumerate([*map(str, range(1, n + 1)), "other"]):
        x = _NAMES + _CELL * (column + 0.5)
        parts.append(f'<text x="{x:.0f}" y="{top - 8}" text-anchor="middle">{name}</text>')
    for row, (label, counts) in enumerate(zip(found.labels, found.counts, strict=True)):
        y = top + _CELL * row
        name = label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 3] + "..."
        told = f"{escape(name)}  {row + 1}"
        parts.append(f'<text x="{_NAMES - 8}" y="{y + _CELL // 2 + 4}" text-anchor="end">{told}</text>')
        for column, count in enumerate(counts):
            share = count / max(1, sum(counts))
            x, colour = _NAMES + _CELL * column, _COLOURS[0 if column == row else 1]
            ink = "#fff" if share > 0.5 else "#000"
            parts.append(
                f'<rect class="cell" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{colour}"'
                f' fill-opacity="{share:.2f}" stroke="#ddd"/>'
            )
            if count:
                at = f'x="{x + _CELL // 2}" y="{y + _CELL // 2 + 4}"'
                parts.append(f'<text {at} text-anchor="middle" fill="{ink}">{count}</text>')
    below = top + _CELL * n + 20
    parts.append(f'<text x="{_NAMES}" y="{below}">what the surrogate said, by the number of its label</text>')
    return "\n".join([*parts, "</svg>"])


def _page(wide: int, high: int, title: str) -> list[str]:
    """A white page, which dark surroundings do not darken, with its title for the eye and for a reader."""
    told = escape(title)
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img"'
        ' font-family="sans-serif" font-size="11">',
        f"<title>{told}</title>",
        f'<rect width="{wide}" height="{high}" fill="#fff"/>',
        f'<text x="{_EDGE}" y="24" font-size="13">{told}</text>',
    ]


def _is_square(found: Confusion) -> bool:
    """Whether counts fit the labels: a file beside the digest may say anything."""
    n = len(found.labels)
    return n > 0 and len(found.counts) == n and all(len(row) == n + 1 for row in found.counts)
