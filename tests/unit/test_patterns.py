"""No regular expression of ours takes more than its share of time, whatever text it is given."""

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stage.worst_texts import superlinear, units

from jitr.models.redaction.keys import KEYS
from jitr.models.redaction.named import NAMED
from jitr.models.redaction.people import ADDRESSES, PEOPLE
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.sections import RedactionSettings
from jitr.schemas.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDERS = ("schemas", "models", "router", "agents", "cli")
METHODS = ("match", "fullmatch", "search", "sub", "subn", "finditer", "findall", "split")
# these need what the base install lacks; they read files of ours
APART = ("models/encoders/", "models/surrogates/", "models/training/")


def modules() -> Iterator[tuple[str, Path]]:
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield "jitr." + ".".join(file.relative_to(ROOT).with_suffix("").parts), file


def uses() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Every pattern in a module's names or a call of `re`, with each way in which it is used."""
    sources = {file: file.read_text() for _, file in modules()}
    for name, file in modules():
        source = sources[file]
        if not re.search(r"^import re$", source, re.M):
            continue
        for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
            function = call.func
            if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
                continue
            if (
                function.value.id == "re"
                and function.attr in METHODS
                and isinstance(call.args[0], ast.Constant)
            ):
                flags = re.M if "re.M" in ast.unparse(call) else 0
                yield f"{name}:{call.lineno}", re.compile(call.args[0].value, flags), function.attr
        for held, value in vars(importlib.import_module(name)).items():
            if isinstance(value, re.Pattern):
                readers = [source] if held.startswith("_") else list(sources.values())
                used = {
                    m for text in readers for m in re.findall(rf"\b{held}\.({'|'.join(METHODS)})\b", text)
                }
                for method in sorted(used):
                    yield f"{name}.{held}", value, method
            elif isinstance(getattr(value, "__self__", None), re.Pattern):
                yield f"{name}.{held}", value.__self__, value.__name__


def working(pattern: re.Pattern[Any], method: str) -> Callable[[str], object]:
    use = getattr(pattern, method)
    if method in ("sub", "subn"):
        run: Callable[[Any], object] = lambda text: use("" if isinstance(text, str) else b"", text)  # noqa: E731
    elif method == "finditer":
        run = lambda text: sum(1 for _ in use(text))  # noqa: E731
    else:
        run = use
    if isinstance(pattern.pattern, bytes):
        return lambda text: run(text.encode())
    return run


def text_of(pattern: re.Pattern[Any]) -> str:
    return pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")


FOUND = list(uses())


def test_the_patterns_of_the_project_are_all_seen() -> None:
    assert len(FOUND) > 25
    assert {"jitr.models.answers.normalize._FENCE", "jitr.models.answers.numbers._QUANTITY"} <= {
        n for n, *_ in FOUND
    }


@pytest.mark.parametrize(("name", "pattern", "method"), FOUND, ids=lambda v: v if isinstance(v, str) else "")
def test_a_pattern_is_linear(name: str, pattern: re.Pattern[Any], method: str) -> None:
    assert not list(superlinear(working(pattern, method), units(text_of(pattern), pattern.flags)))


def test_what_is_quadratic_is_seen() -> None:
    for quadratic in (r"a+b", r"(?:x*y)?z", r"\s+$", r"-----BEGIN [A-Z ]+-----[\s\S]*?-----END"):
        search = working(re.compile(quadratic), "search")
        assert next(superlinear(search, units(quadratic), n=1_500), ""), quadratic


KINDS = ("email", "phone", "card", "iban", "id", "key", "ip")
REDACT = Redaction(Settings(redaction=RedactionSettings(kinds=KINDS))).text


@pytest.mark.parametrize(
    "known", [KEYS, NAMED, PEOPLE, ADDRESSES], ids=["keys", "named", "people", "addresses"]
)
def test_redaction_is_linear(known: tuple[Any, ...]) -> None:
    slow = {}
    for pattern in known:
        every = units(pattern.regex)
        found = list(superlinear(REDACT, every[:: max(1, len(every) // 12)], n=8_000))
        if found:
            slow[pattern.regex] = found
    assert not slow


@pytest.mark.parametrize(
    "unit",
    [
        "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN ", "-" * 5,
        "-----BEGIN RSA PRIVATE KEY-----\n\x1faaaa", "-----BEGIN RSA PRIVATE KEY-----\n\x1fa b\n",
        "\\", '\\"',
        "\\u0040", "\n", "a\n", "sk-\n", "sk-aaaaaaaa\naaaaaaaa1\n", "[key]", "ann@example.org ",
        "4111 1111 1111 1111 ", "DE89370400440532013000 ", "password=", "password=hunter2x ", "eyJaaaaaaaa.",
        "\uff20", "a\u200b", "\ud800",
        "0049 30 901820 ", "078-05-1120 ", "1 ", "12 ", "123 ", "1234 ", "://a:b@",
        "Cookie: a=", "Cookie: a=aaaaaaaa\x1f; a=a", '{"a": 1}',
    ],
)  # fmt: skip
def test_redaction_is_linear_in_what_hostile_callers_send(unit: str) -> None:
    assert not list(superlinear(REDACT, [unit], n=20_000))
