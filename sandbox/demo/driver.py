"""Sends a workload through the gateway with the stock `openai` client, and notes what came back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import openai

from jitr.sandbox.traffic.request import Request, Traffic


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """One answered request.

    ``task`` is the workload's name of it (None for an ad-hoc question), ``found`` the task id that the
    gateway put on it, ``right`` whether the answer is what a teacher without mistakes would say now.
    """

    at_s: float
    latency_s: float
    task: str | None
    found: str | None
    route: str
    right: bool | None
    error: str | None = None


@dataclass
class Driver:
    """A closed loop of clients under one rate.

    Parameters
    ----------
    traffic : Traffic
        What to send; it ends when that ends.
    gateway_url, llm_url : str
        Base URLs ending in /v1.
    rate : float
        Requests a second, at most; may be changed on the way.
    clients : int
        Requests under way at once, at most.
    """

    traffic: Traffic
    gateway_url: str
    llm_url: str
    rate: float
    clients: int = 24
    outcomes: list[AnsweredRequest] = field(default_factory=list)
    started: float = 0.0
    changed: dict[str, int] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until the workload ends or ``stop`` is set."""
        self.started = time.monotonic()
        client = openai.AsyncOpenAI(
            base_url=self.gateway_url,
            api_key="sk-demo",
            max_retries=2,
            timeout=30.0,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        )
        requests = iter(self.traffic)
        async with client, asyncio.TaskGroup() as group:
            for _ in range(self.clients):
                group.create_task(self._client(client, requests, stop))

    async def change(self, task: str, swap: dict[str, str]) -> None:
        """Make the simulated LLM answer one task otherwise, from now on."""
        url = self.llm_url.removesuffix("/v1") + "/simulation/behaviour"
        body = {"task": task, "swap": swap}
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            answer.raise_for_status()
            self.changed[task] = (await answer.json())["version"]

    async def bill_usd(self) -> float:
        """What the simulated LLM has billed so far."""
        url = self.llm_url.removesuffix("/v1") + "/simulation/stats"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return float((await answer.json())["cost_usd"])

    async def _client(
        self, client: openai.AsyncOpenAI, requests: Iterator[Request], stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            now = time.monotonic()
            due = self._due = max(self._due, now - 1.0) + 1 / self.rate
            if due > now:
                await asyncio.sleep(due - now)
            request = next(requests, None)
            if request is None:
                stop.set()
                return
            self.outcomes.append(await self._send(client, request))

    _due: float = 0.0

    async def _send(self, client: openai.AsyncOpenAI, request: Request) -> AnsweredRequest:
        begun = time.monotonic()
        try:
            raw = await client.chat.completions.with_raw_response.create(**request.body)
            text = raw.parse().choices[0].message.content or ""
        except openai.OpenAIError as error:
            return self._outcome(begun, request, "error", None, None, f"{type(error).__name__}: {error}")
        route = raw.headers.get("x-jitr-route", "teacher")
        right = None
        if request.task is not None:
            version = self.changed.get(request.task)
            truth = request.label if version is None else await self._truth(request)
            right = same_answer(text, truth)
        return self._outcome(begun, request, route, raw.headers.get("x-jitr-task"), right, None)

    async def _truth(self, request: Request) -> str | None:
        url = self.llm_url.removesuffix("/v1") + "/simulation/truth"
        async with aiohttp.ClientSession() as session, session.post(url, json=request.body) as answer:
            truth: str | None = (await answer.json())["answer"]
            return truth

    def _outcome(
        self,
        begun: float,
        request: Request,
        route: str,
        found: str | None,
        right: bool | None,
        error: str | None,
    ) -> AnsweredRequest:
        now = time.monotonic()
        return AnsweredRequest(
            at_s=now - self.started,
            latency_s=now - begun,
            task=request.task,
            found=found,
            route=route,
            right=right,
            error=error,
        )


def same_answer(text: str, truth: str | None) -> bool | None:
    """Do answer and truth say the same, whatever their case, quotes and blanks?

    Examples
    --------
    >>> same_answer("Spam.", "SPAM"), same_answer("ham", "spam"), same_answer("x", None)
    (True, False, None)
    """
    if truth is None:
        return None
    return _plain(text) == _plain(truth)


def _plain(text: str) -> str:
    return "".join(text.split()).strip("\"'`*.").casefold()
