"""Kinds are switched, patterns of one's own are added, and a wrong one is an error that names the mend."""

import pytest

from jitr.models.redaction.redaction import Redaction
from jitr.schemas.errors import ConfigError
from jitr.schemas.settings import Settings

TEXT = "ann@example.org at 192.0.2.7, card 4111 1111 1111 1111, staff E123456"


def redaction(**environ: str) -> Redaction:
    return Redaction(Settings.load(environ={f"JITR_{name}": value for name, value in environ.items()}))


def test_kinds_are_switched_on_and_off(tmp_path):
    assert redaction().text(TEXT) == "[email] at 192.0.2.7, card [card], staff E123456"
    file = tmp_path / "jitr.toml"
    file.write_text('[redaction]\nkinds = ["ip", "card"]\n')
    only = Redaction(Settings.load(file))
    assert only.text(TEXT) == "ann@example.org at [ip], card [card], staff E123456"
    file.write_text("[redaction]\nkinds = []\n")
    assert Redaction(Settings.load(file)).text(TEXT) == TEXT
    assert redaction(REDACT="false").text(TEXT) == TEXT


def test_own_patterns_are_added_and_their_group_is_what_goes(tmp_path):
    file = tmp_path / "jitr.toml"
    file.write_text("[redaction.patterns]\nemployee = 'E[0-9]{6}'\n")
    own = Redaction(Settings.load(file))
    assert own.text("E123456") == "[employee]"
    file.write_text("[redaction.patterns]\nproject = '(?i)project ([a-zäöü]+)'\n")
    own = Redaction(Settings.load(file))
    assert own.text("the Project Käfer starts") == "the Project [project] starts"
    assert own.text(own.text("project x")) == own.text("project x")
    # also one that finds the words in brackets
    file.write_text("[redaction.patterns]\nword = '[a-z]{3,}'\n")
    own = Redaction(Settings.load(file))
    assert (
        own.text("it was ann@example.org")
        == own.text(own.text("it was ann@example.org"))
        == "it [word] [email]"
    )


@pytest.mark.parametrize(
    ("regex", "says"),
    [
        (r"(?<=E)[0-9]{6}", "no look-around"),
        (r"(a)\\1", "no look-around and no back-references"),
        ("E[0-9", "missing \\]"),
        ("E*", "want one character at least"),
    ],
)
def test_a_pattern_that_cannot_be_read_is_an_error_that_names_the_mend(tmp_path, regex, says):
    file = tmp_path / "jitr.toml"
    file.write_text(f"[redaction.patterns]\nemployee = '{regex}'\n".replace("\\\\", "\\"))
    with pytest.raises(ConfigError, match=says) as error:
        Redaction(Settings.load(file))
    assert "'employee'" in str(error.value)


def test_an_unknown_kind_and_a_name_that_is_no_word_are_errors(tmp_path):
    file = tmp_path / "jitr.toml"
    for text in ('kinds = ["mail"]\n', 'patterns = {"No Word" = "x"}\n'):
        file.write_text(f"[redaction]\n{text}")
        with pytest.raises(ConfigError):
            Settings.load(file)
