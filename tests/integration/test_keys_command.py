"""`jitr keys` against a real Redis: what it shows, what it refuses, and its exit codes."""

import json
from collections.abc import Callable

import pytest

from jitr.cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("JITR_GATEWAY__CALLERS", "keys")

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["keys", *arguments])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return call


def test_a_key_is_shown_once_and_known_by_its_id_from_then_on(run: Run) -> None:
    code, out, err = run("create", "--tenant", "acme", "--name", "checkout", "--requests-per-min", "60")
    shown = out.strip()
    assert code == 0 and shown.startswith("sk-jitr-") and len(shown) > 50
    id = shown.split("-")[2]
    assert id in err and shown not in err
    for arguments in (("list",), ("list", "--json"), ("list", "--all", "--json")):
        code, out, err = run(*arguments)
        assert code == 0 and id in out and "checkout" in out
        assert shown not in out and "digest" not in out
    (row,) = json.loads(run("list", "--json")[1])
    assert (row["tenant"], row["requests_per_min"], row["usd_per_day"], row["usd_today"]) == (
        "acme",
        60,
        None,
        0.0,
    )


def test_a_key_is_revoked_once_and_a_key_that_is_not_there_not_at_all(run: Run) -> None:
    id = json.loads(run("create", "--json")[1])["record"]["id"]
    assert run("revoke", id, "--dry-run")[0] == 0
    assert len(json.loads(run("list", "--json")[1])) == 1
    code, out, _ = run("revoke", id, "--json")
    assert code == 0 and json.loads(out)["revoked"] is True
    assert json.loads(run("list", "--json")[1]) == []
    assert json.loads(run("list", "--json", "--all")[1])[0]["revoked"] is not None
    code, _, err = run("revoke", id)
    assert code == 4 and "revoked already" in err
    code, _, err = run("revoke", "0000000000", "--dry-run")
    assert code == 3 and "jitr keys list" in err


def test_a_dry_run_makes_nothing(run: Run) -> None:
    code, out, _ = run("create", "--json", "--dry-run")
    made = json.loads(out)
    assert code == 0 and made["key"] is None and made["created"] is False
    assert json.loads(run("list", "--json")[1]) == []


@pytest.mark.parametrize("bound", [("--requests-per-min", "0"), ("--usd-per-day", "-1"), ("--tenat", "x")])
def test_a_bound_that_is_none_is_wrong_usage(bound: tuple[str, str], run: Run) -> None:
    assert run("create", *bound)[0] == 2


def test_without_redis_it_says_so_and_prints_no_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:9/0")
    code, _, err = run("list")
    assert code == 5 and "does not answer" in err and "hunter2" not in err


def test_a_key_that_no_gateway_asks_for_is_said_to_be_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JITR_GATEWAY__CALLERS")
    assert 'gateway.callers = "keys"' in run("create")[2]
