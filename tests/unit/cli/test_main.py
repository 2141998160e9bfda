"""The command without a server: help, exit codes, and what is said where something is missing."""

import click
import pytest

from jitr.cli import main as command
from jitr.cli.main import VERBS, cli, main
from jitr.schemas.errors import ConfigError, NotFoundError, TransitionError, UnavailableError


def helps(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    paths = []
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        paths.append((*path, name))
        if isinstance(found, click.Group):
            paths += helps(found, (*path, name))
    return paths


def test_every_verb_says_what_it_does(capsys):
    for path in helps(cli):
        with pytest.raises(SystemExit) as ended:
            main([*path, "--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert said.startswith("Usage: ")
        assert len(said.splitlines()[2].strip()) > 10, path


def test_the_list_of_verbs_says_the_exit_codes_and_loads_no_verb(capsys, monkeypatch):
    monkeypatch.setattr(command.importlib, "import_module", lambda name: pytest.fail(f"{name} is loaded"))
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(verb in said for verb in VERBS)
    assert "Exit codes" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("no"), 1),
        (NotFoundError("no"), 3),
        (TransitionError("no"), 4),
        (UnavailableError("no"), 5),
        (click.UsageError("no"), 2),
        (PermissionError(13, "Permission denied", "/state"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_kind_of_failure_has_its_exit_code_and_one_line(error, code, monkeypatch, capsys):
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(command.Verbs, "get_command", lambda *_: failing)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert ended.value.code == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err


def test_a_verb_whose_packages_are_missing_names_the_extra(monkeypatch, capsys):
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'rich'", name="rich")

    monkeypatch.setattr(command.importlib, "import_module", absent)
    with pytest.raises(SystemExit) as ended:
        main(["routes", "--json"])
    assert ended.value.code == 1
    assert "pip install" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", [["gateway"], ["worker"], ["up"], ["sandbox", "broker"], ["sandbox", "redis"], ["sandbox", "llm"]]
)
def test_a_port_that_is_none_is_wrong_usage(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*verb, "--port", "70000"])
    assert ended.value.code == 2
    assert "0<=x<=65535" in capsys.readouterr().err
