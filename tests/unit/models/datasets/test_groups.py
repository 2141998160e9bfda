"""Near-duplicates share a group; strangers do not."""

from __future__ import annotations

import numpy as np

from jitr.models.datasets.groups import near_duplicate_groups


def test_case_digits_and_punctuation_make_no_difference() -> None:
    groups = near_duplicate_groups(["My order 123 is late!", "my order 987 is late", "Where is my card?"])
    assert groups.tolist() == [0, 0, 2]


def test_one_changed_word_in_a_long_text_stays_in_the_group() -> None:
    words = [f"w{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60)]
    other = [*words[:30], "changed", *words[31:]]
    assert len(set(near_duplicate_groups([" ".join(words), " ".join(other)]).tolist())) == 1


def test_a_shared_frame_does_not_make_short_texts_twins() -> None:
    texts = [f"please tell me about {word} in detail" for word in ("cats", "taxes", "rivers", "bread")]
    assert len(set(near_duplicate_groups(texts).tolist())) == 4


def test_empty_and_strange_texts_have_groups() -> None:
    assert len(near_duplicate_groups(["", "", "日本語", "?!"])) == 4
    assert near_duplicate_groups([]).dtype == np.int64
