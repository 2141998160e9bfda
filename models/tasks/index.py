"""Which skeletons can match a text: a dict on the start or the end of their literals."""

from typing import Generic, TypeVar

from jitr.models.tasks.skeleton import Pattern

LENGTHS = (400, 130, 48, 24, 12, 6, 3)

Owner = TypeVar("Owner")


class Index(Generic[Owner]):
    """Patterns by the first characters of their prefix, else the last of their suffix.

    The key is the largest of a few lengths that fits, so that a look-up costs a handful of dict reads
    however many
    skeletons there are. Those with neither end are scanned; they are few.

    Examples
    --------
    >>> index: Index[str] = Index()
    >>> index.add(Pattern("Translate:", (), ""), "a")
    >>> index.find("Translate: hello")[1]
    'a'
    >>> index.find("hello") is None
    True
    """

    __slots__ = ("_floating", "_heads", "_tails")

    def __init__(self) -> None:
        self._heads: dict[int, dict[str, list[tuple[Pattern, Owner]]]] = {}
        self._tails: dict[int, dict[str, list[tuple[Pattern, Owner]]]] = {}
        self._floating: list[tuple[Pattern, Owner]] = []

    def _bucket(self, pattern: Pattern) -> tuple[dict[int, dict[str, list[tuple[Pattern, Owner]]]], int, str]:
        for table, literal in ((self._heads, pattern.prefix), (self._tails, pattern.suffix)):
            length = next((n for n in LENGTHS if n <= len(literal)), 0)
            if length:
                return table, length, literal[:length] if table is self._heads else literal[-length:]
        return self._heads, 0, ""

    def add(self, pattern: Pattern, owner: Owner) -> None:
        """File a pattern under its owner."""
        table, length, key = self._bucket(pattern)
        if length and length not in table:
            table[length] = {}
            for n in sorted(table, reverse=True):
                table[n] = table.pop(n)
        bucket = table[length].setdefault(key, []) if length else self._floating
        # the largest first: the first match of a bucket is its best; ties by the literals, not by arrival
        bucket.append((pattern, owner))
        bucket.sort(key=lambda entry: (-entry[0].size, entry[0].key))

    def remove(self, pattern: Pattern) -> None:
        """Take a pattern out; it must be the object that was added."""
        table, length, key = self._bucket(pattern)
        bucket = table[length][key] if length else self._floating
        bucket[:] = [entry for entry in bucket if entry[0] is not pattern]
        if length and not bucket:
            del table[length][key]
            if not table[length]:
                del table[length]

    def find(self, text: str) -> tuple[Pattern, Owner] | None:
        """The matching pattern with most constant characters, or None."""
        best: tuple[Pattern, Owner] | None = None
        size = 0
        for length, heads in self._heads.items():
            bucket = heads.get(text[:length])
            if bucket is not None:
                for entry in bucket:
                    pattern = entry[0]
                    if pattern.size <= size:
                        break
                    if pattern.matches(text):
                        best = entry
                        size = pattern.size
                        break
        for length, tails in self._tails.items():
            bucket = tails.get(text[-length:])
            if bucket is not None:
                for entry in bucket:
                    pattern = entry[0]
                    if pattern.size <= size:
                        break
                    if pattern.matches(text):
                        best = entry
                        size = pattern.size
                        break
        for entry in self._floating:
            pattern = entry[0]
            if pattern.size <= size:
                break
            if pattern.matches(text):
                return entry
        return best

    def all(self, text: str) -> list[Owner]:
        """Every owner with a pattern that matches."""
        buckets = [heads.get(text[:length], ()) for length, heads in self._heads.items()]
        buckets += [tails.get(text[-length:], ()) for length, tails in self._tails.items()]
        buckets.append(self._floating)
        return [owner for bucket in buckets for pattern, owner in bucket if pattern.matches(text)]
