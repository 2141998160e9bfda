"""What README and docs say is what the code does."""

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from jitr.cli.main import VERBS, cli
from jitr.cli.reference import pages
from jitr.router.drops import Drop
from jitr.schemas.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_reference_of_the_command_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == pages(), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_verb_and_option_that_is_named_exists(page: Path) -> None:
    code = re.findall(r"`(jitr [^`]*)`", page.read_text()) + re.findall(
        r"^(jitr .*)$", page.read_text(), re.M
    )
    root = click.Context(cli, info_name="jitr")
    for line in code:
        words = line.partition("#")[0].split()[1:]
        if not words or words[0].startswith("-"):
            continue
        assert words[0] in VERBS, line
        command = cli.get_command(root, words[0])
        if isinstance(command, click.Group) and len(words) > 1 and words[1][0].isalpha():
            command = command.get_command(root, words[1])
        assert command is not None, line
        known = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {w for w in words if w.startswith("--")} <= known | {"--help"}, line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_pictures_of_ours_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_settings_page_shows_every_setting_with_its_default() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "settings.md").read_text(), re.S)
    shown = tomllib.loads(block)
    file = {k: v for k, v in shown.items() if k not in ("overrides", "prices")}
    assert msgspec.convert(file, Settings) == Settings()
    assert names(shown) >= names_of(Settings) - {"kafka.partitions"}
    assert set(shown["overrides"][0]) == {"tenant", "task", "set"}


def names(tree: dict[str, Any], before: str = "") -> set[str]:
    inner = {n for k, v in tree.items() if isinstance(v, dict) for n in names(v, f"{before}{k}.")}
    return {before + k for k in tree} | inner


def names_of(kind: Any, before: str = "") -> set[str]:
    found = set()
    for field in msgspec.structs.fields(kind):
        found.add(before + field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= names_of(field.type, f"{before}{field.name}.")
    return found


def test_the_metrics_page_names_every_metric_and_no_other() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    code = "".join((ROOT / folder / "metrics.py").read_text() for folder in ("agents", "router"))
    named = {re.sub("_total$", "", name) for name in re.findall(r"`(jitr_[a-z_]+)", page)}
    assert named == set(re.findall(r'"(jitr_[a-z_]+)"', code))


def test_the_metrics_page_tells_why_calls_are_dropped() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    (table,) = re.findall(r"Why a call is dropped:\n\n(.*?)\n\n", page, re.S)
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert {reason for row in rows for reason in re.findall("`([a-z_]+)`", row)} == set(Drop)
