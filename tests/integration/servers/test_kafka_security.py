"""Everything that speaks to Kafka does so by TLS and SASL, and says what is wrong where it cannot."""

import asyncio
import itertools
from pathlib import Path

import pytest
from stage.servers.kafka import eventually
from stage.servers.secure_kafka import SecureKafka, call, committed, settings_at
from stage.tokens import CLIENT, SECRET, TokenEndpoint
from stage.workers import working

from jitr.agents.runtime.topics import create_missing
from jitr.cli.topic import producer, records
from jitr.router.publishing.events import EventStream
from jitr.schemas.errors import ConfigError, UnavailableError

pytestmark = pytest.mark.kafka
OAUTH = {
    "mechanism": "OAUTHBEARER",
    "client_id": CLIENT,
    "client_secret": SECRET,
    "scope": "kafka",
}
WAYS = {
    "mutual-tls": ("ssl", {}),
    "plain-tls": ("sasl_ssl", {"mechanism": "PLAIN"}),
    "scram-256-tls": ("sasl_ssl", {"mechanism": "SCRAM-SHA-256"}),
    "scram-512": ("sasl_plaintext", {"mechanism": "SCRAM-SHA-512"}),
    "oauth-tls": ("sasl_ssl", OAUTH),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_call_goes_from_the_gateway_through_an_agent(
    secure_kafka: SecureKafka, tmp_path: Path, way: str
) -> None:
    security, changes = WAYS[way]
    async with TokenEndpoint() as endpoint:
        if way == "oauth-tls":
            changes = changes | {"oauth_token_url": endpoint.url}
        settings = settings_at(secure_kafka.settings(security, **changes), tmp_path)
        made = await create_missing(settings.kafka, settings.topics.all())
        assert len(made) == len(settings.topics.all())
        stream = EventStream(settings)
        await stream.start()
        async with working(settings, "detect") as worker:
            for n in range(5):
                stream.publish(call(n))
            await eventually(lambda: stream.published == 5)
            await eventually(lambda: committed(settings, "detect"))
            assert worker.tasks.rows == {}  # and the compacted topic was read to its end
        await stream.stop()
        found = [record async for record in records(settings, settings.topics.unmatched.name)]
        assert sum(record.value.count(b"hello") for record in found) == 5
        async with producer(settings) as client:
            await client.send_and_wait(settings.topics.calls.name, b"{}")


async def test_tokens_are_asked_for_before_they_expire(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    # Kafka ends a connection when its token does
    async with TokenEndpoint(life_s=2) as endpoint:
        kafka = secure_kafka.settings("sasl_ssl", **OAUTH, oauth_token_url=endpoint.url)
        settings = settings_at(kafka, tmp_path)
        await create_missing(settings.kafka, settings.topics.all())
        endpoint.given = 0
        stream = EventStream(settings)
        await stream.start()
        async with asyncio.timeout(30):
            for n in itertools.count():
                stream.publish(call(n))
                await asyncio.sleep(0.05)
                if endpoint.given >= 3:
                    break
        await eventually(lambda: stream.published == stream.taken)
        assert not stream.dropped
        await stream.stop()


WRONG = {
    "a wrong password by SCRAM": (
        ("sasl_ssl", {"password": "not it"}),
        r"refuses who we say we are .*kafka.username and password",
    ),
    "a wrong password by PLAIN": (
        ("sasl_plaintext", {"mechanism": "PLAIN", "password": "not it"}),
        r"refuses who we say we are .*kafka.username and password",
    ),
    "a user nobody knows": (
        ("sasl_ssl", {"username": "nobody"}),
        r"refuses who we say we are .*kafka.username and password",
    ),
    "an authority that did not sign it": (
        ("sasl_ssl", {"ca_file": "stranger"}),
        r"certificate that cannot be verified .*kafka.ca_file must name",
    ),
    "no certificate where one is asked for": (
        ("ssl", {"cert_file": "", "key_file": ""}),
        r"kafka.cert_file (set where it asks for one|a certificate that it accepts)",
    ),
    "a listener that speaks TLS": (
        ("sasl_ssl", {"security": "sasl_plaintext", "ca_file": ""}),
        r"kafka.security what this listener speaks",
    ),
    "a listener that speaks no TLS": (
        ("sasl_plaintext", {"security": "sasl_ssl"}),
        r"kafka.security (what this listener speaks|must be what this listener speaks)",
    ),
    "a listener that wants SASL": (
        (
            "sasl_plaintext",
            {"security": "plaintext", "mechanism": "", "username": "", "password": ""},
        ),
        r"kafka.security what this listener speaks",
    ),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_named_and_nothing_hangs(
    secure_kafka: SecureKafka, tmp_path: Path, case: str
) -> None:
    (security, changes), says = WRONG[case]
    changes = dict(changes)
    if changes.get("ca_file") == "stranger":
        changes["ca_file"] = str(secure_kafka.certificates.stranger)
    settings = settings_at(secure_kafka.settings(security, **changes), tmp_path)
    async with asyncio.timeout(40):
        with pytest.raises(UnavailableError, match=says) as told:
            await create_missing(settings.kafka, settings.topics.all())
    assert "not it" not in str(told.value)
    stream = EventStream(settings)
    await stream.start()
    await eventually(lambda: stream.state()["kafka"] not in ("ok", "not connected yet"))
    assert stream.publish(call(1))
    await stream.stop()
    assert stream.taken == stream.waiting == 1


async def test_a_token_endpoint_that_refuses_is_named(secure_kafka: SecureKafka, tmp_path: Path) -> None:
    async with TokenEndpoint() as endpoint:
        wrong = OAUTH | {"client_secret": "not it"}
        kafka = secure_kafka.settings("sasl_ssl", **wrong, oauth_token_url=endpoint.url)
        with pytest.raises(UnavailableError, match=r"answers 401; kafka.client_id, .*client_secret") as told:
            await create_missing(kafka, ())
    assert "not it" not in str(told.value)


async def test_a_certificate_for_another_host_is_refused_unless_told_otherwise(
    secure_kafka: SecureKafka, tmp_path: Path
) -> None:
    kafka = secure_kafka.settings()
    port = kafka.bootstrap.rpartition(":")[2]
    # 127.0.0.2 is the same machine, and stands in no certificate
    server = await asyncio.start_server(lambda r, w: _relay(r, w, int(port)), "127.0.0.2", 0)
    async with server:
        bootstrap = f"127.0.0.2:{server.sockets[0].getsockname()[1]}"
        strict = secure_kafka.settings(bootstrap=bootstrap)
        with pytest.raises(UnavailableError, match=r"kafka.bootstrap a host that stands in it"):
            await create_missing(strict, ())
        assert (
            await create_missing(secure_kafka.settings(bootstrap=bootstrap, check_hostname=False), ()) == []
        )


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    to, back = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    await asyncio.gather(pump(reader, back), pump(to, writer), return_exceptions=True)


async def test_a_key_may_have_a_password(secure_kafka: SecureKafka) -> None:
    locked = str(secure_kafka.certificates.locked_key)
    assert (
        await create_missing(secure_kafka.settings("ssl", key_file=locked, key_password="opensesame"), ())
        == []
    )
    with pytest.raises(ConfigError, match=r"is kafka.key_password right\?"):
        await create_missing(secure_kafka.settings("ssl", key_file=locked, key_password="wrong"), ())
