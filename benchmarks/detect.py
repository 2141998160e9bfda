"""Finding tasks in untagged mixed traffic: how many, how surely, how soon, how fast; and how peers do.

With `--data DIR`, streams come from every folder there that has templates, task definitions, recorded
few-shot prompts and ad-hoc prompts; without, from sentences made here. A cluster of twenty calls is a task; a
template is found if one cluster holds 80% of its calls at a purity of 90%. Systems: `jitr`; on the cases
`.../first=N`, which are short enough for all, also `minilm-leader`, `minilm-kmeans` (told the true k),
`river-dbstream`, `river-denstream`, `river-textclust` and `drain3`, each with the best of a few settings and
20 s of CPU time a run, in three orders: `jitr_leads_by` with its half width says who is ahead.
"""

from __future__ import annotations

from detection.cases import Cases
from detection.comparison import Comparison
from detection.quality import quality
from detection.speed import lookup, unique_prompts
from detection.streams import material
from detection.systems import jitr, peak_memory_mb, steady
from harness.options import parse
from harness.report import Report


def main() -> None:
    options = parse(__doc__ or "")
    found = material(options.data)
    with Report("detect", options, ["river", "scikit-learn", "onnxruntime"]) as report:
        comparison = Comparison(report, options)
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
                comparison.run(case, stream, min(short, len(stream.calls)))
        comparison.close()
        if options.wants_system("jitr"):
            lookup(report, options)
            unique_prompts(report, options)


if __name__ == "__main__":
    main()
