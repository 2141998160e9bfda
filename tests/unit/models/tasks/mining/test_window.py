from jitr.models.tasks.mining.items import items_of
from jitr.models.tasks.mining.window import MOST_HOLDERS, Entry, Window


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
    kept = [entry(e.seq, e.text) for e in window.entries.values()]
    again.restore(kept, window.overflows, window.lengths(), window.waits)
    items = {item for e in window.entries.values() for item in e.items}
    assert {i: again.holders(i) for i in items} == {i: window.holders(i) for i in items}


def due_at(window, start, stop):
    """The numbers of the prompts with which the shared clause was worth a look."""
    added = {i: window.add(entry(i, f"shared clause: {i} own{i}")) for i in range(start, stop)}
    return [i for i, due in added.items() if "shared clause:" in due]


def test_a_list_waits_for_the_holders_it_would_take():
    window = Window()
    assert due_at(window, 0, 6) == [5]
    window.wait("shared clause:", 12)
    assert due_at(window, 6, 14) == [11, 13]


def test_a_list_that_lost_a_holder_waits_no_longer():
    window = Window()
    due_at(window, 0, 6)
    window.wait("shared clause:", 12)
    window.drop(0)
    assert due_at(window, 6, 8) == [6, 7]


def test_a_restored_window_waits_too():
    window, again = Window(), Window()
    due_at(window, 0, 6)
    window.wait("shared clause:", 10)
    again.restore(list(window.entries.values()), window.overflows, window.lengths(), window.waits)
    assert due_at(again, 6, 10) == [9]
