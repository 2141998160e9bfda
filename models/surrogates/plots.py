"""The card's plots as SVG, drawn by hand: a few lines need no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from jitr.models.surrogates.artifact import Manifest, Measured

_WIDE, _HIGH, _EDGE = 460, 280, 46
_COLOURS = ("#2463a5", "#c2571a", "#3a7d44", "#7a4fa3", "#8a6d1d", "#555555")

Line = tuple[str, Sequence[tuple[float, float]]]


def plots(manifest: Manifest, measured: Measured) -> dict[str, str]:
    """Coverage against agreement as forecast, and the learning curve of the race.

    Returns
    -------
    dict of str to str
        Name and SVG of each.
    """
    coverage = list(zip(manifest.shares, manifest.forecast_agreement, strict=True))
    drawn = {
        "coverage": line_plot(
            "agreement of the accepted, forecast", "share of calls accepted", [(manifest.candidate, coverage)]
        )
    }
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
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH + 16 * len(lines)}"'
        ' font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDE}" height="{_HIGH + 16 * len(lines)}" fill="#fff"/>',
        f'<text x="{_EDGE}" y="24" font-size="13">{escape(title)}</text>',
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
