"""The canonical dialect: `Call` itself as JSON."""

from __future__ import annotations

from typing import Any

from jitr.schemas.calls import Call
from jitr.schemas.dialects.base import Origin
from jitr.schemas.errors import RecordError
from jitr.schemas.record import convert


class Canonical:
    """`Call` as JSON; `id`, `time` and `tenant` may be left to the event, and a null is left out."""

    types = (Call.event_type,)
    form = "a call with `model` and `messages`"

    def sniff(self, value: Any) -> bool:
        """See `Dialect`."""
        return isinstance(value, dict) and "messages" in value and "choices" not in value

    def read(self, value: Any, origin: Origin) -> Call:
        """See `Dialect`."""
        if not isinstance(value, dict):
            raise RecordError(f"expected an object, got {type(value).__name__}", field="$", stage="dialect")
        base = {"id": origin.id, "time": origin.time, "tenant": origin.tenant}
        if None in value.values():
            value = {name: field for name, field in value.items() if field is not None}
        return convert({**base, **value}, Call, stage="dialect")
