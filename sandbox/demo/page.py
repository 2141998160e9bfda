"""The report as one HTML file that needs nothing else: tables and plots."""

from __future__ import annotations

import html
import io
from pathlib import Path
from string import Template

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from jitr.sandbox.demo.report import Report, TaskReport

TEMPLATE = Template(Path(__file__).with_name("page.html").read_text())
TEACHER, SURROGATE, ALARM = "#9aa5b1", "#147d64", "#cf1124"


def page(report: Report) -> str:
    """Render a report."""
    replaced = sum(t.replaced_share * t.calls for t in report.tasks)
    first = f"{report.first_saving_s:.0f} s" if report.first_saving_s is not None else "none"
    agreement = f"{report.true_agreement:.1%}" if report.true_agreement is not None else "-"
    saved = report.net_saving_usd / report.teacher_cost_usd if report.teacher_cost_usd else 0.0
    facts = [
        ("tasks found", str(len(report.tasks))),
        ("surrogates used", str(sum(t.replaced_share > 0 for t in report.tasks))),
        ("calls", f"{report.calls:,}"),
        ("answered by surrogates", f"{replaced / max(1, report.calls):.0%}"),
        ("first saving after", first),
        ("the LLM alone", f"${report.teacher_cost_usd:.2f}"),
        ("with jitr", f"${report.actual_cost_usd:.2f}"),
        ("net saving", f"${report.net_saving_usd:.2f}{_give_or_take(report)} ({saved:.0%})"),
        (f"true agreement (target {report.target:.2f})", agreement),
        ("median latency", _latency(report)),
    ]
    return TEMPLATE.substitute(
        facts="".join(f"<div><b>{html.escape(v)}</b><span>{html.escape(k)}</span></div>" for k, v in facts),
        rows="".join(map(_row, report.tasks)),
        who=_svg(_who_answers(report)),
        agreement=_svg(_agreement(report)),
        histories="".join(map(_history, report.tasks)),
        note=html.escape(
            f"Teacher: {report.teacher}. Machine: {report.machine}. {report.errors} failed requests. "
            f"Times are seconds since the first call; money is at list prices."
        ),
    )


def _give_or_take(report: Report) -> str:
    low, high = report.net_saving_low_usd, report.net_saving_high_usd
    return f" \N{PLUS-MINUS SIGN} {(high - low) / 2:.2f}" if low is not None and high is not None else ""


def _latency(report: Report) -> str:
    return ", ".join(f"{route} {ms:.0f} ms" for route, ms in report.latency_ms.items() if ms)


def _row(t: TaskReport) -> str:
    cells = [
        f"<b>{html.escape(t.name)}</b><br><code>{html.escape(t.template)}</code>",
        f'<span class="{t.state}">{t.state}</span>',
        html.escape(t.encoders or ""),
        f"{t.calls:,}",
        f"{t.labels:,}",
        f"&ge; {t.certified_bound:.3f}" if t.certified_bound is not None else "",
        f"{t.agreement:.3f} (&ge; {t.agreement_bound:.3f}, {t.audits})" if t.agreement is not None else "",
        f"{t.true_agreement:.3f}" if t.true_agreement is not None else "",
        f"{t.replaced_share:.0%}",
        f"{t.holds} / {t.demotions}",
        _saved(t) if t.replaced_share else "",
        f"{t.first_saving_s:.0f} s" if t.first_saving_s is not None else "",
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _saved(t: TaskReport) -> str:
    if t.saved_low_usd is None or t.saved_high_usd is None:
        return f"${t.saved_usd:.4f}"
    return f"${t.saved_usd:.4f} &plusmn; {(t.saved_high_usd - t.saved_low_usd) / 2:.4f}"


def _history(t: TaskReport) -> str:
    lines = "".join(
        f"<tr><td>{at:.1f} s</td><td>{html.escape(kind)}</td><td>{html.escape(text)}</td></tr>"
        for at, kind, text in t.history
    )
    return f"<details><summary>{html.escape(t.name)}</summary><table>{lines}</table></details>"


def _who_answers(report: Report) -> Figure:
    figure = Figure(figsize=(11, 2.8), layout="constrained")
    axes = figure.subplots()
    x = [s.at_s for s in report.timeline]
    answered = [s.answered for s in report.timeline]
    rest = [s.calls - s.answered for s in report.timeline]
    axes.stackplot(x, answered, rest, labels=["surrogate", "teacher"], colors=[SURROGATE, TEACHER], alpha=0.9)
    for at in report.changed.values():
        axes.axvline(at, color=ALARM, linestyle="--", label="the teacher changes")
    axes.set(xlabel="seconds since the first call", ylabel="calls in 5 s", xlim=(0, (x[-1] if x else 0) or 1))
    figure.legend(loc="outside upper right", ncols=3, frameon=False)
    return figure


def _agreement(report: Report) -> Figure:
    used = [t for t in report.tasks if t.replaced_share > 0][:8]
    figure = Figure(figsize=(11, max(1.6, 0.5 * len(used) + 0.6)), layout="constrained")
    axes = figure.subplots()
    for line, task in enumerate(used):
        x, y = [], []
        for part in report.timeline:
            calls, answered, _, _ = part.tasks.get(task.id, (0, 0, 0, 0))
            if calls:
                x.append(part.at_s)
                y.append(answered / calls)
        base = len(used) - 1 - line
        axes.fill_between(
            x, base, [base + 0.85 * share for share in y], color=SURROGATE, alpha=0.8, step="mid"
        )
        for at, kind, _ in task.history:
            if kind in ("hold", "demoted"):
                axes.plot([at, at], [base, base + 0.85], color=ALARM, linewidth=1.5)
    axes.set_yticks([len(used) - 1 - i + 0.4 for i in range(len(used))], [t.name[:36] for t in used])
    axes.tick_params(axis="y", length=0)
    for at in report.changed.values():
        axes.axvline(at, color=ALARM, linestyle="--")
    end = (report.timeline[-1].at_s if report.timeline else 0) or 1
    axes.set(xlabel="seconds since the first call", xlim=(0, end), ylim=(0, max(1, len(used))))
    return figure


def _svg(figure: Figure) -> str:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "jitr"}):
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
