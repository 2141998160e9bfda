"""A recorded task: prompts built round its items, and the answers on record."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jitr.sandbox.traffic.prompt import HOLE, Prompt

LONGEST = 1000  # characters of a slot value; longer ones are cut at a word
FEWEST_ROWS = 500
MOST_LABELS = 100  # a few thousand calls cannot teach more
ROWS_PER_LABEL = 20


@dataclass(frozen=True, slots=True)
class RecordedTask:
    """One task.

    Parameters
    ----------
    name, model : str
        The task's name (never sent) and the model that its requests ask for.
    prompt : Prompt
        Its instruction.
    answers : mapping of str to str
        Slot value to the recorded answer.
    labels : sequence of str
        The answers that the prompt offers.
    """

    name: str
    model: str
    prompt: Prompt
    answers: Mapping[str, str]
    labels: Sequence[str]

    def body(self, slot_value: str) -> dict[str, Any]:
        """The request body for a slot value."""
        return {"model": self.model, "messages": self.prompt.render(slot_value), "temperature": 0.0}


def tidy(text: str) -> str:
    """A slot value as it is sent: no markup of line breaks, not too long.

    Examples
    --------
    >>> tidy(" One.<br /><br />Two. ")
    'One. Two.'
    """
    lines = (" ".join(line.split()) for line in text.replace("<br />", " ").strip().split("\n"))
    text = "\n".join(lines)
    return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " ..."


def closed(rows: Iterable[tuple[str, str]]) -> dict[str, str] | None:
    """Slot value to label, if the labels are a closed set with enough rows to learn it from; else None.

    Labels that hardly ever occur mark rows without a label, and are left out.
    """
    answers = {tidy(text): label.strip() for text, label in rows if text.strip() and label.strip()}
    counts = Counter(answers.values())
    if not counts or len(counts) > max(MOST_LABELS, len(answers) / ROWS_PER_LABEL):
        return None
    rare = {label for label, count in counts.items() if count * len(counts) * 10 < len(answers)}
    answers = {text: label for text, label in answers.items() if label not in rare}
    labels = len(counts) - len(rare)
    enough = len(answers) >= max(FEWEST_ROWS, labels * ROWS_PER_LABEL)
    return answers if enough and 2 <= labels <= MOST_LABELS else None


def choices(labels: Sequence[str]) -> str:
    """Labels as a list in a prompt.

    Examples
    --------
    >>> choices(["a", "b"])
    'a, b'
    """
    return ", ".join(labels)


def system_prompt(labels: Sequence[str]) -> Prompt:
    """The labels in a system prompt, the slot value alone in the user's message."""
    text = "Put the user's text into exactly one of these classes and reply with the name of the class only: "
    return Prompt((("system", text + choices(labels) + "."), ("user", HOLE)))


def instruction_around(labels: Sequence[str]) -> Prompt:
    """One message: the slot value between two parts of the instruction."""
    text = (
        f"Read this text:\n---\n{HOLE}\n---\nWhich label fits it best? Choose from: {choices(labels)}. Label:"
    )
    return Prompt((("user", text),))


def instruction_after(labels: Sequence[str]) -> Prompt:
    """One message: first the slot value, then the instruction."""
    text = f"Sentence: {HOLE}\n\nName the one category that the sentence above belongs to, out of these: "
    return Prompt((("user", text + choices(labels)),))


def definition_first(definition: str, labels: Sequence[str]) -> Prompt:
    """One message: a task's own definition, its options, and the slot value."""
    text = f"{definition.strip()}\nOptions: {choices(labels)}\n\n{HOLE}\n\nAnswer:"
    return Prompt((("user", text),))
