"""Lookup among many tasks, and a flood of prompts that never come back."""

from __future__ import annotations

import random
import resource
from time import process_time, thread_time_ns

from harness.options import Options
from harness.report import Report

from detection.one_liners import topical
from jitr.models.tasks.matching.matcher import Matcher
from jitr.models.tasks.matching.text import normalise
from jitr.models.tasks.mining.miner import Miner
from jitr.schemas.calls import Call, Message
from jitr.schemas.tasks import Signature, Task, Template

TASKS = 1000


def lookup(report: Report, options: Options) -> None:
    """Time of the router's matcher with 1,000 tasks; in the second case they differ in a number only.

    CPU time of the thread: what else runs on the machine does not count.
    """
    rng = random.Random(options.seed)
    words = [w for text, _ in topical(400, options.seed) for w in text.split()]
    kinds = {
        "lookup/tasks=1000": [
            f"{' '.join(rng.sample(words, 8))}, as asked by team {i}.\nInput: " for i in range(TASKS)
        ],
        "lookup/tasks=1000/differ-in-a-number": [
            f"Classify the text below by the rules that we agreed upon with our customer number {i}.\nText: "
            for i in range(TASKS)
        ],
    }
    for case, prefixes in kinds.items():
        if not options.wants_case(case):
            continue
        report.step(case)
        tasks = [
            Task(
                id=f"t{i}",
                tenant="acme",
                status="task",
                signature=Signature(model="m", shape="user"),
                templates=(Template(prefix=prefix.rstrip()),),
            )
            for i, prefix in enumerate(prefixes)
        ]
        matcher = Matcher(tasks)
        for size, n in ((70, 20_000), (2000, 2_000)):
            calls = []
            for i in range(200):
                prompt = prefixes[i * 7 % TASKS] + " ".join(rng.choices(words, k=size))
                messages = (Message(role="user", content=prompt),)
                calls.append(Call(id=str(i), tenant="acme", model="m", time=0.0, messages=messages))
            spent = []
            for i in range(n // (5 if options.quick else 1)):
                call = calls[i % len(calls)]
                started = thread_time_ns()
                matcher.match(call)
                spent.append(thread_time_ns() - started)
            spent.sort()
            report.add(case, "jitr", f"lookup_p50_{size}_words", spent[len(spent) // 2] / 1000, "us")
            report.add(case, "jitr", f"lookup_p99_{size}_words", spent[len(spent) * 99 // 100] / 1000, "us")


def unique_prompts(report: Report, options: Options) -> None:
    """A million prompts that never come back: rate, and how much the process grew."""
    n = 50_000 if options.quick else 1_000_000
    case = f"unique/prompts={n}"
    if not options.wants_case(case):
        return
    report.step(case)
    rng = random.Random(options.seed)
    stock = [w for text, _ in topical(3000, options.seed) for w in text.split()]
    stock += [
        f"{a[:4]}{b[-4:]}" for a, b in zip(rng.sample(stock, 5000), rng.sample(stock, 5000), strict=True)
    ]
    miner = Miner()
    before = _resident_mb()
    spent = 0.0
    for i in range(n):
        text = " ".join(rng.choices(stock, k=rng.randrange(6, 30))) + rng.choice("?.!")
        started = process_time()
        miner.add(normalise(text), i)
        miner.events.clear()
        spent += process_time() - started
    report.add(case, "jitr", "mine_calls_per_s", n / spent, "calls/s")
    report.add(case, "jitr", "memory_mb", max(0.0, _resident_mb() - before), "MB")
    report.add(case, "jitr", "tasks", len([m for m in miner.clusters.live.values() if m.n >= 20]))


def _resident_mb() -> float:
    """Peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
