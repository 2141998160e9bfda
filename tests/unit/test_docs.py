"""What README and docs say is what the code does, and what code and docs cite is there."""

import ast
import doctest
import io
import re
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jitr.cli.reference import pages
from jitr.models.promise import audits, blind, cusum, demotion_test, hold, shadow
from jitr.router.publishing.drops import Drop
from jitr.schemas.policy import DEMO, Policy
from jitr.schemas.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GUARANTEE = ROOT / "docs" / "guarantee.md"
CODE = ("schemas", "models", "agents", "router", "sandbox", "cli", "benchmarks", "tests", "deploy")
# a page, with a heading of it in quotes; a file of ours by its path; a module, or what stands in it
CITED_FILE = re.compile(
    r'(?<![\w/.<{-])((?:[\w.-]+/)*[\w-]+\.md|(?:[\w-]+/)+\w+\.(?:py|yaml))\b(?:, "([^"]+)")?'
)
CITED_NAME = re.compile(r"\bjitr\.(?:schemas|models|agents|router|sandbox|cli)(?:\.\w+)+")
# no page of ours: jitr writes one for each surrogate
WRITTEN = ("card.md",)


def test_the_reference_of_the_command_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == pages(), "run `make docs`"


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
    code = "".join((ROOT / file).read_text() for file in ("agents/runtime/metrics.py", "router/metrics.py"))
    named = {re.sub("_total$", "", name) for name in re.findall(r"`(jitr_[a-z_]+)", page)}
    assert named == set(re.findall(r'"(jitr_[a-z_]+)"', code))


def test_the_metrics_page_tells_why_calls_are_dropped() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    (table,) = re.findall(r"Why a call is dropped:\n\n(.*?)\n\n", page, re.S)
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert {reason for row in rows for reason in re.findall("`([a-z_]+)`", row)} == set(Drop)


def test_every_file_section_and_module_that_code_cites_is_there() -> None:
    files = [file for folder in CODE for file in sorted((ROOT / folder).rglob("*.py"))]
    wrong = [f"{f.relative_to(ROOT)} cites {m}" for f in files for text in told(f) for m in missing(text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "AGENTS.md"], ids=lambda p: p.name)
def test_every_file_and_module_that_a_page_names_is_there(page: Path) -> None:
    assert not list(missing(" ".join(re.findall("`([^`\n]+)`", page.read_text()))))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_section_that_a_page_links_is_there(page: Path) -> None:
    for name, anchor in re.findall(r"\]\(([\w./-]*\.md)?#([^)\s]+)\)", page.read_text()):
        there = headings(page.parent / name if name else page)
        slugs = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in there]
        assert anchor in slugs, f"{page.name} links to #{anchor} of {name or page.name}"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('see docs/guarantee.md, "Hold", and guarantee.md', []),
        ("PROMISE.md, step 7", ["PROMISE.md"]),
        ("docs/guarantees.md", ["docs/guarantees.md"]),
        ('docs/guarantee.md, "Dead"', ['docs/guarantee.md, "Dead"']),
        ("`models/promise/live.py` and `models/promise/dead.py`", ["models/promise/dead.py"]),
        ("`jitr.models.promise.live.LivePromise`, `jitr.models.promise.live`", []),
        ("`jitr.models.promise.dead` and `jitr.models.promise.live.Dead`",
         ["jitr.models.promise.dead", "jitr.models.promise.live.Dead"]),
        ("the topic `jitr.routes`, a setting.md5, `card.md`", []),
    ],
)  # fmt: skip
def test_a_citation_of_what_is_not_there_is_found(text: str, wrong: list[str]) -> None:
    assert list(missing(text)) == wrong


def told(file: Path) -> Iterator[str]:
    """What a module tells its reader, each docstring and comment in one line."""
    text = file.read_text()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield " ".join(node.value.value.split())
    lines: dict[int, list[str]] = {}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            # a comment that goes on is one
            lines[row] = [*lines.pop(row - 1, []), token.string.lstrip("#: ")]
    yield from map(" ".join, lines.values())


def missing(text: str) -> Iterator[str]:
    """What a text cites and is not there."""
    for file, section in CITED_FILE.findall(text):
        page = next((p for p in (ROOT / file, ROOT / "docs" / file) if p.is_file()), None)
        if page is None and file not in WRITTEN:
            yield file
        elif page is not None and section and section not in headings(page):
            yield f'{file}, "{section}"'
    yield from (name for name in CITED_NAME.findall(text) if not resolves(name))


@cache
def headings(page: Path) -> tuple[str, ...]:
    """The headings of a page."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return tuple(re.findall(r"^#+ (.+)$", text, re.M))


@cache
def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or stands in one."""
    parts = name.split(".")[1:]
    for k in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:k])
        if path.is_dir():
            return k == len(parts)
        if (module := path.with_suffix(".py")).is_file():
            names = re.findall(r"^(?:class |def |async def |    def |)(\w+)\b", module.read_text(), re.M)
            return all(part in names for part in parts[k:])
    return False


def test_the_guarantee_shows_the_defaults_of_the_policy_and_of_the_demo() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", GUARANTEE.read_text(), re.M)
    assert len(rows) > 10
    for name, default, demo in rows:
        assert (float(default), float(demo)) == (getattr(Policy(), name), getattr(DEMO, name)), name


def test_the_guarantee_states_the_constants_of_the_code() -> None:
    page = " ".join(GUARANTEE.read_text().split())
    for stated in (
        f"lambda_j = (0.05 / d0) · {numbers(demotion_test._BETS)}",
        f"w = {numbers(demotion_test._WEIGHTS, 2)}",
        f"inject = {demotion_test._WITH_CALLS} / demotion_horizon_calls for each accepted call "
        f"since the last bet, and {demotion_test._PER_HOLD} at the beginning of a hold, "
        f"{demotion_test._HOLDS} times a horizon",
        f"b_k = target + (1 - target) · {numbers(shadow._GRID)}",
        f"at most {shadow._HIGHEST}",
        f"after {shadow._PATIENCE} times the forecast calls, at least {shadow._LEAST_RUN}",
        "each drop `d` of {}, {} and {:.2f} below the target".format(*cusum._DROPS),
        f"the older ones fading beyond {cusum._MEMORY:,.0f}",
        f"raises the threshold by {cusum._BACK_OFF}, by {cusum._BACK_OFF_CAP:g} at most",
        f"min({audits._MOST}, audit_floor · exp(C))",
        f"being judged when it is {blind.LATE_S:g} s old",
        f"At {blind.BAR:g} the route is *blind*",
        f"disagreement of the calls scored is at most `1 - target + {hold._SLACK}`",
    ):
        assert stated in page, stated


def numbers(values: Iterable[float], digits: int = 0) -> str:
    """As the page writes a list of numbers."""
    return "{" + ", ".join(f"{v:.{digits}f}" if digits else f"{v:g}" for v in values) + "}"


def test_the_examples_of_the_guarantee_print_what_it_says() -> None:
    blocks = "\n".join(re.findall(r"^```pycon\n(.*?)^```", GUARANTEE.read_text(), re.M | re.S))
    examples = doctest.DocTestParser().get_doctest(blocks, {}, "guarantee.md", str(GUARANTEE), 0)
    assert len(examples.examples) > 10
    assert doctest.DocTestRunner().run(examples).failed == 0
