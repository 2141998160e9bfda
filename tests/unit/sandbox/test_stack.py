"""What a stack's processes are told, and by whom."""

import json
import os
import signal
import subprocess
import sys

import msgspec
import psutil
import pytest

from jitr.sandbox.keys import own_keys
from jitr.sandbox.stack import Stack, _without_secrets
from jitr.schemas.sections import GatewaySettings, SigningSettings
from jitr.schemas.settings import Settings
from jitr.schemas.signing import Signing


def test_the_shells_own_servers_do_not_reach_the_processes_of_a_stack(tmp_path, monkeypatch):
    for name, value in {
        "OPENAI_BASE_URL": "https://a.real.llm/v1",
        "REDIS_URL": "redis://a.real.redis/0",
        "JITR_WORKER__PORT": "0",
        "KEPT": "yes",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "tell.py").write_text("import json, os; print(json.dumps(dict(os.environ)))")
    stack = Stack(Settings(), tmp_path / "run", kafka=False, redis=False)
    child = stack._python("tell", "tell", environ={"REDIS_URL": "redis://given/0"})
    child.process.wait()
    told = json.loads(child.said())
    stack.stop()
    assert (told["KEPT"], told["REDIS_URL"]) == ("yes", "redis://given/0")
    assert "OPENAI_BASE_URL" not in told and "JITR_WORKER__PORT" not in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stack_that_is_ended_while_it_starts_leaves_nothing_behind(tmp_path, number):
    (tmp_path / "tmp").mkdir()
    code = (
        "import sys; from pathlib import Path\n"
        "from jitr.sandbox.stack import Stack; from jitr.schemas.settings import Settings\n"
        "say = lambda text: print(text, flush=True)\n"
        "with Stack(Settings(), Path(sys.argv[1]), kafka=True, redis=True, say=say): pass\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
    )
    assert parent.stdout is not None
    for line in parent.stdout:
        if b"broker" in line:
            break
    # Redis answers by now, and the broker is on its way
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    parent.send_signal(number)
    parent.wait(20)
    parent.stdout.close()
    assert parent.returncode == (128 + number if number == signal.SIGTERM else -number)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_keys_of_the_user_stand_in_no_file_and_reach_the_processes(tmp_path):
    keys = SigningSettings(gateway_keys="g" * 32, worker_keys="w" * 32, people={"ada": "a" * 32})
    gateway = GatewaySettings(callers="keys", upstream_key="sk-upstream")
    settings = Settings(gateway=gateway, signing=keys)
    shown, environ = _without_secrets(settings)
    written = msgspec.json.encode(shown).decode()
    assert not any(secret in written for secret in ("ggg", "www", "aaa", "sk-upstream"))
    file = tmp_path / "jitr.json"
    file.write_text(written)
    assert Settings.load(file, environ=environ) == settings


def test_a_sandbox_makes_keys_for_its_owner_alone_and_keeps_them(tmp_path):
    made = own_keys(tmp_path, "ada")
    Signing(Settings(signing=made)).must_serve_a_worker()
    assert (tmp_path / "signing.json").stat().st_mode & 0o777 == 0o600
    assert own_keys(tmp_path, "ada") == made and own_keys(tmp_path / "other", "ada") != made
