"""How far estimated tokens are off: against six families' tokenizers, in prose, code, JSON and 30 languages.

Cases `KIND/FAMILY`; system `jitr` is `jitr.schemas.tokens.estimate_tokens`, `four-characters` the rule of
thumb. Metrics: `off`, the median over texts of the share by which an estimate misses the count; `sum_off`,
the share by which it misses the sum of all counts (what a bill is off by, signed). The case `labels` asks of
the bound for short answers (`most_tokens`) how many of them have more tokens in some tokenizer (`over`), and
how many times the count of `o200k` it is (`ratio`). Needs `.venv-peers`.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

from harness.data import rows, tables
from harness.options import Options, parse
from harness.report import Report

from jitr.schemas.tokens import estimate_tokens, most_tokens

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
MODELS = {"o200k": "gpt-4o", "cl100k": "gpt-4"}
LONGEST = 1500


def texts(options: Options) -> dict[str, list[str]]:
    """Texts by kind: the pages and the code of this repository, and what the data holds."""
    pages = "\n".join([p.read_text() for p in sorted(ROOT.glob("docs/*.md"))])
    code = "\n".join([p.read_text() for p in sorted((ROOT / "models" / "tasks").rglob("*.py"))])
    found = {
        "prose": [part for part in pages.split("\n\n") if len(part) > 80 and "|" not in part],
        "code": [code[at : at + LONGEST] for at in range(0, len(code), 5 * LONGEST)],
        "json": [p.read_text()[:LONGEST] for p in sorted((ROOT / "schemas" / "json").glob("*.json"))],
        "labels": [
            "billing",
            "card_arrival",
            '{"label": "billing"}',
            "NOT URGENT",
            "42.50",
            "2026-11-29",
            "[1, 2]",
        ],
    }
    for table in tables(options.data):
        held = list(rows(table, 2_000))
        for name in ("text", "prompt", "review"):
            long = [str(row[name])[:LONGEST] for row in held if row.get(name)]
            if long:
                found[f"{table.parent.name}.{name}"] = long[:: max(1, len(long) // 200)]
        found["labels"] += sorted({str(row["label"]) for row in held if isinstance(row.get("label"), str)})
    return found


def main() -> None:
    """Count, estimate, compare."""
    options = parse(__doc__ or "")
    with Report("token_estimates", options) as report:
        if not PYTHON.exists():
            report.note("no .venv-peers; see benchmarks/peers.txt")
            return
        process = str(Path(__file__).parent / "tokens" / "process.py")
        answer = subprocess.run(
            [str(PYTHON), process], input=json.dumps(texts(options)).encode(), capture_output=True, check=True
        )
        for kind, held in json.loads(answer.stdout).items():
            report.step(kind)
            if kind == "labels":
                _labels(report, held)
                continue
            for family, counts in held["counts"].items():
                case = f"{kind}/{family}"
                if not options.wants_case(case):
                    continue
                model = MODELS.get(family, family)
                guesses = {
                    "jitr": [estimate_tokens(text, model) for text in held["texts"]],
                    "four-characters": [-(-len(text) // 4) for text in held["texts"]],
                }
                for system, guessed in guesses.items():
                    off = [abs(guess / count - 1) for guess, count in zip(guessed, counts, strict=True)]
                    report.add(case, system, "off", median(off))
                    report.add(case, system, "sum_off", sum(guessed) / sum(counts) - 1)


def _labels(report: Report, held: dict[str, Any]) -> None:
    most = [most_tokens(text) for text in held["texts"]]
    worst = [max(counts) for counts in zip(*held["counts"].values(), strict=True)]
    report.add("labels", "jitr", "over", sum([w > m for w, m in zip(worst, most, strict=True)]))
    report.add("labels", "jitr", "count", len(most))
    report.add("labels", "jitr", "ratio", sum(most) / sum(held["counts"]["o200k"]))


if __name__ == "__main__":
    main()
