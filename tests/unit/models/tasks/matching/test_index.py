import random

from jitr.models.tasks.matching.index import Index
from jitr.models.tasks.matching.pattern import Pattern


def test_the_longest_match_wins_over_prefixes_suffixes_and_inner_runs():
    index = Index()
    for name, pattern in {
        "prefix": Pattern("Name the ", (), ""),
        "both": Pattern("Name the ", (), " of this."),
        "inner": Pattern("", ("colour",), ""),
        "suffix": Pattern("", (), " of this."),
    }.items():
        index.add(pattern, name)
    assert index.find("Name the colour of this.")[1] == "both"
    assert sorted(index.all("Name the colour of this.")) == ["both", "inner", "prefix", "suffix"]
    assert index.find("my colour")[1] == "inner"


def test_many_prefixes_that_differ_late_are_found_and_taken_out_again():
    index = Index()
    opening = "Read what a customer of ours has to say, and answer as team number "
    patterns = {i: Pattern(f"{opening}{i}:", (), "") for i in range(300)}
    for i, pattern in patterns.items():
        index.add(pattern, i)
    assert all(index.find(f"{opening}{i}: hello")[1] == i for i in range(300))
    for i in range(0, 300, 2):
        index.remove(patterns[i])
    assert [i for i in range(300) if index.find(f"{opening}{i}: hello")] == list(range(1, 300, 2))


def test_the_order_of_arrival_decides_nothing():
    words = ["alpha", "beta", "gamma"]
    patterns = [Pattern(a, (b,), "") for a in ["Say al", "Say a"] for b in words]
    patterns += [Pattern(f"Say alphabet {i:02}", (), "") for i in range(20)]
    patterns += [Pattern("Say", ("t 07",), ""), Pattern("Say", ("et 0",), ""), Pattern("", (), "beta")]
    texts = ["Say alphabet 07 beta", "Say alpha gamma beta", "Say alphabet 19", "Say a beta"]
    seen = set()
    for seed in range(20):
        random.Random(seed).shuffle(patterns)
        index = Index()
        for pattern in patterns:
            index.add(pattern, pattern.key)
        seen.add(tuple(index.find(text)[1] for text in texts))
    assert len(seen) == 1
