"""TRACER on one job, in an environment of its own: vectors and answers in, its decisions out."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tracer

TREES = ("dt", "rf", "et", "gbt", "xgb")


def main(folder: Path) -> None:
    """Read ``job.npz`` and ``job.json``, write ``answer.json``."""
    data = np.load(folder / "job.npz")
    job = json.loads((folder / "job.json").read_text())
    lines = [json.dumps({"input": str(i), "teacher": answer}) for i, answer in enumerate(job["answers"])]
    (folder / "traces.jsonl").write_text("\n".join(lines))
    config = tracer.FitConfig(
        target_teacher_agreement=job["target"],
        frontier_targets=(job["target"],),
        skip_candidates=() if job["trees"] else TREES,
        max_fit_labels=max(8_000, len(lines)),
        verbose=False,
    )
    started = time.process_time()
    tracer.fit(folder / "traces.jsonl", folder / "artifact", embeddings=data["train"], config=config)
    fit_s = time.process_time() - started
    try:
        router = tracer.load_router(folder / "artifact")
        found = router.predict_batch(data["test"])
        labels, handled = found["labels"], [bool(h) for h in found["handled"]]
    except ValueError:  # nothing was certified: it deploys no router
        labels, handled = [None] * len(data["test"]), [False] * len(data["test"])
    (folder / "answer.json").write_text(json.dumps({"labels": labels, "handled": handled, "fit_s": fit_s}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
