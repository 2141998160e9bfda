"""What redaction finds, what it takes for a secret that is none, and what it costs a call.

Case `secrets`: made-up ones of many kinds in six contexts; `kinds_left` counts the kinds of which one got
through in some context, of `kinds`. Case `innocent`: texts that only look like secrets; `false_alarms` of
`texts`. Case `calls`: calls of 1,000 characters; `us` is the median CPU time of one in microseconds, `ratio`
that to reading the request's JSON, `plain` of calls without a secret, `secret` of calls with two. Peers
(detect-secrets, presidio's recognisers by pattern, phonenumbers) run in `.venv-peers`.
"""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec
from harness.options import parse
from harness.report import Report
from redacted.innocent import INNOCENT
from redacted.kinds import CONTEXTS, SECRETS, drawn

from jitr.models.redaction.redaction import Redaction
from jitr.router.protocols.openai_requests import read_request
from jitr.schemas.calls import Call
from jitr.schemas.settings import Settings

PYTHON = Path(__file__).parent.parent / ".venv-peers" / "bin" / "python"
TEXT = (
    "the order of your please classify this customer message into one category billing shipping refund"
    " account other it was delivered on Monday and I would like to know when my replacement arrives"
)
LENGTH = 1_000


def bodies(seed: int, secret: bool) -> list[bytes]:
    """Requests whose contents have a thousand characters together."""
    rng = random.Random(seed)
    made = []
    for _ in range(200):
        text = " ".join(rng.choices(TEXT.split(), k=LENGTH))[: LENGTH - 60]
        text += (
            " ann.lee@example.org or +49 30 90182012, order 48213" if secret else " order 48213 of 2026-11-29"
        )
        text = text.ljust(LENGTH, "x")
        messages = [{"role": "system", "content": text[:500]}, {"role": "user", "content": text[500:]}]
        made.append(msgspec.json.encode({"model": "gpt-4o-mini", "messages": messages}))
    return made


def took_us(work: Callable[[], object]) -> float:
    """The least of some runs of CPU time, as others work on the machine too."""
    times = []
    for _ in range(5):
        before = time.thread_time()
        work()
        times.append(time.thread_time() - before)
    return min(times) * 1e6


def main() -> None:
    """Find, and measure."""
    options = parse(__doc__ or "")
    redaction = Redaction(Settings())
    seeds = range(options.seed, options.seed + (1 if options.quick else 3))
    texts = [
        (name, context.replace("{}", drawn(template, random.Random(f"{name}{seed}"))))
        for _, name, template in SECRETS
        for seed in seeds
        for context in CONTEXTS
    ]
    innocent = [drawn(line, random.Random(f"{line}{seed}")) for line in INNOCENT for seed in seeds]
    with Report("redaction", options, ["google-re2", "python-stdnum"]) as report:
        found = {"jitr": [redaction.text(text) != text for text in [*(t for _, t in texts), *innocent]]}
        plain = bodies(options.seed, secret=False)
        us = {}
        if PYTHON.exists():
            asked = {"texts": [*(t for _, t in texts), *innocent], "calls": []}
            asked["calls"] = [" ".join(m["content"] for m in json.loads(b)["messages"]) for b in plain[:20]]
            process = str(Path(__file__).parent / "redacted" / "process.py")
            answer = subprocess.run(
                [str(PYTHON), process], input=json.dumps(asked).encode(), capture_output=True, check=True
            )
            for system, said in json.loads(answer.stdout).items():
                found[system], us[system] = said["found"], said["us"]
        for system, hits in found.items():
            left = {name for (name, _), hit in zip(texts, hits, strict=False) if not hit}
            report.add("secrets", system, "kinds_left", len(left))
            report.add("secrets", system, "kinds", len(SECRETS))
            report.add("innocent", system, "false_alarms", sum(hits[len(texts) :]))
            report.add("innocent", system, "texts", len(innocent))
        for case, secret in (("calls/plain", False), ("calls/secret", True)):
            requests = bodies(options.seed, secret=secret)
            calls = [read(body) for body in requests]
            cost = median([took_us(lambda call=call: redaction.call(call)) for call in calls])
            base = median([took_us(lambda body=body: msgspec.json.decode(body)) for body in requests])
            report.add(case, "jitr", "us", cost)
            report.add(case, "jitr", "ratio", cost / base)
        for system, cost in us.items():
            report.add("calls/plain", system, "us", cost)


def read(body: bytes) -> Call:
    """A request as the gateway reads it."""
    return read_request(msgspec.json.decode(body), id="c", time=1.0, tenant="default", task=None)


if __name__ == "__main__":
    main()
