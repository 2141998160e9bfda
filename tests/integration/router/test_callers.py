"""Who is answered by a surrogate, and who is answered at all: through the gateway, with real Redis."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from yarl import URL

from jitr.router.callers.callers import CHECK_S
from jitr.router.callers.keyring import Keyring
from jitr.router.gateway.server import Gateway
from jitr.router.snapshot import Snapshot
from jitr.schemas.prices import Price
from jitr.schemas.routes import Route

Make = Callable[..., Route]
Apply = Callable[[Route], Awaitable[None]]
Until = Callable[[Callable[[], Any]], Awaitable[None]]
UPSTREAM_KEY = "sk-upstream-0123456789"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class Asker:
    """Asks a gateway as one caller or another."""

    def __init__(self, http: aiohttp.ClientSession, gateway: Gateway, request: dict[str, Any]) -> None:
        self.http, self.gateway, self.request = http, gateway, request

    async def __call__(self, path: str = "/chat/completions", **headers: str) -> Answer:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.post(
            self.gateway.base_url + path, json=self.request, headers={"x-jitr-debug": "1", **said}
        ) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def reason(self, **headers: str) -> str:
        answer = await self(**headers)
        return answer.headers.get("x-jitr-reason", str(answer.status))


@pytest.fixture
def ask(http: aiohttp.ClientSession, world: Any) -> Asker:
    return Asker(http, world.gateway, world.request())


# --- the upstream decides


async def test_a_surrogate_answers_nobody_whom_the_upstream_has_not_served(
    ask: Asker, world: Any, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("active"))
    world.teacher.status = 401
    for _ in range(3):
        assert await ask.reason(Authorization="Bearer sk-stolen") == "unproved_caller"
    assert len(world.teacher.asked) == 3
    world.teacher.status = 200
    assert await ask.reason(Authorization="Bearer sk-new") == "unproved_caller"
    assert await ask.reason(Authorization="Bearer sk-new") == "accepted"
    await until(lambda: len(world.kept.calls) == 5)
    assert [call.response is None for call in world.kept.calls] == [True, True, True, False, True]


async def test_without_a_credential_the_same_rule_holds(
    ask: Asker, world: Any, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    assert await ask.reason() == "accepted"  # the world begins with callers that were served
    world.teacher.status = 401
    assert await ask.reason(x_jitr_skip="1") == "opt_out"
    assert await ask.reason() == "unproved_caller"
    world.teacher.status = 200
    assert await ask.reason() == "unproved_caller"
    assert await ask.reason() == "accepted"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer sk-secret"},
        {"authorization": "bearer sk-secret"},
        {"AUTHORIZATION": "BEARER\t \tsk-secret  "},
        {"Authorization": "sk-secret"},
        {"api-key": "sk-secret"},
        {"X-API-Key": " sk-secret"},
        {"Authorization": "Bearer sk-secret", "x-api-key": "sk-secret"},
    ],
)
async def test_a_key_is_the_same_however_it_is_shown(
    headers: dict[str, str], ask: Asker, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    assert await ask.reason(**headers) == "accepted"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer sk-secret2"},
        {"Authorization": "Bearer sk-Secret"},
        {"Authorization": "Basic sk-secret"},
        {"Authorization": "Bearer sk-secret", "x-api-key": "sk-other"},
        {"Authorization": "Bearer sk-secret", "OpenAI-Project": "another"},
        {"Authorization": "Bearer sk-secret", "OpenAI-Organization": "another"},
        {"api-key": "Bearer sk-secret x"},
    ],
)
async def test_another_key_is_another_caller(
    headers: dict[str, str], ask: Asker, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    assert await ask.reason(**headers) == "unproved_caller"


@pytest.mark.parametrize(
    "name",
    ["x-goog-api-key", "Ocp-Apim-Subscription-Key", "Cookie", "cf-aig-authorization", "X-Auth-Token", "?"],
)
async def test_whom_the_upstream_knows_by_something_else_is_another_caller_too(
    name: str, ask: Asker, world: Any, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    query, headers = ("?key=one", {}) if name == "?" else ("", {name: "one"})
    path = f"/chat/completions{query}"
    assert (await ask(path, **headers)).headers["x-jitr-reason"] == "unproved_caller"
    assert (await ask(path, **headers)).headers["x-jitr-reason"] == "accepted"
    another = path.replace("one", "two")
    assert (await ask(another, **dict.fromkeys(headers, "two"))).headers["x-jitr-reason"] == "unproved_caller"


@pytest.mark.parametrize("name", ["Idempotency-Key", "traceparent", "x-request-id", "User-Agent"])
async def test_what_is_no_credential_makes_no_other_caller(
    name: str, ask: Asker, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    assert await ask.reason(**{name: "one"}) == "accepted"


async def test_names_of_tasks_by_whom_the_upstream_does_not_serve_take_no_place_of_others(
    http: aiohttp.ClientSession, teacher: Any, front: Any, until: Until
) -> None:
    teacher.status = 401
    before = await front(teacher.url, max_task_names=2)
    request = {"model": "big-llm", "messages": [{"role": "user", "content": "hi"}]}
    ask = Asker(http, before.gateway, request)
    for n in range(4):
        await ask(Authorization="Bearer bad", x_jitr_task=f"flood-{n}")
    teacher.status = 200
    good = {"Authorization": "Bearer good"}
    await ask(**good)
    for n in range(3):
        await ask(x_jitr_task=f"honest-{n}", **good)
    await until(lambda: len(before.kept.calls) == 8)
    named = [call.task for call in before.kept.calls]
    assert named == ["flood-0", "flood-1", None, None, None, "honest-0", "honest-1", None]


async def test_a_key_that_was_served_with_one_model_is_not_proved_for_another(
    ask: Asker, world: Any, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("active"))
    world.prove("other-llm", Authorization="Bearer sk-narrow")
    assert await ask.reason(Authorization="Bearer sk-narrow") == "unproved_caller"


@pytest.mark.parametrize("status", [401, 403])
async def test_an_audit_that_is_refused_takes_the_caller_away(
    status: int, ask: Asker, world: Any, apply: Apply, route: Make, until: Until
) -> None:
    await apply(route("active", audit_rate=1.0))
    world.teacher.status = status
    assert await ask.reason() == "accepted"
    await until(lambda: world.kept.calls)
    assert await ask.reason() == "unproved_caller"


async def test_a_dead_key_is_dead_on_every_path_but_what_is_served_elsewhere_proves_nothing(
    ask: Asker, world: Any, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    assert (await ask("/embeddings", Authorization="Bearer sk-other")).status == 200
    assert await ask.reason(Authorization="Bearer sk-other") == "unproved_caller"
    assert await ask.reason(Authorization="Bearer sk-secret") == "accepted"
    world.teacher.elsewhere = 401
    assert (await ask("/embeddings", Authorization="Bearer sk-secret")).status == 401
    assert await ask.reason(Authorization="Bearer sk-secret") == "unproved_caller"


# --- the gateway's own keys


@pytest.fixture
async def own(
    world: Any, http: aiohttp.ClientSession, settings: Any, until: Until
) -> AsyncIterator[tuple[Asker, Keyring]]:
    """A gateway with keys of its own, beside the world's, and their ring."""
    changed = msgspec.structs.replace(
        settings.gateway, upstream=world.teacher.url, callers="keys", upstream_key=UPSTREAM_KEY
    )
    prices = {"big-llm": Price(1000.0, 0.0)}  # 20 tokens of the teacher's: two cents a call
    kept = msgspec.structs.replace(settings, gateway=changed, prices=prices)
    gateway = Gateway(kept, snapshot=Snapshot(kept), events=world.kept)
    client = Redis.from_url(settings.redis.url)
    await gateway.start()
    await until(lambda: gateway.ready)
    yield Asker(http, gateway, world.request()), Keyring(client)
    await gateway.stop(deadline_s=0.2)
    await client.aclose()


