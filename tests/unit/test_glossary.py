"""The glossary holds every term that commands, options and metrics are named by."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
# words of everyday English and of computing at large, which no reader looks up here
PLAIN = frozenset(
    """
    acls add again age all answers auto background build bytes chunks config connections create data day
    days dead demo dlq doctor dry duration ended error exact failures fit flight help host html in info
    into json kafka keys latency letters like limit list llm loop lower max mb min ms name no noise note
    open out pack per port publish publishing queue ram rate redis refused replay request requests
    restarts revision revoke run s scan seconds seed show state text texts tokens top total traffic undo
    unpause unread up usd validate waiting waits why yes
    """.split()  # noqa: SIM905
)


def entries() -> set[str]:
    page = (DOCS / "glossary.md").read_text()
    return {
        word.lower() for term in re.findall(r"\*\*([^*]+)\*\*", page) for word in re.findall(r"[\w]+", term)
    }


def named() -> set[str]:
    """The words in names of commands, options and metrics."""
    commands = (DOCS / "cli.md").read_text()
    found = {word for pair in re.findall(r"jitr ([a-z-]+)(?: ([a-z-]+))?", commands) for word in pair}
    found |= set(re.findall(r"--([a-z][a-z-]+)", commands))
    metrics = set(re.findall(r"jitr_([a-z_]+)", (DOCS / "metrics.md").read_text()))
    return {word for name in found | metrics for word in re.split(r"[-_]", name) if word}


def holds(known: set[str], word: str) -> bool:
    forms = {word, word.removesuffix("s"), word.removesuffix("es"), f"{word}d", word.removesuffix("ed")}
    return bool(forms & known)


def test_every_term_of_commands_and_metrics_stands_in_the_glossary() -> None:
    known = entries()
    assert {word for word in named() if word not in PLAIN and not holds(known, word)} == set()


def test_a_term_that_is_missing_is_seen_and_no_plain_word_is_there_for_nothing() -> None:
    assert not holds(entries(), "wealth") and "surrogate" in named() - PLAIN
    assert named() >= PLAIN, f"no name holds {sorted(PLAIN - named())}"
