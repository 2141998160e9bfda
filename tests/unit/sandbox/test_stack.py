"""What a stack's processes are told, and by whom."""

import json

from jitr.sandbox.stack import Stack
from jitr.schemas.settings import Settings


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
