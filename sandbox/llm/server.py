"""The simulated LLM's server: OpenAI's routes, and a few of its own under /simulation."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from jitr.sandbox.llm.meter import Meter
from jitr.sandbox.llm.teacher import Teacher, TeacherChange
from jitr.sandbox.llm.tokens import count_prompt, count_text
from jitr.sandbox.llm.wire import ErrorAnswer, Json, check, chunks, completion, cut, decode, flat
from jitr.sandbox.traffic.request import Traffic
from jitr.sandbox.traffic.task import unit
from jitr.schemas.prices import DEFAULT_PRICES, Price

SPREAD = 0.25  # of the logarithm of the latency: with a median of 45 ms nine of ten lie within 30-68 ms
HEADERS = {"x-simulation": "true"}
LARGEST_BODY = 16 * 2**20


class SimulatedLLM:
    """An OpenAI-compatible server on loopback that answers like the teacher of a workload.

    It is a simulation and says so: in `GET /`, in `system_fingerprint`, in the header `x-simulation`.

    Parameters
    ----------
    traffic : Traffic
        The workload whose tasks it answers; everything else gets free text.
    port : int
        0 lets the system choose.
    latency_s : float
        Median seconds until an answer, log-normal; 0 answers at once.
    error_rate : float
        Share of calls answered with 429 or 500, in 0..1.
    prices : mapping of str to Price
        By model or the beginning of its name; a model without a price costs nothing.
    key : str, optional
        Demanded as a bearer token if given. Take it from the environment, never from a command line.
    seed : int
        Of latencies and errors.

    Examples
    --------
    >>> from jitr.sandbox.traffic.workload import Workload
    >>> async def name() -> str:
    ...     llm = SimulatedLLM(Workload(), latency_s=0.0)
    ...     await llm.start()
    ...     url = llm.base_url
    ...     await llm.stop()
    ...     return url.split(":")[0] + url[-3:]
    >>> asyncio.run(name())
    'http/v1'
    """

    def __init__(
        self,
        traffic: Traffic,
        *,
        port: int = 0,
        latency_s: float = 0.045,
        error_rate: float = 0.0,
        prices: Mapping[str, Price] = DEFAULT_PRICES,
        key: str | None = None,
        seed: int = 0,
    ) -> None:
        if latency_s < 0.0 or not 0.0 <= error_rate <= 1.0:
            raise ValueError(
                f"latency_s={latency_s} must not be negative, error_rate={error_rate} within 0..1"
            )
        self.teacher = Teacher(traffic)
        self.port = port
        self.latency_s = latency_s
        self.error_rate = error_rate
        self._traffic = traffic
        self._meter = Meter(prices)
        self._key = key
        self._rng = random.Random(seed)
        self._fingerprint = f"simulation-{int(unit(*traffic.names) * 2**40):010x}"
        self._started = int(time.time())
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        """Listen; `port` and `base_url` hold from here on."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[self._guard])
        app.router.add_get("/", self._about)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{model:.+}", self._model)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/simulation/behaviour", self._behaviour)
        app.router.add_post("/simulation/truth", self._truth)
        app.router.add_get("/simulation/truth", self._truth)
        app.router.add_get("/simulation/stats", self._stats)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection; harmless if it is not running."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def true_answer(self, body: Mapping[str, Any], version: int | None = None) -> str | None:
        """What it says when it makes no mistake, now or under an earlier behaviour; None if ad hoc."""
        return self.teacher.true_answer(flat(dict(body)), version)

    def stats(self) -> Json:
        """Calls, errors, tokens, dollars, calls by task, and the number of the present behaviour."""
        return {**self._meter.read(), "behaviour_version": self.teacher.version}

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            if self._key is not None and request.headers.get("Authorization") != f"Bearer {self._key}":
                raise ErrorAnswer(401, "Incorrect API key provided.", code="invalid_api_key")
            response: web.StreamResponse = await handler(request)
            return response
        except ErrorAnswer as refusal:
            self._meter.refuse()
            return _json(refusal.body, refusal.status, refusal.headers)
        except web.HTTPException as error:
            message = f"{error.reason}: {request.method} {request.path}"
            return _json(ErrorAnswer(error.status, message).body, error.status)

    async def _about(self, _: web.Request) -> web.Response:
        return _json(
            {
                "simulation": True,
                "what": "A simulated LLM of jitr's sandbox. No language model runs here.",
                "tasks": list(self._traffic.names),
                "models": list(self._traffic.models),
            }
        )

    async def _models(self, _: web.Request) -> web.Response:
        return _json({"object": "list", "data": [self._card(name) for name in self._traffic.models]})

    async def _model(self, request: web.Request) -> web.Response:
        return _json(self._card(self._known(request.match_info["model"])))

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = decode(await request.read())
        model = self._known(body["model"])
        self._fail_sometimes()
        plain = flat(body)
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        drawn = [self.teacher.answer(plain) for _ in range(body.get("n") or 1)]
        answers = [cut(text, limit) for text, _ in drawn]
        usage = _usage(count_prompt(plain["messages"]), sum(count_text(text) for text, _ in answers))
        self._meter.count(model, drawn[0][1], usage["prompt_tokens"], usage["completion_tokens"])
        head = {
            "id": f"chatcmpl-simulation-{self._rng.getrandbits(96):024x}",
            "created": int(time.time()),
            "model": model,
            "service_tier": "default",
            "system_fingerprint": self._fingerprint,
        }
        latency = self._latency()
        if body.get("stream"):
            wanted = (body.get("stream_options") or {}).get("include_usage")
            return await _stream(request, list(chunks(head, answers, usage if wanted else None)), latency)
        if latency:
            await asyncio.sleep(latency)
        return _json(completion(head, answers, usage))

    async def _behaviour(self, request: web.Request) -> web.Response:
        try:
            version = self.teacher.change(msgspec.json.decode(await request.read(), type=TeacherChange))
        except (ValueError, msgspec.DecodeError) as error:
            raise ErrorAnswer(400, str(error)) from error
        return _json({"version": version})

    async def _truth(self, request: web.Request) -> web.Response:
        try:
            asked = msgspec.json.decode(await request.read())
        except msgspec.DecodeError as error:
            raise ErrorAnswer(400, f"The body is not JSON: {error}") from error
        many = isinstance(asked, dict) and isinstance(asked.get("requests"), list)
        bodies = asked["requests"] if many else [asked]
        for body in bodies:
            check(body)
        try:
            version = asked.get("version") if many else None
            answers = [self.true_answer(body, version) for body in bodies]
        except (TypeError, ValueError) as error:
            raise ErrorAnswer(400, str(error), param="version") from error
        return _json({"answers": answers} if many else {"answer": answers[0]})

    async def _stats(self, _: web.Request) -> web.Response:
        return _json(self.stats())

    def _known(self, model: str) -> str:
        if model not in self._traffic.models:
            message = f"The model `{model}` does not exist; there are {', '.join(self._traffic.models)}."
            raise ErrorAnswer(404, message, code="model_not_found")
        return model

    def _card(self, model: str) -> Json:
        return {"id": model, "object": "model", "created": self._started, "owned_by": "jitr-simulation"}

    def _latency(self) -> float:
        return self.latency_s * self._rng.lognormvariate(0.0, SPREAD) if self.latency_s else 0.0

    def _fail_sometimes(self) -> None:
        if not self.error_rate or self._rng.random() >= self.error_rate:
            return
        if self._rng.random() < 0.5:
            wait = {"retry-after": "1", "retry-after-ms": "50"}
            raise ErrorAnswer(
                429, "Simulated rate limit.", "requests", code="rate_limit_exceeded", headers=wait
            )
        raise ErrorAnswer(500, "Simulated server error.", "server_error")


def _usage(prompt: int, written: int) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _json(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={**HEADERS, **(headers or {})},
    )


async def _stream(request: web.Request, parts: list[Json], latency: float) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={**HEADERS, "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    )
    # six tenths of the time pass before the first word
    await asyncio.sleep(latency * 0.6)
    await response.prepare(request)
    for part in parts:
        await response.write(b"data: " + msgspec.json.encode(part) + b"\n\n")
        if latency:
            await asyncio.sleep(latency * 0.4 / len(parts))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response
