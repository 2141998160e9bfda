"""What `jitr scan` found as one HTML file that needs nothing else, on light and dark screens."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from jitr.cli.output import usd
from jitr.schemas.scan import ScanReport, ScanTask

TEMPLATE = Template(Path(__file__).with_name("scan_page.html").read_text(encoding="utf-8"))
_MOST_TASKS = 300
_LONGEST = 4_000


def page(report: ScanReport, file: str, notes: tuple[str, ...] = ()) -> str:
    """Render a report.

    Parameters
    ----------
    report : ScanReport
    file : str
        Name of the log.
    notes : tuple of str
        What a reader should know of the figures.
    """
    period = "a month" if report.period == "month" else "on such a log"
    inside = sum(t.cost_usd for t in report.tasks)
    proved = [t for t in report.tasks if t.saving.expected > 0]
    facts = [
        ("calls", f"{report.calls:,}"),
        ("recurring tasks", f"{len(report.tasks):,}"),
        ("calls in a task", f"{1 - report.unmatched_share:.0%}"),
        ("spent in this log", usd(report.cost_usd)),
        (f"at this rate {period}", usd(report.period_usd)),
        ("tasks that could be replaced", f"{len(proved):,}"),
        (
            f"saved {period} ({usd(report.saving.low)} to {usd(report.saving.high)})",
            usd(report.saving.expected),
        ),
    ]
    taken = sum(t.cost_usd * t.potential.coverage for t in proved)
    parts = [
        ("good", "a surrogate could answer", taken),
        ("rest", "tasks, left to the LLM", inside - taken),
        ("none", "in no task", report.cost_usd - inside),
    ]
    whole = report.cost_usd or 1.0
    shown = report.tasks[:_MOST_TASKS]
    more = len(report.tasks) - len(shown)
    said = [*notes, *([f"{more} more tasks are in the JSON output."] if more > 0 else [])]
    return TEMPLATE.substitute(
        file=html.escape(file),
        lead=html.escape(_lead(report)),
        facts="".join(f"<div><b>{html.escape(v)}</b><span>{html.escape(k)}</span></div>" for k, v in facts),
        split="".join(f'<i class="{c}" style="width:{_percent(v / whole)}"></i>' for c, _, v in parts),
        key="".join(
            f'<span><i class="{c}"></i>{name}: {html.escape(usd(v))} ({max(0.0, v) / whole:.0%})</span>'
            for c, name, v in parts
        ),
        target=f"{report.target:g}",
        confidence=f"{1 - report.delta:g}",
        period=period,
        rows="".join([_row(t) for t in shown]),
        notes="<br>".join(map(html.escape, said)),
    )


def _lead(report: ScanReport) -> str:
    if report.period == "log":
        return "Read by jitr scan; nothing of it was sent anywhere."
    first, last = (
        datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M")
        for t in (report.first_seen, report.last_seen)
    )
    return f"Calls from {first} to {last} UTC, read by jitr scan; nothing of it was sent anywhere."


def _percent(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"


def _row(t: ScanTask) -> str:
    p = t.potential
    agreement = f"{p.agreement:.2f} <span class=dim>({p.agreement_low:.2f})</span>" if p.agreement else ""
    bar = f'<div class="bar"><i class="good" style="width:{_percent(p.coverage)}"></i></div>'
    if not p.coverage:
        bar = f'<span class="small dim">{html.escape(p.reason)}</span>'
    interval = (
        f"{usd(t.saving.expected)}<br><span class=dim>{usd(t.saving.low)} to {usd(t.saving.high)}</span>"
        if t.saving.expected > 0
        else ""
    )
    cells = [
        f"<span><b>{html.escape(t.name)}</b><br><span class=dim>{html.escape(t.model)}</span></span>",
        f'<span class="num">{t.calls:,}<br><span class=dim>{t.share:.1%}</span></span>',
        f'<span class="num">{usd(t.cost_usd)}</span>',
        f"<span>{bar}{f'<span class=dim>{p.coverage:.0%}</span>' if p.coverage else ''}</span>",
        f'<span class="num">{agreement}</span>',
        f"<span>{t.kind}{f' ({t.label_count})' if t.label_count else ''}</span>",
        f'<span class="num">{interval}</span>',
    ]
    return (
        f'<details><summary><div class="row">{"".join(cells)}</div></summary>'
        f'<dl class="more">{_more(t)}</dl></details>'
    )


def _more(t: ScanTask) -> str:
    template = html.escape(t.template[:_LONGEST]).replace("{...}", "<mark>...</mark>")
    parts = [("prompt, its slots marked", f"<pre>{template}</pre>")]
    if t.potential.reason:
        parts.append(
            ("why nothing is replaced", f'<span class="why">{html.escape(t.potential.reason)}</span>')
        )
    elif t.potential.coverage:
        p = t.potential
        parts.append(
            (
                "proof",
                f"learned from {p.learned:,} inputs; of {p.held:,} later ones {p.coverage:.1%} may be "
                f"answered, and at least {p.bound:.3f} of those agree with the LLM",
            )
        )
    if t.labels:
        most = t.labels[0][1]
        mix = "".join(
            f'<span>{html.escape(label[:80])}</span><div class="bar"><i class="good" '
            f'style="width:{_percent(n / most)}"></i></div><span class="dim">{n:,}</span>'
            for label, n in t.labels
        )
        rest = t.label_count - len(t.labels)
        mix += f'<span class="dim">{rest} more</span><span></span><span></span>' if rest > 0 else ""
        if t.unparsed:
            mix += f'<span class="dim">no label</span><span></span><span class="dim">{t.unparsed:,}</span>'
        parts.append(("answers", f'<div class="mix">{mix}</div>'))
    if t.examples:
        shown = "\n\n".join([html.escape(e) for e in t.examples])
        parts.append(("examples of what varies (redacted)", f"<pre>{shown}</pre>"))
    parts.append(
        ("tokens", f"{t.input_tokens:,} in, {t.output_tokens:,} out; {usd(t.cost_usd / t.calls)} a call")
    )
    return "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in parts)