async def served(ask: Asker, shown: str, status: int = 200) -> None:
    """Wait until a key is served; or refused."""
    async with asyncio.timeout(60):
        while (await ask(Authorization=f"Bearer {shown}")).status != status:
            await asyncio.sleep(0.02)


async def test_a_key_of_ours_is_served_everywhere_and_so_is_its_revocation(
    own: tuple[Asker, Keyring], world: Any, settings: Any, until: Until, http: aiohttp.ClientSession
) -> None:
    assert CHECK_S < 0.5  # what is promised is a second
    ask, ring = own
    second = Gateway(ask.gateway._settings, events=world.kept)
    await second.start()
    try:
        await until(lambda: second.ready)
        made, shown = await ring.create("acme")
        asks = (ask, Asker(http, second, world.request()))
        await asyncio.gather(*(served(one, shown) for one in asks))
        assert {call.tenant for call in world.kept.calls} == {"acme"}
        await ring.revoke(made.id)
        await asyncio.gather(*(served(one, shown, 401) for one in asks))
    finally:
        await second.stop(deadline_s=0.2)


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings", "/models", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer sk-secret"},
        {"Authorization": "Bearer sk-jitr-0000000000-x"},
        {"Authorization": f"Bearer {UPSTREAM_KEY}x"},
        {"api-key": ""},
        {"Access-Control-Request-Method": "POST"},
    ],
)
async def test_without_a_key_of_ours_nothing_reaches_the_upstream(
    path: str, headers: dict[str, str], own: tuple[Asker, Keyring], world: Any
) -> None:
    ask, ring = own
    await ring.create("acme")
    answer = await ask(path, **headers)
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    error = answer.error
    assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
    assert error["param"] is None and "sk-" not in error["message"]
    assert world.teacher.asked == [] and world.kept.calls == []


