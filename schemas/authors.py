"""Who made an event, as far as its signature tells; `schemas.signing` finds it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from jitr.schemas.errors import RecordError

Maker = Literal["gateway", "worker", "person"]
Kind = Maker | Literal["unchecked", "unsigned", "forged"]
# type, source, id and data of an event -> its signature
Seal = Callable[[str, str, str, bytes], str]


@dataclass(frozen=True, slots=True)
class Author:
    """Who made an event, as far as its signature tells.

    ``unchecked``: no keys are set, and everybody is believed. ``unsigned`` and ``forged`` are nobody.

    Examples
    --------
    >>> str(Author("person", "ada", "0f3c")), str(Author("worker", "", "77aa")), str(Author("forged"))
    ('ada (key 0f3c)', 'worker (key 77aa)', 'forged')
    """

    kind: Kind
    name: str = ""
    key: str = ""

    def __str__(self) -> str:
        return f"{self.name or self.kind} (key {self.key})" if self.key else self.kind

    def must_be(self, *kinds: Maker, by: str | None = None) -> None:
        """Raise a `RecordError` unless it is one of these; a person also only under its own name."""
        if self.kind == "unchecked":
            return
        if self.kind not in kinds:
            said = {"unsigned": "is not signed", "forged": "has a signature that does not verify"}
            reason = said.get(self.kind, f"is signed by {self}")
            wanted = " or ".join(f"a {kind}'s" if kind != "gateway" else "the gateway's" for kind in kinds)
            raise RecordError(
                f"{reason}; expected {wanted} key ([signing] of the settings)", stage="signature"
            )
        if self.kind == "person" and by is not None and by != self.name:
            raise RecordError(f"says that it is by {by[:50]!r}, and is signed by {self}", stage="signature")


UNCHECKED: Final = Author("unchecked")
UNSIGNED: Final = Author("unsigned")
FORGED: Final = Author("forged")
