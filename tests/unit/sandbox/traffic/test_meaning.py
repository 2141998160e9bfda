"""Reading meaning back from words."""

from jitr.sandbox.traffic.meaning import Cue, CueReader

CUES = [
    Cue("late", "queue", "shipping"),
    Cue("late fee", "queue", "billing"),
    Cue("broken", "queue", "returns"),
    Cue("great", "mood", "good"),
    Cue("awful", "mood", "bad"),
]
READER = CueReader(CUES, ["that is settled"], {"good": "bad", "bad": "good"})


def test_cues_add_up() -> None:
    assert READER.scores("Late, late and broken.") == {"queue": {"shipping": 2.0, "returns": 1.0}}


def test_the_longest_phrase_wins() -> None:
    assert READER.scores("a late fee") == {"queue": {"billing": 1.0}}


def test_a_dismissed_sentence_says_nothing_and_its_neighbour_still_does() -> None:
    assert READER.scores("It was broken, that is settled. It is late!") == {"queue": {"shipping": 1.0}}


def test_a_negation_turns_a_value_that_has_an_opposite() -> None:
    assert READER.scores("It is not great, hardly awful") == {"mood": {"bad": 1.0, "good": 1.0}}


def test_a_negation_drops_a_value_that_has_none() -> None:
    assert READER.scores("It is not broken") == {}


def test_a_negation_reaches_two_words_only() -> None:
    assert READER.scores("not that I mind, great") == {"mood": {"good": 1.0}}


def test_words_match_as_wholes_and_in_any_case() -> None:
    assert READER.scores("LATE lately") == {"queue": {"shipping": 1.0}}
