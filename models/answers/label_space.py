"""The answers of one task: their kind, their labels, and how the teacher writes them."""

from __future__ import annotations

from collections import Counter

import msgspec

from jitr.models.answers.kinds import (
    MOST_LABELS,
    LabelState,
    counts_of,
    in_kind,
    kind_of,
    least_of,
    lists_several,
    members,
)
from jitr.models.answers.lists import members_of
from jitr.models.answers.normalize import json_of, normal
from jitr.models.answers.numbers import quantity_of
from jitr.models.answers.renderings import render
from jitr.schemas.tasks import OutputKind, Task

_MOST_ANSWERS = 2_000
_MOST_RENDERINGS = 6
_LONGEST = 400
_SENTENCE = 3
_MOST_KNOWN = 50


class LabelSpace:
    """The answers of one task: their kind, their labels, and how the teacher writes them.

    An answer becomes a label when it recurs. Answers that do not parse are counted and are never a class.

    Parameters
    ----------
    state : LabelState, optional
        What an earlier one has counted.

    Examples
    --------
    >>> space = LabelSpace()
    >>> for answer in ["Spam", "The label is **spam**.", "Ham", "ham", "Spam", "As an AI I cannot say."]:
    ...     space.learn(answer)
    >>> space.kind, space.labels
    ('label', ('spam', 'ham'))
    >>> space.parse("HAM."), space.parse("no idea"), space.render("spam")
    ('ham', None, 'Spam')
    """

    def __init__(self, state: LabelState | None = None) -> None:
        self.state = state if state is not None else LabelState()
        self._labels: tuple[str, ...] | None = None
        self._kind: OutputKind | None = None
        self._known: dict[str, str] | None = None

    @classmethod
    def of(cls, task: Task) -> LabelSpace:
        """The label space that a task's record holds; it parses and renders, and has counted nothing."""
        space = cls()
        space._kind = task.kind
        space._labels = task.labels
        space._known = dict(task.renderings)
        return space

    def learn(self, answer: str, input: str = "") -> None:
        """Count one answer of the teacher.

        Parameters
        ----------
        answer : str
            Its text as it came.
        input : str
            The surrogate's input of the same call: an answer that stands in it is a span.
        """
        state = self.state
        state.seen += 1
        self._labels = self._kind = self._known = None
        text = answer.strip()
        if json_of(text) is not None:
            state.objects += 1
        elif quantity_of(text) is not None:
            state.numbers += 1
        elif lists_several(text):
            state.lists += 1
        if input and len(text) > 1 and text.strip(" .\"'").casefold() in input.casefold():
            state.spans += 1
        if len(text) > _LONGEST:
            state.overflow += 1
            return
        label = normal(text)
        if not label:
            # nothing but punctuation: as a class it would be one with every other such answer
            state.overflow += 1
            return
        texts = state.answers.get(label)
        if texts is None:
            if len(state.answers) >= _MOST_ANSWERS:
                # answers that came once make room; those that recur stay
                for rare in [k for k, v in state.answers.items() if sum(v.values()) == 1]:
                    del state.answers[rare]
                    state.overflow += 1
                if len(state.answers) >= _MOST_ANSWERS:
                    state.overflow += 1
                    return
            state.answers[label] = {answer: 1}
        elif answer in texts:
            texts[answer] += 1
        elif len(texts) < _MOST_RENDERINGS:
            texts[answer] = 1
        else:
            rarest = min(texts, key=lambda t: (texts[t], t))
            # the count is handed on, as in Space-Saving (Metwally et al., 2005)
            texts[answer] = texts.pop(rarest) + 1

    def absorb(self, other: LabelSpace) -> None:
        """Add what another label space has counted."""
        mine, theirs = self.state, other.state
        mine.seen += theirs.seen
        mine.objects += theirs.objects
        mine.numbers += theirs.numbers
        mine.spans += theirs.spans
        mine.lists += theirs.lists
        mine.overflow += theirs.overflow
        for label, texts in theirs.answers.items():
            held = mine.answers.setdefault(label, {})
            for text, n in texts.items():
                held[text] = held.get(text, 0) + n
        self._labels = self._kind = self._known = None

    def release(self, other: LabelSpace) -> None:
        """Take back what `absorb` added; nothing falls below zero."""
        mine, theirs = self.state, other.state
        mine.seen = max(0, mine.seen - theirs.seen)
        mine.objects = max(0, mine.objects - theirs.objects)
        mine.numbers = max(0, mine.numbers - theirs.numbers)
        mine.spans = max(0, mine.spans - theirs.spans)
        mine.lists = max(0, mine.lists - theirs.lists)
        mine.overflow = max(0, mine.overflow - theirs.overflow)
        for label, texts in theirs.answers.items():
            held = mine.answers.get(label, {})
            for text, n in texts.items():
                if held.get(text, 0) > n:
                    held[text] -= n
                else:
                    held.pop(text, None)
            if not held:
                mine.answers.pop(label, None)
        self._labels = self._kind = self._known = None

    def counts(self) -> Counter[str]:
        """How often each normal form came; of sets, each label in them."""
        return members(self.state) if self.kind == "labels" else counts_of(self.state)

    @property
    def kind(self) -> OutputKind:
        """The kind of the answers, as far as those seen tell."""
        if self._kind is None:
            self._kind = kind_of(self.state)
        return self._kind

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, most frequent first; empty for numbers, spans, free text and objects of open fields."""
        if self._labels is None:
            counts = self.counts()
            least = least_of(self.state.seen)
            if self.kind in ("label", "labels") or (self.kind == "json" and self.closed):
                # a tie in counts is decided by the text: the order is the same in every process
                ranked = sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
                is_object = self.kind == "json"
                self._labels = tuple(
                    [k for k, n in ranked if n >= least and (not is_object or k[:1] == "{")][:MOST_LABELS]
                )
            else:
                self._labels = ()
        return self._labels

    @property
    def closed(self) -> bool:
        """Whether every answer is one of a closed set: labels, or objects whose fields take few values."""
        if self.kind in ("label", "labels"):
            return True
        if self.kind != "json":
            return False
        values = self.fields()
        total = max(1, sum([n for counts in values.values() for n in counts.values()]))
        per_field = total / max(1, len(values))
        return bool(values) and all(
            len(counts) <= max(8, 0.2 * per_field) and len(counts) <= MOST_LABELS
            for counts in values.values()
        )

    def fields(self) -> dict[str, Counter[str]]:
        """The fields of the objects, and how often each took each value (as JSON)."""
        out: dict[str, Counter[str]] = {}
        for label, n in self.counts().items():
            value = json_of(label)
            if value is not None:
                for field, held in value.items():
                    out.setdefault(field, Counter())[msgspec.json.encode(held, order="sorted").decode()] += n
        return out

    @property
    def renderings(self) -> dict[str, str]:
        """The usual text of each label."""
        if self._known is None:
            answers = self.state.answers
            if self.kind in ("labels", "number"):
                answers = self._read_again(self.kind)
            known = answers if self.kind in ("labels", "number") else self.labels
            self._known = {
                label: max(answers[label].items(), key=lambda kv: (kv[1], kv[0]))[0] for label in known
            }
        return self._known

    def _read_again(self, kind: OutputKind) -> dict[str, dict[str, int]]:
        """The texts of the most frequent normal forms of a kind."""
        found: dict[str, dict[str, int]] = {}
        for texts in self.state.answers.values():
            for text, n in texts.items():
                label = in_kind(text, kind)
                if label is not None:
                    held = found.setdefault(label, {})
                    held[text] = held.get(text, 0) + n
        ranked = sorted(found, key=lambda label: (-sum(found[label].values()), label))
        return {label: found[label] for label in ranked[:_MOST_KNOWN]}

    def parse(self, answer: str) -> str | None:
        """The label of an answer, or None where it does not parse.

        Labels: a known one, also inside a sentence that names exactly one. Sets of labels: all of them known.
        Objects: canonical JSON. Numbers and spans: the normal form. Free text: white space folded.
        """
        label = normal(answer)
        if not label:
            return None
        if self.kind == "label":
            known = self.renderings
            if label in known:
                return label
            return self._named_in(answer)
        if self.kind == "json":
            return label if json_of(label) is not None else None
        if self.kind == "number":
            return in_kind(answer, "number")
        if self.kind == "labels":
            held = in_kind(answer, "labels")
            return held if held is not None and set(members_of(held) or ()) <= set(self.labels) else None
        return label

    def _named_in(self, answer: str) -> str | None:
        """The one label that a short sentence names; the longest where one is part of another."""
        text = " ".join(answer.split()).casefold()
        if len(text) > _LONGEST:
            return None
        padded = f" {''.join([c if c.isalnum() or c in '_-' else ' ' for c in text])} "
        padded = " ".join(padded.split()).join((" ", " "))
        held = [k for k in self.labels if f" {k} " in padded]
        held = [k for k in held if not any(k != other and k in other for other in held)]
        # two words more may be a class of their own ("very positive"); a sentence has more
        held = [k for k in held if padded.count(" ") - 1 >= k.count(" ") + 1 + _SENTENCE]
        # a sentence that denies or hedges is no answer
        if len(held) != 1 or any(f" {word} " in padded for word in ("not", "no", "neither", "or", "cannot")):
            return None
        return held[0]

    def render(self, label: str) -> str:
        """The teacher's usual text for a label."""
        return render(label, self.renderings)

    def unparsed(self) -> int:
        """How many of the answers that were counted do not parse."""
        if self.kind in ("labels", "number"):
            texts = [(text, n) for held in self.state.answers.values() for text, n in held.items()]
            return sum([n for text, n in texts if self.parse(text) is None]) + self.state.overflow
        if self.kind != "label":
            return 0
        counts = self.counts()
        known = set(self.labels)
        lost = [n for label, n in counts.items() if label not in known and self._named_in(label) is None]
        return sum(lost) + self.state.overflow
