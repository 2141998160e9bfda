"""How the teacher writes what is no single label: objects, lists of labels, numbers; learned, then repeated.

A style writes labels whose text was never seen as the teacher would have written them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product

import msgspec

from jitr.models.answers.lists import DASHES, SEPARATORS, canonical_list, members_of, parts_of
from jitr.models.answers.normalize import json_of
from jitr.models.answers.numbers import quantity_of

_TRIED = 50
_LAYOUTS = (
    (None, ", ", ": "),
    (None, ",", ":"),
    (None, ",", ": "),
    (2, ",", ": "),
    (4, ",", ": "),
    (2, ", ", ": "),
)


class JsonStyle(msgspec.Struct, tag="json", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the teacher writes its objects: what surrounds them, and how they are spaced."""

    before: str = ""
    after: str = ""
    indent: int | None = None
    item_separator: str = ", "
    key_separator: str = ": "
    ascii: bool = False
    keys: tuple[str, ...] = ()

    def render(self, label: str) -> str:
        """Write a canonical object as the teacher would.

        Examples
        --------
        >>> JsonStyle(before="```json\\n", after="\\n```", keys=("b", "a")).render('{"a":1,"b":2}')
        '```json\\n{"b": 2, "a": 1}\\n```'
        """
        value = json.loads(label)
        rank = {key: i for i, key in enumerate(self.keys)}
        ordered = dict(sorted(value.items(), key=lambda item: rank.get(item[0], len(rank))))
        text = json.dumps(
            ordered,
            ensure_ascii=self.ascii,
            indent=self.indent,
            separators=(self.item_separator, self.key_separator),
        )
        return self.before + text + self.after

    @classmethod
    def infer(cls, renderings: Mapping[str, str]) -> JsonStyle:
        """Find the style that writes most of the teacher's renderings byte for byte.

        Examples
        --------
        >>> JsonStyle.infer({'{"a":1,"b":2}': 'Sure: {"b":2,"a":1}'}).render('{"a":3,"b":4}')
        'Sure: {"b":4,"a":3}'
        """
        best, most = cls(), -1
        tried: set[JsonStyle] = set()
        for text in [text for _, text in sorted(renderings.items())[:_TRIED]]:
            first, last = text.find("{"), text.rfind("}")
            try:
                keys = tuple(json.loads(text[first : last + 1]))
            except (ValueError, TypeError):
                continue
            for (indent, item, key), escaped in product(_LAYOUTS, (False, True)):
                style = cls(
                    before=text[:first],
                    after=text[last + 1 :],
                    indent=indent,
                    item_separator=item,
                    key_separator=key,
                    ascii=escaped,
                    keys=keys,
                )
                if style in tried:
                    continue
                tried.add(style)
                exact = _exact(style.render, renderings)
                if exact > most:
                    best, most = style, exact
        return best