async def test_two_different_keys_are_none(own: tuple[Asker, Keyring]) -> None:
    ask, ring = own
    shown = [(await ring.create("acme"))[1] for _ in range(2)]
    for one in shown:
        await served(ask, one)
    answer = await ask(Authorization=f"Bearer {shown[0]}", x_api_key=shown[1])
    assert answer.status == 401 and "Two different" in answer.error["message"]


async def test_the_upstream_gets_its_own_key_and_never_the_callers(
    own: tuple[Asker, Keyring], world: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask, ring = own
    _, shown = await ring.create("acme")
    await served(ask, shown)
    assert (await ask(api_key=shown, OpenAI_Organization="o")).status == 200
    for headers, body in world.teacher.asked:
        assert headers["Authorization"] == f"Bearer {UPSTREAM_KEY}"
        assert shown not in json.dumps(headers) + body.decode()
        assert not {"api-key", "x-api-key", "OpenAI-Organization"} & set(headers)
    async with ask.http.get(ask.gateway.base_url.replace("/v1", "/metrics")) as answer:
        told = await answer.text()
    told += caplog.text + repr(world.kept.calls)
    raw = await world.table._redis.hgetall("jitr:{gateway}:keys")
    for secret in (shown, UPSTREAM_KEY, shown[-20:]):
        assert secret not in told and secret not in repr(raw)


@pytest.mark.parametrize("path", ["/chat/completions", "/embeddings"])
async def test_what_the_upstream_says_of_its_own_key_is_not_for_callers(
    path: str, own: tuple[Asker, Keyring], world: Any
) -> None:
    ask, ring = own
    _, shown = await ring.create("acme")
    await served(ask, shown)
    world.teacher.status = world.teacher.elsewhere = 401
    answer = await ask(path, api_key=shown)
    assert answer.status == 502 and b"the gateway's own key" in answer.body
    assert b"Slow down." not in answer.body and ask.request["model"].encode() not in answer.body


async def test_a_surrogate_answers_a_key_of_ours_at_once(
    own: tuple[Asker, Keyring], world: Any, apply: Apply, route: Make, until: Until
) -> None:
    ask, ring = own
    await apply(route("active"))
    await until(lambda: ask.gateway._snapshot.view("default").routes.get("t1"))  # type: ignore[union-attr]
    await until(
        lambda: ask.gateway._snapshot.view("default").routes["t1"].reason.value == "ask"  # type: ignore[union-attr]
    )
    _, shown = await ring.create("default")
    await served(ask, shown)
    assert world.teacher.asked == []


async def test_beyond_its_requests_a_minute_a_key_is_told_when_to_come_again(
    own: tuple[Asker, Keyring], world: Any
) -> None:
    ask, ring = own
    made, shown = await ring.create("acme", requests_per_min=2)
    other = (await ring.create("acme"))[1]
    await served(ask, shown)
    assert (await ask(api_key=shown)).status == 200
    answer = await ask(api_key=shown)
    error = answer.error
    assert (answer.status, error["code"]) == (429, "rate_limit_exceeded")
    assert made.id in error["message"] and shown not in error["message"]
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    assert len(world.teacher.asked) == 2
    assert (await ask(api_key=other)).status == 200


async def test_beyond_its_dollars_of_the_day_a_key_is_refused_at_every_gateway(
    own: tuple[Asker, Keyring], world: Any, until: Until, http: aiohttp.ClientSession
) -> None:
    ask, ring = own
    _, shown = await ring.create("acme", usd_per_day=0.05)
    await served(ask, shown)
    for status in (200, 200, 429):
        answer = await ask(api_key=shown)
        assert answer.status == status
    assert answer.error["code"] == "insufficient_quota"
    assert 1 <= int(answer.headers["Retry-After"]) <= 86_400
    await until(lambda: _spent(ring))
    late = Gateway(ask.gateway._settings, events=world.kept)
    await late.start()
    try:
        await until(lambda: late.ready)
        assert (await Asker(http, late, world.request())(api_key=shown)).status == 429
    finally:
        await late.stop(deadline_s=0.2)


@pytest.mark.parametrize("read", [True, False])
async def test_what_was_asked_is_billed_also_where_the_caller_leaves_before_the_answer(
    read: bool, own: tuple[Asker, Keyring], world: Any, until: Until
) -> None:
    ask, ring = own
    _, shown = await ring.create("acme", usd_per_day=0.05)
    await served(ask, shown)
    asked, world.teacher.wait = len(world.teacher.asked), asyncio.Event()
    body = b"superb " * 100  # more than five cents
    if read:
        body = json.dumps(world.request(body.decode())).encode()
    _, writer = await asyncio.open_connection("127.0.0.1", ask.gateway.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\napi-key: {shown}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await until(lambda: len(world.teacher.asked) > asked)
    writer.transport.abort()
    world.teacher.wait.set()
    await until(lambda: len(world.kept.calls) > asked)
    assert (await ask(api_key=shown)).status == 429


async def _spent(ring: Keyring) -> bool:
    return sum((await ring.usd_today(int(time.time() // 86_400))).values()) > 0.05


async def test_a_key_with_dollars_calls_only_what_has_a_price(own: tuple[Asker, Keyring]) -> None:
    ask, ring = own
    _, shown = await ring.create("acme", usd_per_day=1.0)
    await served(ask, shown)
    answer = await ask("/embeddings", api_key=shown)
    assert answer.status == 403
    assert answer.error["code"] == "path_without_price"
    async with ask.http.get(f"{ask.gateway.base_url}/models", headers={"api-key": shown}) as models:
        assert models.status == 200


async def test_audits_are_on_the_bill_of_the_key_that_was_answered(
    own: tuple[Asker, Keyring], world: Any, apply: Apply, route: Make, until: Until
) -> None:
    ask, ring = own
    await apply(route("active", audit_rate=1.0))
    await until(lambda: ask.gateway._snapshot.view("default").routes.get("t1"))  # type: ignore[union-attr]
    await until(
        lambda: ask.gateway._snapshot.view("default").routes["t1"].reason.value == "ask"  # type: ignore[union-attr]
    )
    _, shown = await ring.create("default", usd_per_day=0.01)
    await served(ask, shown)
    await served(ask, shown, status=429)
    assert world.kept.calls and all(call.decision.reason == "accepted" for call in world.kept.calls)


async def test_while_redis_is_away_the_keys_that_are_known_go_on(
    own: tuple[Asker, Keyring], until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, ring = own
    shown = (await ring.create("acme"))[1]
    await served(ask, shown)
    failed = []

    async def away(keyring: Keyring) -> str | None:
        failed.append(1)
        raise RedisConnectionError("away")

    monkeypatch.setattr(Keyring, "epoch", away)
    await until(lambda: len(failed) > 1)
    assert (await ask(api_key=shown)).status == 200
    assert (await ask(api_key="sk-jitr-unknown")).status == 401


async def test_keys_outlive_a_flush_of_redis(own: tuple[Asker, Keyring], world: Any, until: Until) -> None:
    ask, ring = own
    made, shown = await ring.create("acme")
    gone, lost = await ring.create("acme")
    await ring.revoke(gone.id)
    await served(ask, shown)
    await world.table._redis.flushall()

    async def restored() -> bool:
        return set(await ring.all()) == {made.id, gone.id}

    await until(restored)
    assert (await ask(api_key=shown)).status == 200
    assert (await ask(api_key=lost)).status == 401


async def test_before_the_keys_are_read_nobody_is_served_and_told_to_come_again(
    world: Any, http: aiohttp.ClientSession, settings: Any
) -> None:
    changed = msgspec.structs.replace(settings.gateway, upstream=world.teacher.url, callers="keys")
    away = msgspec.structs.replace(settings.redis, url="redis://127.0.0.1:9/0")
    gateway = Gateway(msgspec.structs.replace(settings, gateway=changed, redis=away), events=world.kept)
    await gateway.start()
    try:
        answer = await Asker(http, gateway, world.request())(api_key="sk-jitr-x")
        assert answer.status == 503 and answer.headers["Retry-After"] == "1"
        async with http.get(gateway.base_url.replace("/v1", "/ready")) as ready:
            assert ready.status == 503
    finally:
        await gateway.stop(deadline_s=0.2)


# --- strange pages


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/models", "/metrics", "/ready", "/health", "/x"]
)
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:8080"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
async def test_a_page_of_a_stranger_is_sent_away_from_every_path(
    path: str, headers: dict[str, str], world: Any, http: aiohttp.ClientSession
) -> None:
    url = world.gateway.base_url.removesuffix("/v1") + path
    for method in ("GET", "POST", "OPTIONS"):
        async with http.request(method, url, headers=headers, json=world.request()) as answer:
            assert answer.status == 403
            assert json.loads(await answer.read())["error"]["code"] == "foreign_origin"
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert world.teacher.asked == [] and world.kept.calls == []


async def test_a_host_that_is_no_text_is_refused_like_any_other(world: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nHost: \xff\r\n\r\n")
    assert b" 403 " in await reader.readline()
    writer.close()


async def test_answers_of_our_own_do_not_say_what_serves_them(
    world: Any, http: aiohttp.ClientSession
) -> None:
    root = world.gateway.base_url.removesuffix("/v1")
    asks = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    for method, path, headers in (
        *[("GET", page, {}) for page in ("/health", "/ready", "/version", "/metrics", "/x", "/v1/..")],
        ("OPTIONS", "/v1/chat/completions", asks),
    ):
        async with http.request(method, URL(root + path, encoded=True), headers=headers) as answer:
            assert answer.headers["Server"] == "jitr", path


async def test_a_page_that_is_allowed_may_ask_and_read(
    world: Any, http: aiohttp.ClientSession, apply: Apply, route: Make
) -> None:
    await apply(route("active"))
    url, origin = f"{world.gateway.base_url}/chat/completions", "http://localhost:3000"
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with http.options(url, headers=asks) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
        assert answer.headers["Access-Control-Allow-Origin"] == origin
    async with http.post(url, headers={"Origin": origin}, json=world.request()) as answer:
        assert answer.status == 200 and answer.headers["x-jitr-route"] == "surrogate"
        assert answer.headers["Access-Control-Allow-Origin"] == origin and "Origin" in answer.headers["Vary"]


async def test_whoever_is_sent_away_is_counted(world: Any, http: aiohttp.ClientSession) -> None:
    root = world.gateway.base_url.removesuffix("/v1")
    for _ in range(3):
        async with http.get(f"{root}/metrics", headers={"Host": "evil.example"}):
            pass
    async with http.get(f"{root}/metrics") as answer:
        assert 'jitr_requests_total{reason="refused",route="refused"} 3.0' in await answer.text()


async def test_a_request_without_a_host_is_no_browsers(world: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
    writer.write(b"GET /health HTTP/1.0\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()
