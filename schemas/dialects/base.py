"""What a dialect is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from jitr.schemas.calls import Call


@dataclass(frozen=True, slots=True)
class Origin:
    """What the event says of a call that the data itself may leave out."""

    id: str
    time: float
    tenant: str


class Dialect(Protocol):
    """One form of a call.

    Attributes
    ----------
    types : tuple of str
        Event types that are always of this dialect.
    form : str
        The form in a few words, for error messages.
    """

    @property
    def types(self) -> tuple[str, ...]: ...

    @property
    def form(self) -> str: ...

    def sniff(self, value: Any) -> bool:
        """Does decoded JSON look like this dialect?"""

    def read(self, value: Any, origin: Origin) -> Call:
        """Read it, or raise a `RecordError` that names the field."""
