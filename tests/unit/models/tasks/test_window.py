from jitr.models.tasks.items import items_of
from jitr.models.tasks.window import MOST_HOLDERS, Entry, Window


def entry(seq, text):
    return Entry(seq, text, items_of(text), None, 0.0)


def test_an_item_is_due_when_six_prompts_hold_it():
    window = Window()
    due = [window.add(entry(i, f"shared clause: {i} own{i}")) for i in range(6)]
    assert [bool(d) for d in due] == [False] * 5 + [True]
    assert "shared clause:" in due[-1]


def test_a_dropped_prompt_leaves_no_trace():
    window = Window()
    for i in range(10):
        window.add(entry(i, f"shared clause: {i} own{i}"))
    for i in range(10):
        window.drop(i)
    assert len(window) == 0
    assert window.holders("shared clause:") == []
    assert window.chars == 0


def test_posting_lists_keep_the_newest():
    window = Window()
    for i in range(500):
        window.add(entry(i, f"shared clause: {i} own{i}"))
    held = window.holders("shared clause:")
    assert len(held) <= MOST_HOLDERS
    assert held == list(range(500 - len(held), 500))


def test_a_restored_window_has_the_same_lists():
    window = Window()
    for i in range(300):
        window.add(entry(i, f"shared clause: {i % 37} own{i}"))
    for i in range(0, 300, 7):
        window.drop(i)
    again = Window()
    again.restore([entry(e.seq, e.text) for e in window.entries.values()], window.overflows, window.lengths())
    items = {item for e in window.entries.values() for item in e.items}
    assert {i: again.holders(i) for i in items} == {i: window.holders(i) for i in items}
