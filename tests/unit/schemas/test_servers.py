"""Settings of Kafka and Redis that do not fit together are errors that name the key and the mend."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from jitr.cli.verbs.config import without_secrets
from jitr.schemas.errors import ConfigError
from jitr.schemas.servers import SECRETS
from jitr.schemas.settings import Settings

SCRAM = {"security": "sasl_ssl", "mechanism": "SCRAM-SHA-256", "username": "u", "password": "p"}
OAUTH = {
    "security": "sasl_ssl",
    "mechanism": "OAUTHBEARER",
    "oauth_token_url": "https://login.example/token",
    "client_id": "c",
    "client_secret": "s",
}
TLS = {"url": "rediss://h:1"}
SENTINEL = {"sentinels": "a:1,b:2", "sentinel_master": "m"}


def load(section: str, keys: dict[str, str]) -> Settings:
    return Settings.load(environ={f"JITR_{section}__{key}".upper(): value for key, value in keys.items()})


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("kafka", {}),
        ("kafka", SCRAM),
        ("kafka", {**SCRAM, "security": "sasl_plaintext"}),
        ("kafka", {**SCRAM, "ca_file": "ca", "cert_file": "c", "key_file": "k", "key_password": "p"}),
        ("kafka", OAUTH),
        ("kafka", {**OAUTH, "scope": "x"}),
        ("kafka", {**OAUTH, "oauth_token_url": "http://127.0.0.1:1/token"}),
        ("kafka", {"security": "ssl", "check_hostname": "false"}),
        ("redis", {**TLS, "ca_file": "ca", "cert_file": "c", "key_file": "k"}),
        ("redis", SENTINEL),
        ("redis", {**SENTINEL, "sentinel_password": "p"}),
        ("redis", {"cluster": "true"}),
    ],
)
def test_what_fits_together_is_taken(section: str, keys: dict[str, str]) -> None:
    load(section, keys)


@pytest.mark.parametrize(
    ("section", "keys", "says"),
    [
        ("kafka", {"security": "sasl_ssl"}, "needs kafka.mechanism: PLAIN, SCRAM"),
        ("kafka", {"mechanism": "PLAIN"}, "kafka.mechanism is set, which is for kafka.security = "),
        ("kafka", {**SCRAM, "password": ""}, "needs kafka.password; set it from the environment"),
        ("kafka", {**SCRAM, "username": ""}, "needs kafka.username"),
        (
            "kafka",
            {**SCRAM, "client_id": "c"},
            'kafka.client_id is set, which is for kafka.mechanism = "OAUTH',
        ),
        (
            "kafka",
            {**OAUTH, "username": "u"},
            'kafka.username is set, which is for kafka.mechanism = "PLAIN"',
        ),
        ("kafka", {**OAUTH, "client_secret": ""}, "needs kafka.client_secret; set it from the environment"),
        ("kafka", {**OAUTH, "oauth_token_url": "http://login.example/"}, "begins with https://"),
        ("kafka", {"ca_file": "ca"}, 'kafka.ca_file is set, which is for kafka.security = "ssl"'),
        ("kafka", {"check_hostname": "false"}, 'kafka.check_hostname is for kafka.security = "ssl"'),
        (
            "kafka",
            {"security": "ssl", "cert_file": "c"},
            "kafka.cert_file and kafka.key_file belong together",
        ),
        ("kafka", {"security": "ssl", "key_password": "p"}, "kafka.key_password is for kafka.key_file only"),
        ("kafka", {"security": "tls"}, "Invalid enum value 'tls'"),
        (
            "redis",
            {"ca_file": "ca"},
            "redis.ca_file is set, which is for a redis.url that begins with rediss://",
        ),
        ("redis", {"check_hostname": "false"}, "redis.check_hostname is for"),
        ("redis", {**TLS, "key_file": "k"}, "redis.cert_file and redis.key_file belong together"),
        ("redis", {**SENTINEL, "cluster": "true"}, "exclude each other"),
        ("redis", {"sentinels": "a:1"}, "belong together: set both or none"),
        ("redis", {**SENTINEL, "sentinels": "a"}, "'a' was given, HOST:PORT was expected"),
        ("redis", {"sentinel_password": "p"}, "redis.sentinel_password is set, which is for redis.sentinels"),
        ("redis", {"cluster": "true", "url": "redis://h:1/3"}, "database 0 only"),
        ("redis", {"cluster": "true", "url": "unix:///s"}, "that is no cluster, and has no sentinels"),
    ],
)
def test_what_does_not_is_named_with_its_mend(section: str, keys: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as told:
        load(section, keys)
    assert says in str(told.value)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_is_written_out_in_a_file_is_an_error(secret: str, tmp_path: Path) -> None:
    section, _, key = secret.partition(".")
    file = tmp_path / "jitr.toml"
    file.write_text(f'[{section}]\n{key} = "hunter2"\n')
    with pytest.raises(ConfigError, match=r"secrets stand in the environment only: write \"\$\{") as told:
        Settings.load(file, environ={})
    assert "hunter2" not in str(told.value)
    file.write_text(f'[{section}]\n{key} = ""\n')
    Settings.load(file, environ={})


def test_a_secret_from_the_environment_is_taken_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "jitr.toml"
    file.write_text(
        '[kafka]\nsecurity = "sasl_ssl"\nmechanism = "PLAIN"\nusername = "u"\npassword = "${PW}"\n'
        'cert_file = "c"\nkey_file = "k"\nkey_password = "${PW}"\n'
        '[redis]\nurl = "rediss://u:${PW}@h:1"\nsentinels = ["s:1"]\nsentinel_master = "m"\n'
        'sentinel_password = "${PW}"\n'
    )
    settings = Settings.load(file, environ={"PW": "hunter2"})
    assert settings.kafka.password == settings.redis.sentinel_password == "hunter2"
    shown: Any = without_secrets(msgspec.to_builtins(settings))
    for said in (str(shown), repr(settings), settings.kafka.shown, settings.redis.shown):
        assert "hunter2" not in said
