"""Many calls at once on a route whose surrogate reads through an encoder: who answers them?"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import aiohttp
import numpy as np
from harness.options import Options
from harness.report import Report

from jitr.sandbox.stack import Stack
from jitr.schemas.settings import Settings
from request_path import surrogate

CALLS = 50
WORDS = (12, 70)
LLM_S = "0.6"
ENCODER = "minilm"


def run(options: Options, report: Report) -> None:
    """Bursts with a pause between them, on all cores, through a gateway of their own."""
    cases = {words: f"burst/words={words}" for words in WORDS}
    wanted = {words: case for words, case in cases.items() if options.wants_case(case)}
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        flags = {"gateway.port": 0, "worker.port": 0, "state.root": f"{folder}/state"}
        settings = Settings.load(environ={}, flags=flags)
        llm = ["--latency", LLM_S]
        with Stack(settings, Path(folder), kafka=True, redis=True, llm=llm, worker=False) as stack:
            asyncio.run(surrogate.publish(stack.settings, Path(folder) / "desk", ENCODER, options.seed))
            for words, case in wanted.items():
                report.step(case)
                asyncio.run(_case(options, report, stack, words, case))


async def _case(options: Options, report: Report, stack: Stack, words: int, case: str) -> None:
    rng = random.Random(options.seed)
    took: list[float] = []
    numbers = iter(range(1_000_000))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(headers: dict[str, str]) -> str:
            text = surrogate.message(rng, rng.choice(["sales", "support"]), next(numbers), words)
            messages = [{"role": "user", "content": f"{surrogate.OPENING}{text}"}]
            before = time.perf_counter()
            async with session.post(
                f"{stack.gateway_url}/chat/completions",
                json={"model": surrogate.MODEL, "messages": messages},
                headers={"x-jitr-debug": "1", **headers},
            ) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
                reason = answer.headers["x-jitr-reason"]
            if reason == "accepted":
                took.append((time.perf_counter() - before) * 1e3)
            return reason

        begun = time.perf_counter()
        while await one({}) != "accepted":
            assert time.perf_counter() < begun + 120, "the surrogate is not loaded"
            await asyncio.sleep(0.05)
        await asyncio.gather(*(one({"x-jitr-skip": "1"}) for _ in range(5)))  # what the LLM takes is measured
        took.clear()
        reasons: list[Counter[str]] = []
        for _ in range(3 if options.quick else 20):
            reasons.append(Counter(await asyncio.gather(*(one({}) for _ in range(CALLS)))))
            await asyncio.sleep(0.5)
    answered = [counted["accepted"] for counted in reasons]
    report.add(case, "jitr", "answered_median", median(answered))
    report.add(case, "jitr", "answered_least", min(answered))
    report.add(case, "jitr", "busy", sum(counted["busy"] for counted in reasons))
    report.add(case, "jitr", "late", sum(counted["surrogate_late"] for counted in reasons))
    report.add(case, "jitr", "p50_ms", float(np.quantile(took, 0.5)), "ms")
    report.add(case, "jitr", "p99_ms", float(np.quantile(took, 0.99)), "ms")
