"""Finding tasks in untagged mixed traffic: how many, how surely, how soon, how fast; and how peers do.

With `--data DIR`, streams come from every folder there that has templates, task definitions, recorded
few-shot prompts and ad-hoc prompts; without, from sentences made here. A cluster of twenty calls is a task; a
template is found if one cluster holds 80% of its calls at a purity of 90%. Systems: `jitr`; on the cases
`.../first=N`, which are short enough for all, also `minilm-leader`, `minilm-kmeans` (told the true k),
`river-dbstream`, `river-denstream`, `river-textclust` and `drain3`, each with the best of a few settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from detection import peers
from detection.cases import Cases
from detection.scores import Score, calls_until_found, mutual_information, score
from detection.speed import lookup, unique_prompts
from detection.streams import Stream, material
from detection.systems import Result, jitr, peak_memory_mb, steady
from harness.options import Options, parse
from harness.report import Report

BURN = 25
EMBEDDED = ("minilm-leader", "minilm-kmeans", "river-dbstream", "river-denstream")
LIMIT_S = 60.0


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


def with_peers(report: Report, case: str, stream: Stream, n: int, options: Options) -> None:
    """The same short stream for all systems."""
    short = Stream(case, stream.calls[:n], stream.counted, stream.one)
    case = f"{case}/first={n}"
    truth = [call.task for call in short.calls]
    limit_s = LIMIT_S / 6 if options.quick else LIMIT_S
    report.step(case)
    if options.wants_system("jitr"):
        quality(report, case, "jitr", short, jitr(short.calls, options.seed))
    vectors, rate = None, 0.0
    if any(
        options.wants_system(s)
        for s in ("minilm-leader", "minilm-kmeans", "river-dbstream", "river-denstream")
    ):
        vectors, rate = peers.embed(short.calls)
    k = len({task for task in truth if task is not None})
    makers: dict[str, Callable[[], Iterator[tuple[str, Result]]]] = {
        "river-textclust": lambda: peers.textclust(short.calls, limit_s),
        "drain3": lambda: peers.drain(short.calls),
    }
    if vectors is not None:
        held = vectors
        makers |= {
            "minilm-leader": lambda: peers.leader(held, rate),
            "minilm-kmeans": lambda: peers.kmeans(held, rate, k, options.seed),
            "river-dbstream": lambda: peers.dbstream(held, rate, limit_s),
            "river-denstream": lambda: peers.denstream(held, rate, limit_s),
        }
    for system, make in makers.items():
        if not options.wants_system(system):
            continue
        if system == "drain3" and not peers.PEERS_PYTHON.is_file():
            report.note("drain3 left out: .venv-peers is not there; see benchmarks/peers.txt")
            continue
        report.step(f"{case}: {system}")
        best = max(make(), key=lambda pair: score(truth, pair[1].final, short.counted, one=short.one).ari)
        quality(report, case, system, short, best[1])
        if best[1].note:
            report.note(f"{case}: {system} ({best[0]}): {best[1].note}")


def main() -> None:
    options = parse(__doc__ or "")
    found = material(options.data)
    with Report("detect", options, ["river", "scikit-learn", "onnxruntime"]) as report:
        for case, make in Cases(found, options):
            short = 1000 if options.quick else 4000
            compared = "order" not in case and any(w in case for w in ("noise=0.3", "crossed", "one-word"))
            wants_short = compared and options.wants_case(f"{case}/first={short}")
            if not options.wants_case(case) and not wants_short:
                continue
            stream = make()
            if options.wants_case(case) and options.wants_system("jitr"):
                report.step(case)
                quality(report, case, "jitr", stream, jitr(stream.calls, options.seed))
                if case.endswith("noise=0.6"):
                    known = [c for c in stream.calls if c.task in stream.counted]
                    fresh = [c for c in stream.calls if c.task is None]
                    report.add(case, "jitr", "steady_calls_per_s", steady(known, fresh[:5000]), "calls/s")
                    if not options.quick:
                        report.add(case, "jitr", "memory_mb", peak_memory_mb(stream.calls), "MB")
            if wants_short:
                with_peers(report, case, stream, min(short, len(stream.calls)), options)
        if options.wants_system("jitr"):
            lookup(report, options)
            unique_prompts(report, options)


if __name__ == "__main__":
    main()
