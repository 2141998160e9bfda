"""Apache Kafka that asks who one is: TLS, SASL by every mechanism, and rights."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from stage.certificates import Certificates

from jitr.router.servers.kafka import client_options
from jitr.schemas.calls import Call, Message
from jitr.schemas.sections import GatewaySettings, StateSettings, WorkerSettings
from jitr.schemas.servers import KafkaSettings
from jitr.schemas.settings import Settings

# `jitr` may do everything; the others what they are given
PASSWORDS = {"jitr": "pw of jitr", **{name: f"pw of {name}" for name in ("gateway", "worker", "operator")}}
_SCRAM = {"SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256, "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512}
_PROPERTIES = """
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
SASL_SSL://127.0.0.1:{sasl_ssl},SASL_PLAINTEXT://127.0.0.1:{sasl_plaintext},SSL://127.0.0.1:{ssl}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{sasl_ssl},\
SASL_PLAINTEXT://127.0.0.1:{sasl_plaintext},SSL://127.0.0.1:{ssl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,\
SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.ssl.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]*).*$/$1/
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:jitr
auto.create.topics.enable=false
"""
_SASL = """
listener.name.{listener}.plain.sasl.jaas.config={package}.plain.PlainLoginModule required {users};
listener.name.{listener}.scram-sha-256.sasl.jaas.config={package}.scram.ScramLoginModule required;
listener.name.{listener}.scram-sha-512.sasl.jaas.config={package}.scram.ScramLoginModule required;
listener.name.{listener}.oauthbearer.sasl.jaas.config={package}.oauthbearer.OAuthBearerLoginModule required;
listener.name.{listener}.oauthbearer.connections.max.reauth.ms=3600000
"""


class SecureKafka:
    """One broker with five listeners.

    Parameters
    ----------
    folder : Path
        For certificates and properties.
    port, controller, sasl_ssl, sasl_plaintext, ssl : int
        One listener each; whoever comes by the first may do everything.
    """

    def __init__(
        self, folder: Path, port: int, controller: int, sasl_ssl: int, sasl_plaintext: int, ssl: int
    ) -> None:
        self.certificates = Certificates(folder / "certificates")
        self.ports = (port, controller)
        self.bootstrap = f"127.0.0.1:{port}"
        self._listeners = {"sasl_ssl": sasl_ssl, "sasl_plaintext": sasl_plaintext, "ssl": ssl}
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        text = _PROPERTIES.format(
            port=port,
            controller=controller,
            keystore=self.certificates.keystore,
            ca=self.certificates.ca,
            **self._listeners,
        )
        for listener in ("sasl_ssl", "sasl_plaintext"):
            text += _SASL.format(listener=listener, users=users, package="org.apache.kafka.common.security")
        self.properties = folder / "secure.properties"
        self.properties.write_text(text)

    @cached_property
    def admin(self) -> AdminClient:
        """Somebody who may do everything."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def add_users(self) -> None:
        """Store the passwords for SCRAM; those for PLAIN stand in the properties."""
        changes = [
            UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), password.encode())
            for name, password in PASSWORDS.items()
            for mechanism in _SCRAM.values()
        ]
        by_user: dict[str, Any] = {}
        for change in changes:
            by_user.setdefault(change.user, []).append(change)
        for some in zip(*by_user.values(), strict=True):
            for future in self.admin.alter_user_scram_credentials(list(some)).values():
                future.result(30)

    def settings(self, listener: str = "sasl_ssl", /, **changes: Any) -> KafkaSettings:
        """How `jitr` reaches it by a listener; by SASL with SCRAM-SHA-512 unless told otherwise."""
        fields: dict[str, Any] = {"bootstrap": f"127.0.0.1:{self._listeners[listener]}", "security": listener}
        certificates = self.certificates
        if listener.endswith("ssl"):
            fields["ca_file"] = str(certificates.ca)
        if listener == "ssl":
            fields |= {"cert_file": str(certificates.client), "key_file": str(certificates.client_key)}
        elif changes.get("mechanism") != "OAUTHBEARER":
            user = changes.get("username", "jitr")
            fields |= {"mechanism": "SCRAM-SHA-512", "username": user, "password": PASSWORDS.get(user, "pw")}
        return KafkaSettings(**{**fields, **changes})

    def allow(self, user: str, rights: Iterable[tuple[str, str, str]]) -> None:
        """Give a user exactly these rights: (topic, group or cluster; name; operation)."""
        self._delete(user)
        bindings = [_binding(user, kind, name, operation) for kind, name, operation in rights]
        for future in self.admin.create_acls(bindings).values() if bindings else ():
            future.result(30)

    def _delete(self, user: str) -> None:
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            f"User:{user}",
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for future in self.admin.delete_acls([everything]).values():
            future.result(30)


def _binding(user: str, kind: str, name: str, operation: str) -> AclBinding:
    resource = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.BROKER}
    return AclBinding(
        resource[kind],
        name,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[operation.upper()],
        AclPermissionType.ALLOW,
    )


def settings_at(kafka: KafkaSettings, folder: Path) -> Settings:
    """Settings under a prefix of their own, with two partitions."""
    fields = {name: getattr(kafka, name) for name in kafka.__struct_fields__}
    own = KafkaSettings(
        **{**fields, "prefix": f"s{uuid4().hex[:8]}.", "partitions": 2, "session_timeout_s": 6.0}
    )
    return Settings(
        kafka=own,
        state=StateSettings(root=str(folder / "state")),
        worker=WorkerSettings(port=0),
        gateway=GatewaySettings(publish_linger_ms=5),
    )


def call(n: int) -> Call:
    return Call(id=f"c{n}", model="m", messages=(Message(role="user", content=f"hello {n}"),), time=1e9)


async def committed(settings: Settings, agent: str, source: str = "calls") -> int:
    """How many records of a topic an agent has committed."""
    admin: Any = AIOKafkaAdminClient(**client_options(settings.kafka))
    try:
        await admin.start()
        at = await admin.list_consumer_group_offsets(f"{settings.kafka.prefix}jitr-{agent}")
        topic = getattr(settings.topics, source)
        places = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
        return sum(at[tp].offset for tp in places if tp in at)
    finally:
        await admin.close()
