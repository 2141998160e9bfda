"""What redaction finds and what it leaves: made-up secrets of many kinds, and what only looks like them."""

import random
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from jitr.models.redaction.finder import Finder
from jitr.models.redaction.keys import KEYS
from jitr.models.redaction.named import NAMED
from jitr.models.redaction.people import ADDRESSES, PEOPLE
from jitr.models.redaction.redaction import Redaction
from jitr.schemas.settings import Settings

BENCHMARKS = Path(__file__).parents[4] / "benchmarks"
REDACT = Redaction(Settings()).text
SIGNED = (
    "ann@example.org", "ann%40example.org", "ann@[192.168.100.10]", "ann (at) example.org",
    "ann at example dot org", f"abcdefghijklmn.atlasv1.{'x1' * 20}", f"abc1Q~{'x1' * 16}",
)  # fmt: skip


@pytest.fixture(scope="module")
def corpus():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return import_module("redacted.kinds"), import_module("redacted.innocent")


def test_every_kind_of_secret_is_found_in_every_context(corpus):
    kinds, _ = corpus
    assert len(kinds.SECRETS) >= 250
    left = set()
    for word, name, template in kinds.SECRETS:
        for seed in range(2):
            secret = kinds.drawn(template, random.Random(f"{name}{seed}"))
            for context in kinds.CONTEXTS:
                found = REDACT(context.replace("{}", secret))
                if f"[{word}]" not in found or secret in found:
                    left.add(name)
    assert not left


def test_what_was_drawn_at_random_is_gone(corpus):
    kinds, _ = corpus
    left = {}
    for _, name, template in kinds.SECRETS:
        rng = random.Random(name)
        pieces = [kinds.drawn(m.group(), rng) for m in re.finditer(r"\{[AaUhbu][0-9]{2,}\}", template)]
        whole = template
        for piece in pieces:
            whole = re.sub(r"\{[AaUhbu][0-9]{2,}\}", lambda _, p=piece: p, whole, count=1)
        found = REDACT(f"Use {kinds.drawn(whole, rng)} now.")
        if any(piece in found for piece in pieces):
            left[name] = found
    assert not left


def test_what_only_looks_like_a_secret_stays(corpus):
    kinds, innocent = corpus
    assert len(innocent.INNOCENT) >= 400
    changed = {}
    for line in innocent.INNOCENT:
        for seed in range(2):
            text = kinds.drawn(line, random.Random(f"{line}{seed}"))
            for context in ("{}", "Please note: {}, thanks."):
                said = context.replace("{}", text)
                if REDACT(said) != said:
                    changed[said] = REDACT(said)
    assert not changed


def test_the_sign_of_a_pattern_stands_in_all_that_it_finds(corpus):
    """Else the one pass over all patterns would rule out what one of them finds."""
    kinds, _ = corpus
    texts = [*SIGNED, *[kinds.drawn(template, random.Random(name)) for _, name, template in kinds.SECRETS]]
    signed = [pattern for pattern in (*KEYS, *NAMED, *PEOPLE, *ADDRESSES) if pattern.sign]
    assert signed
    for pattern in signed:
        whole = Finder([replace(pattern, sign="")])
        assert any(whole.find(text) for text in SIGNED), pattern.regex
        assert [Finder([pattern]).find(text) for text in texts] == [whole.find(text) for text in texts]


def test_redacting_again_changes_nothing(corpus):
    kinds, _ = corpus
    for _, name, template in kinds.SECRETS:
        for context in kinds.CONTEXTS:
            once = REDACT(context.replace("{}", kinds.drawn(template, random.Random(name))))
            assert REDACT(once) == once
