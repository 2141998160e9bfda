from jitr.models.tasks.matching.index import Index
from jitr.models.tasks.matching.pattern import Pattern


def test_slots_are_what_stands_between_the_runs():
    pattern = Pattern("Q:", ("A:", "B:"), "End")
    assert pattern.slots("Q:oneA:twoB:threeEnd") == ("one", "two", "three")


def test_prefix_and_suffix_may_not_overlap():
    assert not Pattern("abc", (), "cde").matches("abcde")
    assert Pattern("abc", (), "cde").matches("abccde")


def test_runs_match_in_order_only():
    pattern = Pattern("", ("first", "second"), "")
    assert pattern.matches("x first y second z")
    assert not pattern.matches("x second y first z")


def test_the_template_with_most_constant_characters_wins():
    index: Index[str] = Index()
    index.add(Pattern("Classify", (), ""), "short")
    index.add(Pattern("Classify the tone of", (), ""), "long")
    index.add(Pattern("", (), "Answer:"), "end")
    assert index.find("Classify the tone of this. Answer:")[1] == "long"
    assert index.find("Classify this. Answer:")[1] == "short"
    assert index.find("Anything. Answer:")[1] == "end"


def test_a_removed_template_matches_no_more():
    index: Index[int] = Index()
    patterns = [
        Pattern("Sort these words:", (), ""),
        Pattern("", (" in between ",), ""),
        Pattern("ab", (), ""),
    ]
    texts = ["Sort these words: b a", "x in between y", "abc"]
    for i, pattern in enumerate(patterns):
        index.add(pattern, i)
    assert [index.find(t)[1] for t in texts] == [0, 1, 2]
    for pattern in patterns:
        index.remove(pattern)
    assert [index.find(t) for t in texts] == [None, None, None]


def test_ties_do_not_depend_on_the_order_of_arrival():
    a, b = Pattern("aaa", (), "x"), Pattern("aa", (), "xx")
    first: Index[str] = Index()
    second: Index[str] = Index()
    first.add(a, "a")
    first.add(b, "b")
    second.add(b, "b")
    second.add(a, "a")
    assert first.find("aaa..xx")[1] == second.find("aaa..xx")[1]
