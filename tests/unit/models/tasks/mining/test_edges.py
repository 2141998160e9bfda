from jitr.models.tasks.mining.edges import NONE, STRONG, WEAK, edge, right_edge, trim
from jitr.models.tasks.mining.items import LONGEST_TEXT, shorten


def test_sentences_end_strongly_clauses_weakly_and_words_not_at_all():
    assert [edge(t) for t in (":\n", ", ", " ")] == [STRONG, WEAK, NONE]


def test_punctuation_before_a_run_is_left_to_the_slot_value():
    assert trim("?! Answer:") == " Answer:"
    assert trim(".\nAnswer:") == "\nAnswer:"


def test_a_run_as_long_as_a_text_was_kept_is_not_in_mid_sentence():
    # few-shot prompts over 8,000 characters kept half of a constant block, and were never told apart
    block = "word " * LONGEST_TEXT
    long, short = shorten(block + "one"), block[: LONGEST_TEXT // 2 + 90]
    run = long[: LONGEST_TEXT // 2].rstrip()
    assert right_edge(run, [short, long, short]) == STRONG
    assert right_edge(run, [short, short]) == NONE
