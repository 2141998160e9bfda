"""Settings: precedence, secrets from the environment, and errors that name the mend."""

from pathlib import Path

import pytest

from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings


def write(path: Path, text: str) -> Path:
    file = path / "jitr.toml"
    file.write_text(text)
    return file


def test_flag_beats_environment_beats_file_beats_default(tmp_path: Path) -> None:
    file = write(tmp_path, '[kafka]\nbootstrap = "file:1"\nprefix = "file."\n[policy]\ntarget = 0.8\n')
    environ = {
        "JITR_KAFKA__BOOTSTRAP": "env:1",
        "KAFKA_BOOTSTRAP_SERVERS": "std:1",
        "JITR_POLICY__TARGET": "0.85",
    }
    settings = Settings.load(file, environ=environ, flags={"policy.target": 0.9, "redis.url": None})
    assert settings.kafka.bootstrap == "env:1"
    assert settings.kafka.prefix == "file."
    assert settings.policy.target == 0.9
    assert settings.redis.url == "redis://127.0.0.1:6379/0"


def test_a_secret_is_taken_from_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, '[redis]\nurl = "redis://:${REDIS_PASSWORD}@h:1/0"\n')
    assert Settings.load(file, environ={"REDIS_PASSWORD": "s"}).redis.url == "redis://:s@h:1/0"
    with pytest.raises(ConfigError, match=r"REDIS_PASSWORD.*export it"):
        Settings.load(file, environ={})


def test_an_unknown_key_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key `kafka.bootstap`; did you mean `bootstrap`\?"):
        Settings.load(write(tmp_path, '[kafka]\nbootstap = "x"\n'), environ={})


def test_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="target"):
        Settings.load(environ={"JITR_POLICY__TARGET": "1.5"})


def test_policy_is_per_tenant_and_per_task(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '[[overrides]]\ntask = "t1"\nset = { target = 0.99 }\n'
        '[[overrides]]\ntenant = "acme"\nset = { target = 0.9, approval = "auto" }\n',
    )
    settings = Settings.load(file, environ={})
    assert settings.policy_of("other", "t2").target == 0.95
    assert settings.policy_of("acme", "t2").target == 0.9
    ours = settings.policy_of("acme", "t1")
    assert (ours.target, ours.approval) == (0.99, "auto")


def test_a_wrong_override_fails_when_the_settings_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Settings.load(write(tmp_path, "[[overrides]]\nset = { targte = 0.9 }\n"), environ={})


def test_own_prices_stand_beside_the_known_ones(tmp_path: Path) -> None:
    settings = Settings.load(write(tmp_path, "[prices.mine]\ninput = 1.0\noutput = 2.0\n"), environ={})
    assert settings.prices["mine"].cost_usd(1_000_000, 0) == 1.0
    assert "gpt-4.1" in settings.prices


def test_a_key_in_the_place_of_its_hash_is_an_error_that_shows_the_mend_and_not_the_key(
    tmp_path: Path,
) -> None:
    for key in ("sk-plain-secret", "A" * 64, "a" * 63, "a" * 65):
        file = write(tmp_path, f'[gateway.tenants]\n"{key}" = "acme"\n')
        with pytest.raises(ConfigError, match=r"gateway\.tenants: .*sha256sum") as error:
            Settings.load(file, environ={})
        assert key not in str(error.value)
    file = write(tmp_path, f'[gateway.tenants]\n{"a" * 64} = "acme"\n')
    assert Settings.load(file, environ={}).gateway.tenants == {"a" * 64: "acme"}


def test_what_would_give_the_upstreams_key_to_everybody_is_refused(tmp_path: Path) -> None:
    environ = {"JITR_GATEWAY__UPSTREAM_KEY": "sk-up"}
    with pytest.raises(ConfigError, match="whoever reaches the gateway could use it") as error:
        Settings.load(environ=environ)
    assert "sk-up" not in str(error.value)
    assert Settings.load(environ={**environ, "JITR_GATEWAY__CALLERS": "keys"}).gateway.upstream_key == "sk-up"
    file = write(tmp_path, f'[gateway]\ncallers = "keys"\n[gateway.tenants]\n{"a" * 64} = "acme"\n')
    with pytest.raises(ConfigError, match="each key has its tenant"):
        Settings.load(file, environ={})


def test_a_list_in_the_environment_is_its_words() -> None:
    environ = {"JITR_GATEWAY__ALLOWED_HOSTS": "a.example, b.example:80"}
    assert Settings.load(environ=environ).gateway.allowed_hosts == ("a.example", "b.example:80")


def test_the_environment_may_name_the_file_and_a_file_that_is_given_counts_before_it(tmp_path):
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    named.write_text('log_level = "DEBUG"')
    given.write_text('log_level = "ERROR"')
    environ = {"JITR_CONFIG": str(named)}
    assert Settings.load(environ=environ).log_level == "DEBUG"
    assert Settings.load(given, environ=environ).log_level == "ERROR"
    assert Settings.load(environ={**environ, "LOG_LEVEL": "INFO"}).log_level == "INFO"
