"""Splits an established template where its members turn out to have two."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from jitr.models.tasks.matching.pattern import Pattern
from jitr.models.tasks.matching.text import ALNUM, DELIMITERS, HEAD, TAIL, clauses, head_of, tail_of, weight
from jitr.models.tasks.mining.cluster import Cluster
from jitr.models.tasks.mining.cluster_store import ClusterStore
from jitr.models.tasks.mining.draft import Draft, common_items, draft
from jitr.models.tasks.mining.edges import STRONG, left_edge, right_edge
from jitr.models.tasks.mining.ends import shows_examples
from jitr.models.tasks.mining.window import Entry

FEWEST = 5
_MOST_SEEDS = 24
_INSTRUCTION = 8
_FORMAT = re.compile(r"\W*[Aa1iI]?\W+|")  # how a list or a quotation begins


def seeds(cluster: Cluster, entries: Sequence[Entry], wraps: bool) -> list[str]:
    """Items that a good part of the members hold and the template does not: what a second one would
    add.
    """
    counts = Counter(chain.from_iterable([e.items for e in entries]))
    n = len(entries)
    least = max(5 if wraps else 6, (0.08 if wraps else 0.12) * n)
    found = [x for x, c in counts.items() if least <= c <= 0.9 * n and _tells(x, cluster.pattern)]
    # several headings that come and go freely are optional fields, and optional fields are slot values
    headings: list[set[int]] = []
    for item in found:
        if item[-1] == ":" and weight(item) <= 3:
            held = {e.seq for e in entries if item in e.items}
            if all(len(held & other) < 0.7 * len(held | other) for other in headings):
                headings.append(held)
    if len(headings) >= 3:
        found = [x for x in found if x[-1] != ":" or weight(x) > 5]
    found.sort(key=lambda x: (-counts[x], -weight(x), x))
    return found[:_MOST_SEEDS]


def _tells(item: str, pattern: Pattern) -> bool:
    text = item[1:]
    if item[0] == HEAD:
        return (
            not (pattern.prefix and text in pattern.prefix) and weight(text) >= 2 and text[-1] in DELIMITERS
        )
    if item[0] == TAIL:
        return not (pattern.suffix and text in pattern.suffix) and weight(text) >= 2
    words = weight(item)
    return (words >= 3 or (item[-1] == ":" and words >= 1)) and not any(item in run for run in pattern.runs)


def split_drafts(
    cluster: Cluster, entries: Sequence[Entry], clusters: ClusterStore, covering: set[int], wraps: bool
) -> Iterator[Draft]:
    """Drafts of narrower templates in an established one; the caller judges each and takes its members."""
    done: set[tuple[int, ...]] = set()
    seen = clusters.changes
    for item in seeds(cluster, entries, wraps):
        if clusters.changes != seen:
            seen = clusters.changes
            entries = [e for e in entries if clusters.find(e.text) is cluster]
        part = [e for e in entries if item in e.items]
        key = tuple([e.seq for e in part])
        if key in done or len(part) < FEWEST:
            continue
        done.add(key)
        found = draft(*common_items(part), FEWEST)
        if (
            found is None
            or found.pattern.size <= cluster.pattern.size
            or found.pattern.words < cluster.pattern.words + 1
        ):
            continue
        rest = [e for e in entries if item not in e.items]
        if _adds(found, cluster, part, rest, clusters, covering, wraps):
            yield found


def _adds(
    found: Draft,
    cluster: Cluster,
    part: Sequence[Entry],
    rest: Sequence[Entry],
    clusters: ClusterStore,
    covering: set[int],
    wraps: bool,
) -> bool:
    """A split must add an aligned anchored run of two words, an inner run of three, or a heading; no mere
    slot value. Behind worked examples what recurs in mid slot is part of the value, whatever its words.
    """
    child, parent = found.pattern, cluster.pattern
    texts = [e.text for e in part]
    others = [e.text for e in rest]
    if _is_slot_value(cluster, texts, others, wraps):
        return False
    new: list[tuple[str, bool]] = []
    if weight(child.prefix) - weight(parent.prefix) >= 2 and right_edge(child.prefix, texts) == STRONG:
        more = child.prefix.removeprefix(parent.prefix)
        new.append((more, False))
    if weight(child.suffix) - weight(parent.suffix) >= 2 and left_edge(child.suffix, texts) == STRONG:
        new.append((child.suffix.removesuffix(parent.suffix) if parent.suffix else child.suffix, False))
    known = [q for q in parent.runs if q]
    behind_examples = shows_examples(parent.prefix)
    for run in child.inner:
        if not any(run in q or q in run for q in known):
            if weight(run) >= 3 and not behind_examples:
                new.append((run, False))
            elif ":" in tail_of(run) and "\n" in head_of(run):
                new.append((run, True))
    for run, heading in new:
        bare = run.strip()
        longest = max(clauses(bare) or [bare], key=len).strip()
        if any(sum([piece in t for t in others]) > 0.1 * len(others) for piece in (bare, longest)):
            continue  # the others hold it too, elsewhere: a value of an option
        if heading or not clusters.holds_run(bare, covering):
            return True
    return False


def _is_slot_value(cluster: Cluster, texts: Sequence[str], others: Sequence[str], wraps: bool) -> bool:
    """Whether the part fills a slot with one value while the others fill it with many.

    Where another slot holds one long text in the part and one or two others elsewhere, that text is an
    instruction, and what stays the same beside it belongs to it.
    """
    inside = [cluster.pattern.slots(t) for t in texts]
    outside = [cluster.pattern.slots(t) for t in others]
    found = False
    for j in range(len(cluster.pattern.inner) + 1):
        value = inside[0][j]
        if (
            len({slots[j] for slots in inside}) != 1
            or not ALNUM.search(value)
            or (wraps and weight(value) >= 4)
        ):
            continue
        counts = Counter([slots[j].strip() for slots in outside])
        if sum([c for _, c in counts.most_common(2)]) < 0.6 * len(outside) or (
            cluster.label_slot and weight(value) <= 3
        ):
            found = True
        elif weight(value) >= _INSTRUCTION and value.strip() not in counts:
            return False
    return found


def format_drafts(cluster: Cluster, entries: Sequence[Entry]) -> list[Draft]:
    """Two ways to begin a slot ("A." and "-"), both frequent and nothing else: two templates."""
    filled = [cluster.pattern.slots(e.text) for e in entries]
    for j in range(len(cluster.pattern.inner) + 1):
        groups: dict[str, list[Entry]] = {}
        others = 0
        for entry, slots in zip(entries, filled, strict=True):
            words = slots[j][:64].split(None, 1)
            start = words[0] if words else ""
            if _FORMAT.fullmatch(start):
                groups.setdefault(start, []).append(entry)
            else:
                others += 1
                if others > 0.05 * len(entries):
                    break  # as for nearly all slots
        top = sorted(groups, key=lambda w: (-len(groups[w]), w))[:2]
        if len(top) < 2:
            continue
        first, second = groups[top[0]], groups[top[1]]
        if len(second) < max(8, 0.25 * len(entries)) or len(first) + len(second) < 0.95 * len(entries):
            continue
        drafts = [draft(*common_items(groups[w]), FEWEST) for w in top if w]
        return [d for d in drafts if d is not None and d.pattern.size > cluster.pattern.size]
    return []
