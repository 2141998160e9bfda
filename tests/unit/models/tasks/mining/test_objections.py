from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import CUT
from jitr.models.tasks.mining.draft import Draft, common_items, draft
from jitr.models.tasks.mining.items import items_of, shorten
from jitr.models.tasks.mining.objections import few_neighbours
from jitr.models.tasks.mining.window import Entry

DOCUMENT = ", ".join([f"the {i}th line of a long and worn example" for i in range(200)])
END = "\nNow write the title of the next document in five words.\nDocument: "


def drafted(texts):
    members = [Entry(i, shorten(t), items_of(shorten(t)), None, 0.0) for i, t in enumerate(texts)]
    return draft(*common_items(members), 6)


def test_a_run_with_few_neighbours_is_a_piece_of_a_slot_value(slot_values):
    texts = [
        f"{p}, as we said, in the town of {('Oslo', 'Rome')[i % 2]}" for i, p in enumerate(slot_values(12))
    ]
    assert few_neighbours(drafted(texts))


def test_one_text_that_was_cut_does_not_speak_for_the_others():
    run = "Rocket fuel burns at night over the sea."
    texts = [f"see the same words: {run} tail {i} {'xyz'[i % 3] * (i + 3)}" for i in range(30)]

    def found(cut):
        some = [f"a{CUT}b {t}" if i < cut else t for i, t in enumerate(texts)]
        at = [t.index(run) for t in some]
        return Draft(Pattern("", (run,), ""), [], some, [], [(at, [a + len(run) for a in at])])

    assert [few_neighbours(found(cut)) for cut in (0, 1, 24, 25)] == [True, True, True, False]
    assert few_neighbours(found(25), splitting=True)


def test_where_texts_were_cut_the_neighbours_of_a_run_say_nothing(slot_values):
    texts = [
        DOCUMENT[:7000] + END + p + " and so on" * (150 * (i == 0)) for i, p in enumerate(slot_values(12))
    ]
    found = drafted(texts)
    assert any("Document:" in run for run in found.pattern.runs)
    assert not few_neighbours(found)
