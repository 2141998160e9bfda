"""How every client of Kafka here reaches it, and what to say where one does not."""

from __future__ import annotations

import ssl
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from jitr.router.servers.oauth import TokenError, Tokens
from jitr.schemas.errors import ConfigError
from jitr.schemas.servers import KafkaSettings
from jitr.schemas.urls import safe_text

_PROBE_S: Final = 3.0


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of every producer, consumer and admin client of aiokafka.

    Raises
    ------
    ConfigError
        If a file of certificates or keys cannot be read.

    Examples
    --------
    >>> client_options(KafkaSettings(bootstrap="k:9092"))
    {'bootstrap_servers': 'k:9092', 'security_protocol': 'PLAINTEXT'}
    """
    return {"bootstrap_servers": kafka.bootstrap, **credentials(kafka)}


def credentials(kafka: KafkaSettings) -> dict[str, Any]:
    """The part of `client_options` that does not say where Kafka is."""
    options: dict[str, Any] = {"security_protocol": kafka.security.upper()}
    if kafka.tls:
        options["ssl_context"] = tls_context(kafka)
    if kafka.sasl:
        options["sasl_mechanism"] = kafka.mechanism
    if kafka.mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = Tokens(kafka)
    elif kafka.sasl:
        options |= {"sasl_plain_username": kafka.username, "sasl_plain_password": kafka.password}
    return options


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """TLS as the settings say; a certificate that cannot be verified is refused in any case."""
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"kafka.ca_file: no certificates can be read in {kafka.ca_file} ({error})"
        ) from error
    context.check_hostname = kafka.check_hostname
    if kafka.cert_file:
        try:
            # a password that is not there must not be asked for at a terminal
            context.load_cert_chain(kafka.cert_file, kafka.key_file, lambda: kafka.key_password)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"kafka.cert_file, kafka.key_file: {kafka.cert_file} and {kafka.key_file} cannot be read as a"
                f" certificate and its key ({error}); is kafka.key_password right?"
            ) from error
    return context


async def why(kafka: KafkaSettings, error: BaseException) -> str:
    """Why Kafka does not answer, and the mend: a client's own error tells neither.

    Servers are asked in turn, a few seconds each, and the first that refuses us is told of.

    Parameters
    ----------
    error : BaseException
        What the client said; told where a probe finds nothing amiss.
    """
    said = f"Kafka at {kafka.shown}"
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, ClusterAuthorizationFailedError):
        # a producer asks for its id first, and that takes Write on any topic
        return f"{said} does not let us write to any topic; `jitr doctor --acls` prints the rights it takes"
    if isinstance(error, TopicAuthorizationFailedError):
        return f"{said} refuses access ({error}); `jitr doctor --acls` prints the rights that are needed"
    found: BaseException = error
    for server in kafka.bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            connection = await create_conn(
                host.strip("[]"),
                int(port),
                request_timeout_ms=int(_PROBE_S * 1000),
                **credentials(kafka),
            )
            try:
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()
        except (KafkaError, OSError, TimeoutError, ValueError) as refused:
            found = refused
            if _is_refusal(refused):
                break
    return f"{said} {_says(kafka, found)}"


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, (SaslAuthenticationFailed, UnsupportedSaslMechanismError, ssl.SSLError))


def _says(kafka: KafkaSettings, error: BaseException) -> str:
    detail = safe_text(str(error) or type(error).__name__)
    if isinstance(error, SaslAuthenticationFailed):
        keys = "client_id, client_secret and scope" if kafka.client_id else "username and password"
        return f"refuses who we say we are ({detail}); kafka.{keys} must be those of a user that it knows"
    if isinstance(error, UnsupportedSaslMechanismError):
        return f"does not know this way to say who we are ({detail}); set kafka.mechanism to one it enables"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that cannot be verified ({error.verify_message}); kafka.ca_file must name"
            " who signed it, and kafka.bootstrap a host that stands in it"
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"does not agree on TLS ({detail}); kafka.security must be what this listener speaks, and"
            " kafka.cert_file a certificate that it accepts, where it asks for one"
        )
    if isinstance(error, TokenError):
        return f"was not asked: {detail}"
    return (
        f"does not answer ({detail}); is it running, is kafka.bootstrap (--kafka, KAFKA_BOOTSTRAP_SERVERS)"
        " right, kafka.security what this listener speaks, and kafka.cert_file set where it asks for one?"
    )