class ListStyle(msgspec.Struct, tag="list", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the teacher writes sets of labels: their order and spelling, and what stands between them.

    ``separator`` is None for a JSON list, which ``item_separator`` spaces. ``texts`` holds each label's usual
    spelling, in the teacher's usual order.
    """

    separator: str | None = ", "
    item_separator: str = ", "
    before: str = ""
    after: str = ""
    bullet: str = ""
    empty: str = ""
    texts: dict[str, str] = {}

    def render(self, label: str) -> str:
        """Write a canonical list as the teacher would.

        Examples
        --------
        >>> ListStyle(separator=" | ", texts={"b": "B", "a": "A"}).render('["a","b"]')
        'B | A'
        """
        held = set(json.loads(label))
        if not held and self.empty:
            return self.empty
        said = [text for name, text in self.texts.items() if name in held]
        said += sorted(held - set(self.texts))
        if self.separator is None:
            text = json.dumps(said, ensure_ascii=False, separators=(self.item_separator, ": "))
        else:
            text = self.separator.join([self.bullet + one for one in said])
        return self.before + text + self.after

    @classmethod
    def infer(cls, renderings: Mapping[str, str]) -> ListStyle:
        """Find the style that writes most of the teacher's renderings byte for byte.

        Examples
        --------
        >>> known = {'["art","tech"]': "Tech, Art", '["art"]': "Art", '["law","tech"]': "Law, Tech"}
        >>> known |= {'["art","law","tech"]': "Law, Tech, Art"}
        >>> ListStyle.infer(known).render('["art","law"]')
        'Law, Art'
        """
        empty = next((text for label, text in sorted(renderings.items()) if label == "[]"), "")
        texts = _order(renderings)
        best, most = cls(texts=texts, empty=empty), -1
        seen = sorted(renderings.values())
        bullets = tuple(b for b in DASHES if any(b in text for text in seen))
        shapes: list[ListStyle] = []
        for before, after in _around(seen):
            shapes += [
                cls(separator=None, item_separator=s, before=before, after=after)
                for s in (", ", ",", ",\n  ")
            ]
            for separator in SEPARATORS:
                for blank in ("", " "):
                    for bullet in ("", *bullets):
                        shapes.append(
                            cls(separator=separator + blank, bullet=bullet, before=before, after=after)
                        )
        for shape in shapes:
            style = msgspec.structs.replace(shape, texts=texts, empty=empty)
            exact = _exact(style.render, renderings)
            if exact > most:
                best, most = style, exact
        return best


class NumberStyle(msgspec.Struct, tag="number", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the teacher writes its numbers: what stands around them, decimals, and commas between thousands."""

    before: str = ""
    after: str = ""
    decimals: int | None = None
    thousands: bool = False

    def render(self, label: str) -> str:
        """Write a number as the teacher would.

        Examples
        --------
        >>> NumberStyle(before="$", decimals=2, thousands=True).render("1250.5")
        '$1,250.50'
        """
        decimals = len(label.partition(".")[2])
        if self.decimals is not None:
            decimals = max(decimals, self.decimals)
        sign, digits = ("-", label[1:]) if label[:1] == "-" else ("", label)
        whole, _, rest = digits.partition(".")
        if self.thousands:
            whole = f"{int(whole):,}"
        text = whole + ("." + rest.ljust(decimals, "0") if decimals else "")
        return f"{self.before}{sign}{text}{self.after}"

    @classmethod
    def infer(cls, renderings: Mapping[str, str]) -> NumberStyle:
        """Find the style that writes most of the teacher's renderings byte for byte.

        Examples
        --------
        >>> NumberStyle.infer({"12.5": "$12.50", "1250": "$1,250.00"}).render("2000.25")
        '$2,000.25'
        """
        found = [q for q in map(quantity_of, sorted(renderings.values())) if q is not None]
        around = [pair for pair, _ in Counter((q.before, q.after) for q in found).most_common(5)]
        styles = [
            cls(before=before, after=after, decimals=decimals, thousands=thousands)
            for before, after in (around or [("", "")])
            for decimals in (None, 1, 2, 3)
            for thousands in (False, True)
        ]
        return max(styles, key=lambda style: _exact(style.render, renderings))


Style = JsonStyle | ListStyle | NumberStyle


def style_of(labels: Sequence[str], renderings: Mapping[str, str]) -> Style | None:
    """The style of a task's answers; None for plain labels, which are written as known.

    Parameters
    ----------
    labels : sequence of str
        In normal form; their form says what they are.
    renderings : mapping
        Labels to the teacher's usual text.
    """
    if not labels:
        return None
    if all(label.startswith("{") and json_of(label) is not None for label in labels):
        return JsonStyle.infer(renderings)
    if all(members_of(label) is not None for label in labels):
        return ListStyle.infer(renderings)
    if all((found := quantity_of(label)) is not None and found.number == label for label in labels):
        return NumberStyle.infer(renderings)
    return None


def _exact(render: Callable[[str], str], renderings: Mapping[str, str]) -> int:
    return sum(render(label) == text for label, text in renderings.items())


def _around(texts: list[str]) -> list[tuple[str, str]]:
    """What stands before and after the lists, most frequent first."""
    found: Counter[tuple[str, str]] = Counter({("", ""): 0})
    for text in texts:
        first, last = text.find("["), text.rfind("]")
        if 0 <= first < last:
            found[text[:first], text[last + 1 :]] += 1
        elif lead := re.match(r"[^,;|\n]{1,40}:\s+", text):
            found[lead.group(), "." if text.endswith(".") else ""] += 1
        elif text.endswith("."):
            found["", "."] += 1
    return [pair for pair, _ in found.most_common(4)] + [("", "")]


def _order(renderings: Mapping[str, str]) -> dict[str, str]:
    """Each label's usual spelling, in the order in which the teacher tends to name them."""
    spelt: dict[str, Counter[str]] = {}
    before: Counter[tuple[str, str]] = Counter()
    for label, text in renderings.items():
        said = parts_of(text) or ()
        names = [name for one in said for name in json.loads(canonical_list([one]))]
        for name, one in zip(names, said, strict=True):
            spelt.setdefault(name, Counter())[one] += 1
        for i, name in enumerate(names):
            before.update((name, later) for later in names[i + 1 :])
        del label
    # by wins against all others: exact where the teacher keeps one order
    wins = {
        a: sum((before[a, b] > before[b, a]) - (before[a, b] < before[b, a]) for b in spelt) for a in spelt
    }
    ranked = sorted(spelt, key=lambda name: (-wins[name], name))
    return {name: min(spelt[name], key=lambda t: (-spelt[name][t], t)) for name in ranked}
