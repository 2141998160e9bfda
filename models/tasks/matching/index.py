"""Looks up the templates that can match a text, by the start or the end of their literals."""

from typing import Generic, TypeVar

from jitr.models.tasks.matching.pattern import Pattern

LENGTHS = (400, 130, 48, 24, 12, 6, 3)
_SHORTEST = 3
_CROWD = 8
# what English texts hold, ever more often; all else is rarer still
_RARE_FIRST = "zqxj:?kvb-ypgf'wm,uc.ldrhsnioate "

Owner = TypeVar("Owner")
Bucket = list[tuple[Pattern, Owner]]
Room = dict[int, dict[str, Bucket[Owner]]]


class _End(Generic[Owner]):
    """Literals of one end by their outermost three characters, then by a longer piece.

    The piece is the largest of a few lengths that fits; where many literals share it, it is the whole
    literal. A look-up costs one dict read for the three characters and one for each length filed under them.

    Parameters
    ----------
    start : bool
        Whether the literals are prefixes; else suffixes.
    """

    __slots__ = ("lengths", "rooms", "start")

    def __init__(self, *, start: bool) -> None:
        self.start = start
        self.rooms: dict[str, Room[Owner]] = {}
        self.lengths: dict[int, int] = {}

    def literal(self, pattern: Pattern) -> str:
        return pattern.prefix if self.start else pattern.suffix

    def piece(self, text: str, length: int) -> str:
        return text[:length] if self.start else text[-length:]

    def add(self, pattern: Pattern, owner: Owner) -> None:
        literal = self.literal(pattern)
        length = next(n for n in LENGTHS if n <= len(literal))
        room = self.rooms.setdefault(self.piece(literal, _SHORTEST), {})
        if len(room.get(length, {}).get(self.piece(literal, length), ())) >= _CROWD:
            length = len(literal)
        self._file(room, pattern, owner, length)

    def _file(
        self,
        room: dict[int, dict[str, list[tuple[Pattern, Owner]]]],
        pattern: Pattern,
        owner: Owner,
        length: int,
    ) -> None:
        if length not in room:
            room[length] = {}
            for n in sorted(room, reverse=True):
                room[n] = room.pop(n)
        bucket = room[length].setdefault(self.piece(self.literal(pattern), length), [])
        # the largest first: the first match of a bucket is its best; ties by the literals, not by arrival
        bucket.append((pattern, owner))
        bucket.sort(key=_rank)
        self.lengths[id(pattern)] = length

    def remove(self, pattern: Pattern) -> None:
        length = self.lengths.pop(id(pattern))
        literal = self.literal(pattern)
        opening, piece = self.piece(literal, _SHORTEST), self.piece(literal, length)
        room = self.rooms[opening]
        bucket = room[length][piece]
        bucket[:] = [entry for entry in bucket if entry[0] is not pattern]
        if not bucket:
            del room[length][piece]
            if not room[length]:
                del room[length]
                if not room:
                    del self.rooms[opening]


def _rank(entry: tuple[Pattern, object]) -> tuple[int, tuple[str, tuple[str, ...], str]]:
    return -entry[0].size, entry[0].key


class Index(Generic[Owner]):
    """Patterns by the first characters of their prefix, else the last of their suffix.

    A look-up costs a handful of dict reads however many templates there are. Those with neither end are
    scanned; they are few.

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
        self._heads: _End[Owner] = _End(start=True)
        self._tails: _End[Owner] = _End(start=False)
        self._floating: list[tuple[str, str, tuple[Pattern, Owner]]] = []

    def _end(self, pattern: Pattern) -> _End[Owner] | None:
        for end in (self._heads, self._tails):
            if len(end.literal(pattern)) >= _SHORTEST:
                return end
        return None

    def add(self, pattern: Pattern, owner: Owner) -> None:
        """File a pattern under its owner."""
        end = self._end(pattern)
        if end is not None:
            end.add(pattern, owner)
            return
        run = max(pattern.runs, key=len)
        # a character is looked for far faster than a run, and few texts hold a rare one
        self._floating.append((min(run, key=_RARE_FIRST.find), run, (pattern, owner)))
        self._floating.sort(key=lambda held: _rank(held[2]))

    def remove(self, pattern: Pattern) -> None:
        """Take a pattern out; it must be the object that was added."""
        end = self._end(pattern)
        if end is not None:
            end.remove(pattern)
        else:
            self._floating = [held for held in self._floating if held[2][0] is not pattern]

    def _buckets(self, text: str) -> list[Bucket[Owner]]:
        """The patterns that the two ends of a text lead to."""
        found = []
        room = self._heads.rooms.get(text[:_SHORTEST])
        if room is not None:
            for length, pieces in room.items():
                bucket = pieces.get(text[:length])
                if bucket is not None:
                    found.append(bucket)
        room = self._tails.rooms.get(text[-_SHORTEST:])
        if room is not None:
            for length, pieces in room.items():
                bucket = pieces.get(text[-length:])
                if bucket is not None:
                    found.append(bucket)
        return found

    def find(self, text: str) -> tuple[Pattern, Owner] | None:
        """The matching pattern with most constant characters, or None."""
        best: tuple[Pattern, Owner] | None = None
        size = 0
        for bucket in self._buckets(text):
            for entry in bucket:
                pattern = entry[0]
                if pattern.size < size:
                    break
                if pattern.matches(text):
                    if best is None or pattern.size > size or pattern.key < best[0].key:
                        best = entry
                        size = pattern.size
                    break
        for rare, run, entry in self._floating:
            pattern = entry[0]
            if pattern.size <= size:
                break
            if rare in text and run in text and pattern.matches(text):
                return entry  # nothing smaller can be better
        return best

    def all(self, text: str) -> list[Owner]:
        """Every owner with a pattern that matches."""
        found = [*self._buckets(text), [entry for _, _, entry in self._floating]]
        return [owner for bucket in found for pattern, owner in bucket if pattern.matches(text)]
