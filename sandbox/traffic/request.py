"""What a stream of traffic is made of, whether it is generated or recorded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One chat-completions request with the truth that is never sent.

    Parameters
    ----------
    body : dict
        The body of `POST /v1/chat/completions`.
    task : str or None
        Name of the task it belongs to; None is an ad-hoc question.
    label : str or None
        The answer of a teacher that makes no mistake; None for ad-hoc questions.
    slot_value : str
        The varying part of the prompt.

    Examples
    --------
    >>> Request({"model": "m", "messages": []}, None, None, "hello").task is None
    True
    """

    body: Body
    task: str | None
    label: str | None
    slot_value: str


class Traffic(Protocol):
    """A workload: it makes requests, and it knows how the teacher answers them."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tasks in it."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that its requests ask for."""

    def __iter__(self) -> Iterator[Request]:
        """The stream, from its start; the same for the same seed."""

    def recognise(self, body: Mapping[str, Any]) -> tuple[str, str] | None:
        """The task of a request and its slot value, found from its messages; None for ad-hoc questions."""

    def true_answer(self, body: Mapping[str, Any]) -> str | None:
        """The answer of a teacher without noise; None for ad-hoc questions."""

    def answer(self, body: Mapping[str, Any], asking: int = 0) -> str:
        """What the teacher says when asked for the `asking`-th time."""

    def labels(self, task: str) -> Sequence[str]:
        """Every answer that a task can have."""
