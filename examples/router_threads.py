"""The router in a program without an event loop: threads share one, and forked children may use it too.

A thread of the router's own follows the routing table and publishes. Without Redis or Kafka the LLM answers
everything:

    export JITR_CONFIG=.jitr/up/jitr.json OPENAI_API_KEY=...
    python examples/router_threads.py "the film was superb" "the plot was dull"
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai import OpenAI

from jitr import SyncRouter


def review(text: str) -> str:
    request: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": f"Is this review positive or negative? Review: {text}"}],
    }
    decision = router.answer(request)
    if decision.answered and not decision.due:
        router.report(decision)
        return f"{decision.answer} (surrogate)"
    response = client.chat.completions.create(**request)
    router.report(decision, response.model_dump())
    said = decision.answer if decision.answered else response.choices[0].message.content
    return f"{said} (LLM asked: {decision.reason})"


client = OpenAI()
with SyncRouter() as router:
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(review, sys.argv[1:]):
            print(answer)
    # as gunicorn's workers do: a child begins a connection of its own when it first asks
    if not (child := os.fork()):
        router.wait_ready(5.0)
        print("in a child:", review(sys.argv[1]), flush=True)
        router.close()
        os._exit(0)
    os.waitpid(child, 0)
