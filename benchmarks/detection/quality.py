"""What is reported of a system's clusters."""

from __future__ import annotations

from harness.report import Report

from detection.scores import Score, calls_until_found, mutual_information, score
from detection.streams import Stream
from detection.systems import Result

BURN = 25


def quality(report: Report, case: str, system: str, stream: Stream, result: Result) -> Score:
    """Report what a system made of a stream."""
    truth = [call.task for call in stream.calls]
    end = score(truth, result.final, stream.counted, one=stream.one)
    report.add(case, system, "found", end.found, f"of {end.classes}")
    report.add(case, system, "found_share", end.found / max(1, end.classes))
    report.add(case, system, "ari", end.ari)
    report.add(case, system, "v_measure", end.v_measure)
    report.add(case, system, "nmi_task", end.nmi)
    report.add(case, system, "noise_inside", end.noise_inside)
    report.add(case, system, "tasks", end.tasks)
    topics = [(call.topic, held) for call, held in zip(stream.calls, result.final, strict=True) if call.topic]
    if topics:
        nmi, _ = mutual_information([t for t, _ in topics], [h for _, h in topics])
        report.add(case, system, "nmi_topic", nmi)
    apart = {call.task for call in stream.calls if call.task is not None} - stream.counted
    if apart:
        sizes: dict[object, int] = {}
        for held in result.final:
            sizes[held] = sizes.get(held, 0) + 1
        inside = [
            held is not None and sizes[held] >= 20
            for call, held in zip(stream.calls, result.final, strict=True)
            if call.task in apart
        ]
        report.add(case, system, "apart_inside", sum(inside) / len(inside), f"of {len(apart)} classes")
    if any(held is not None for held in result.arrival):
        came = score(truth, result.arrival, stream.counted, skip=BURN, one=stream.one)
        report.add(case, system, "ari_on_arrival", came.ari)
        waits = calls_until_found(truth, result.arrival, stream.counted)
        if waits:
            report.add(case, system, "calls_until_found_p50", waits[len(waits) // 2], "calls")
    for metric, rate in result.rates.items():
        report.add(case, system, metric, rate, "calls/s")
    if end.missed and system == "jitr":
        report.note(f"{case}: not found: {', '.join(end.missed[:8])}")
    return end
