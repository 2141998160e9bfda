"""Commands that README, docs and examples show are ones that can be typed."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from jitr.cli.main import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
TARGETS = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
OPERATORS = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>"}
SHELLS = r"^```(bash|sh|shell|console)\n(.*?)^```"


def lines_of(page: str) -> Iterator[str]:
    """The command lines of a page: blocks of a shell, and what stands in the text between backticks."""
    for language, block in re.findall(SHELLS, page, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if language != "console":
                yield line
            elif line.startswith("$ "):
                yield line[2:]
    yield from re.findall(r"`((?:jitr|make) [^`]*)`", page)


def commands_of(line: str) -> Iterator[list[str]]:
    """The simple commands of a line of a shell, without variables that are set before them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    command: list[str] = []
    for word in [*lexer, ";"]:
        if word not in OPERATORS:
            if command or not re.match(r"\w+=", word):
                command.append(word)
        elif command:
            yield command
            command = []


def wrong(command: list[str]) -> str | None:
    """Why a command cannot be typed; None where it can, or is none of ours."""
    name, *rest = command
    if name == "jitr":
        return not_a_verb(rest)
    if name == "make":
        asked = [word for word in rest if "=" not in word]
        return next((f"no target {word}" for word in asked if word not in TARGETS), None)
    if name in ("python", "python3") and rest[:1] == ["-m"]:
        ours = rest[1].startswith("jitr") and importlib.util.find_spec(rest[1]) is None
        return f"no module {rest[1]}" if ours else None
    if name in ("python", "python3") and rest[0].startswith(("examples/", "benchmarks/")):
        return None if (ROOT / rest[0]).is_file() else f"no file {rest[0]}"
    return None


def not_a_verb(words: list[str]) -> str | None:
    command: click.Command = cli
    while True:
        context = click.Context(command, info_name="jitr")
        try:
            _, rest, _ = command.make_parser(context).parse_args(list(words))
        except click.UsageError as error:
            return error.format_message()
        if not isinstance(command, click.Group) or not rest:
            return f"{rest[0]!r} is one too many" if rest else None
        inner = command.get_command(context, rest[0])
        if inner is None:
            return f"no verb {rest[0]!r}"
        command, words = inner, rest[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_each_command_of_a_page_can_be_typed(page: Path) -> None:
    for line in lines_of(page.read_text()):
        for command in commands_of(line):
            assert (why := wrong(command)) is None, f"{page.name}: {line}: {why}"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_each_command_of_an_example_can_be_typed(program: Path) -> None:
    said = program.read_text().split('"""')[1]
    lines = re.findall(r"^    (\S.*)$", said, re.M)
    assert lines, "it says how it is run"
    for line in lines:
        for command in commands_of(line):
            assert (why := wrong(command)) is None, f"{line}: {why}"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("jitr scna calls.jsonl", "no verb 'scna'"),
        ("cat x | jitr scan x --htlm y", "No such option: --htlm"),
        ("jitr tasks lsit", "no verb 'lsit'"),
        ("export A=b && jitr scan x y", "'y' is one too many"),
        ("A=b make chekc", "no target chekc"),
        ("python examples/none.py", "no file examples/none.py"),
        ("python -m jitr.none", "no module jitr.none"),
    ],
)
def test_what_cannot_be_typed_is_found(line: str, why: str) -> None:
    (found,) = [w for command in commands_of(line) if (w := wrong(command)) is not None]
    assert found.startswith(why)
