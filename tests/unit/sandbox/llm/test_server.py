"""The simulated LLM over HTTP, as the stock client and a bare socket see it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from itertools import islice

import aiohttp
import openai
import pytest

from jitr.sandbox.llm import SimulatedLLM
from jitr.sandbox.llm.tokens import count_prompt, count_text
from jitr.sandbox.traffic.workload import Workload
from jitr.schemas.prices import DEFAULT_PRICES

TASK = next(iter(Workload(1, noise=0.0, tasks=["moderation"])))
HELLO = {"model": "gpt-4.1-simulated", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
async def llm() -> AsyncIterator[SimulatedLLM]:
    server = SimulatedLLM(Workload(), latency_s=0.0)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def http(llm: SimulatedLLM) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{llm.port}") as session:
        yield session


def client(llm: SimulatedLLM, key: str = "any") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=llm.base_url, api_key=key, max_retries=0)


async def test_the_stock_client_gets_the_true_answer_and_its_usage(llm: SimulatedLLM) -> None:
    async with client(llm) as api:
        answer = await api.chat.completions.create(**TASK.body)
    assert answer.choices[0].message.content == TASK.label == llm.true_answer(TASK.body)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == TASK.body["model"]
    assert answer.usage.prompt_tokens == count_prompt(TASK.body["messages"])
    assert answer.usage.completion_tokens == count_text(TASK.label)


async def test_a_stream_is_role_words_reason_usage_and_done(http: aiohttp.ClientSession) -> None:
    body = {**TASK.body, "stream": True, "stream_options": {"include_usage": True}}
    async with http.post("/v1/chat/completions", json=body) as response:
        assert response.content_type == "text/event-stream"
        events = (await response.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content", "") for delta in deltas) == TASK.label
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(deltas) - 1) + [
        "stop"
    ]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] > 0
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


async def test_without_being_asked_a_stream_tells_no_usage(llm: SimulatedLLM) -> None:
    async with client(llm) as api:
        stream = await api.chat.completions.create(**HELLO, stream=True)
        chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_it_calls_itself_a_simulation_everywhere(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        assert (await response.json())["simulation"] is True
    for stream in (False, True):
        async with http.post("/v1/chat/completions", json={**HELLO, "stream": stream}) as response:
            assert response.headers["x-simulation"] == "true"
            assert '"system_fingerprint":"simulation-' in await response.text()


async def test_models_are_listed_and_unknown_ones_refused(llm: SimulatedLLM) -> None:
    async with client(llm) as api:
        names = [model.id async for model in api.models.list()]
        assert set(names) == {"gpt-4.1-simulated", "gpt-4.1-mini-simulated"}
        with pytest.raises(openai.NotFoundError) as caught:
            await api.chat.completions.create(**{**HELLO, "model": "gpt-9"})
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b'{"messages": []}', "model"),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": [{"role": "user"}, 3]}', "messages[1]"),
        (b'{"model": "m", "messages": [{"role": "user", "content": 3}]}', "messages[0].content"),
        (b'{"model": "m", "messages": [{"role": "user"}], "n": true}', "n"),
        (b'{"model": "m", "messages": [{"role": "user"}], "max_tokens": 0}', "max_tokens"),
        (b'{"model": "m", "messages": [{"role": "user"}], "stream_options": 1}', "stream_options"),
    ],
)
async def test_a_malformed_request_is_refused_in_openais_form(
    http: aiohttp.ClientSession, body: bytes, param: str | None
) -> None:
    async with http.post("/v1/chat/completions", data=body) as response:
        error = (await response.json())["error"]
    assert response.status == 400
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert set(error) == {"message", "type", "param", "code"}


async def test_several_choices_and_a_limit_of_tokens_are_honoured(llm: SimulatedLLM) -> None:
    async with client(llm) as api:
        answer = await api.chat.completions.create(**HELLO, n=3, max_tokens=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    assert answer.usage.completion_tokens == 6


async def test_content_in_parts_is_the_same_prompt(llm: SimulatedLLM) -> None:
    messages = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in TASK.body["messages"]]
    async with client(llm) as api:
        answer = await api.chat.completions.create(**{**TASK.body, "messages": messages})
    assert answer.choices[0].message.content == TASK.label


async def test_a_changed_behaviour_shows_in_answers_and_in_the_truth(http: aiohttp.ClientSession) -> None:
    change = {"task": "moderation", "swap": {TASK.label.split()[-1]: "fine", "fine": "threat"}}
    async with http.post("/simulation/behaviour", json=change) as response:
        assert await response.json() == {"version": 1}
    async with http.post("/v1/chat/completions", json=TASK.body) as response:
        said = (await response.json())["choices"][0]["message"]["content"]
    async with http.post("/simulation/truth", json=TASK.body) as response:
        now = (await response.json())["answer"]
    async with http.post(
        "/simulation/truth", json={"requests": [TASK.body, HELLO], "version": 0}
    ) as response:
        before = (await response.json())["answers"]
    assert said == now != TASK.label
    assert before == [TASK.label, None]


@pytest.mark.parametrize(
    "change", [{"task": "jokes", "swap": {}}, {"task": "spam"}, {"task": "spam", "swap": {}, "x": 1}]
)
async def test_a_change_that_makes_no_sense_is_a_bad_request(
    http: aiohttp.ClientSession, change: dict
) -> None:
    async with http.post("/simulation/behaviour", json=change) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"]


async def test_statistics_add_up_calls_tokens_and_dollars(
    llm: SimulatedLLM, http: aiohttp.ClientSession
) -> None:
    tokens = [0, 0]
    cost = 0.0
    for request in islice(Workload(5), 30):
        async with http.post("/v1/chat/completions", json=request.body) as response:
            usage = (await response.json())["usage"]
        price = DEFAULT_PRICES[request.body["model"].removesuffix("-simulated")]
        cost += price.cost_usd(usage["prompt_tokens"], usage["completion_tokens"])
        tokens = [tokens[0] + usage["prompt_tokens"], tokens[1] + usage["completion_tokens"]]
    async with http.get("/simulation/stats") as response:
        stats = await response.json()
    assert stats["calls"] == sum(stats["calls_by_task"].values()) == 30
    assert [stats["prompt_tokens"], stats["completion_tokens"]] == tokens
    assert stats["cost_usd"] == pytest.approx(cost)


async def test_errors_come_at_their_rate_as_429_with_retry_after_or_500() -> None:
    llm = SimulatedLLM(Workload(), latency_s=0.0, error_rate=0.4, seed=3)
    await llm.start()
    seen = []
    async with aiohttp.ClientSession() as session:
        for _ in range(200):
            async with session.post(f"{llm.base_url}/chat/completions", json=HELLO) as response:
                seen.append(response.status)
                assert response.status != 429 or response.headers["retry-after"] == "1"
    await llm.stop()
    assert set(seen) == {200, 429, 500}
    assert 50 < sum(status != 200 for status in seen) < 110
    assert llm.stats()["calls"] == seen.count(200)


async def test_a_key_if_set_is_demanded() -> None:
    llm = SimulatedLLM(Workload(), latency_s=0.0, key="right")
    await llm.start()
    async with client(llm, "wrong") as api:
        with pytest.raises(openai.AuthenticationError):
            await api.chat.completions.create(**HELLO)
    async with client(llm, "right") as api:
        await api.chat.completions.create(**HELLO)
    await llm.stop()


async def test_a_stopped_server_frees_its_port() -> None:
    llm = SimulatedLLM(Workload())
    await llm.start()
    port = llm.port
    await llm.stop()
    await llm.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_another_process_knows_the_truth_without_having_made_the_traffic() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "7", "JITR_SANDBOX_LLM_KEY": "k"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "jitr.sandbox.llm", "--latency", "0",
        stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        url = line.split()[-1]
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as session:
            for request in islice(Workload(21, noise=0.0), 60):
                async with session.post(
                    url.removesuffix("/v1") + "/simulation/truth", json=request.body
                ) as response:
                    assert (await response.json())["answer"] == request.label
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0
