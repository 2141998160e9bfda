"""The router in an asyncio program: decisions come from memory, surrogates answer in a process beside.

Your program knows whom it serves; each decision is reported, so that jitr goes on learning and auditing.
Without Redis or Kafka the LLM answers everything:

    export JITR_CONFIG=.jitr/up/jitr.json OPENAI_API_KEY=...
    python examples/router_async.py "the film was superb" "the plot was dull"
"""

import asyncio
import sys
from typing import Any

from openai import AsyncOpenAI

from jitr import Router


async def review(router: Router, client: AsyncOpenAI, text: str) -> str:
    request: dict[str, Any] = {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": f"Is this review positive or negative? Review: {text}"}],
    }
    decision = await router.answer(request)
    if decision.answered and not decision.due:
        router.report(decision)
        return f"{decision.answer} (surrogate)"
    # a due decision is an audit: the LLM is asked too; a server does that after it has answered
    response = await client.chat.completions.create(**request)
    router.report(decision, response.model_dump())
    said = decision.answer if decision.answered else response.choices[0].message.content
    return f"{said} (LLM asked: {decision.reason})"


async def main(texts: list[str]) -> None:
    async with Router.from_settings() as router, AsyncOpenAI() as client:
        for answer in await asyncio.gather(*[review(router, client, text) for text in texts]):
            print(answer)


asyncio.run(main(sys.argv[1:]))
