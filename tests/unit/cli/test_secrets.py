"""No password and no key of a URL is ever printed or logged, whatever fails."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from jitr.schemas.urls import safe_text, safe_url

PASSWORDS = {name: f"Pa55-{name}" for name in ("redis", "llm", "query", "state")}
COMMANDS = [
    ["config", "show"], ["config", "validate"], ["doctor"], ["tasks"], ["routes"], ["dlq", "list"],
    ["ledger"],
    ["gateway", "--port", "0"], ["worker", "--port", "0"], ["up", "--port", "0"],
]  # fmt: skip


def environ(tmp_path, **more):
    ours = {k: v for k, v in os.environ.items() if not k.startswith("JITR_")}
    return (
        ours
        | {
            "REDIS_URL": f"redis://me:{PASSWORDS['redis']}@127.0.0.1:1/0?password={PASSWORDS['query']}",
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "OPENAI_BASE_URL": f"http://me:{PASSWORDS['llm']}@127.0.0.1:1/v1?api_key={PASSWORDS['query']}",
            "JITR_STATE__ROOT": f"memory://me:{PASSWORDS['state']}@{tmp_path.name}",
            "LOG_LEVEL": "DEBUG",
            "PYTHONUNBUFFERED": "1",
        }
        | more
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_prints_no_password(command, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "jitr.cli", *command],
        env=environ(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        said = []
        for line in process.stdout:
            said.append(line)
            if "the gateway serves" in line:
                process.send_signal(signal.SIGTERM)
        process.wait(60)
    text = "".join(said)
    assert text.strip(), "it says something"
    assert not [name for name, password in PASSWORDS.items() if password in text], text


def test_config_show_hides_them_and_shows_the_rest(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jitr.cli", "config", "show"],
        env=environ(tmp_path), cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    shown = json.loads(done.stdout)
    assert shown["redis"]["url"] == "redis://me:***@127.0.0.1:1/0?password=***"
    assert shown["gateway"]["upstream"] == "http://me:***@127.0.0.1:1/v1?api_key=***"


def test_credentials_in_kafkas_address_are_refused_and_not_shown(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "jitr.cli", "config", "validate"],
        env=environ(tmp_path, KAFKA_BOOTSTRAP_SERVERS="me:Pa55-kafka@127.0.0.1:1"),
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "kafka.bootstrap is HOST:PORT" in done.stderr
    assert "Pa55" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:pw@host", "redis://:***@host"),
        ("redis://me:p@w/d#@host:1", "redis://me:***@host:1"),
        ("redis://me:p,w@host", "redis://me:***@host"),
        ("https://host/v1?key=a@b", "https://***"),
        ("https://host/v1?", "https://host/v1?"),
        ("https://host/v1?abc", "https://host/v1?***"),
        ("s3://key:secret@bucket/a?x=1&y=2#z", "s3://key:***@bucket/a?x=***&y=***#z"),
        ("127.0.0.1:9092,127.0.0.2:9092", "127.0.0.1:9092,127.0.0.2:9092"),
        (".jitr/state", ".jitr/state"),
        ("", ""),
    ],
)
def test_a_url_is_safe(url, shown):
    assert safe_url(url) == shown
    assert safe_text(f"it is ({url}), said 'x'").startswith("it is (" if "://" in url else "")
    assert not re.search(r"pw|p@w|secret", safe_text(f"at {url}: no")) or "://" not in url
