"""Your own form of log: a small class reads it into `Call`, which all of jitr takes.

Needs no server: the calls are scanned here. `Publisher.publish(call)` would put them on Kafka.

    python examples/own_dialect.py
"""

from collections.abc import Iterator
from typing import Any

from jitr import scan
from jitr.schemas.calls import Call, Message, Response
from jitr.schemas.dialects import Origin


class HelpdeskLog:
    """Rows of a helpdesk: what was asked of which model, and what it said."""

    types = ("com.example.helpdesk.v1",)
    form = "a row of the helpdesk with `asked` and `said`"

    def sniff(self, value: Any) -> bool:
        return isinstance(value, dict) and {"asked", "said"} <= value.keys()

    def read(self, value: Any, origin: Origin) -> Call:
        return Call(
            id=origin.id,
            time=origin.time,
            tenant=origin.tenant,
            model=value["engine"],
            messages=(Message(role="user", content=value["asked"]),),
            response=Response(text=value["said"]),
        )


TEAMS = {
    "Billing": ["invoice", "refund", "discount", "receipt", "fee", "account"],
    "Shipping": ["parcel", "courier", "box", "address", "label", "customs"],
}


def rows() -> Iterator[dict[str, str]]:
    for team, topics in TEAMS.items():
        for topic in topics:
            asked = f"Which team answers this question? Question: {topic}"
            yield {"engine": "big-llm", "asked": asked, "said": team}


dialect = HelpdeskLog()
calls = [dialect.read(row, Origin(f"row-{n}", float(n), "default")) for n, row in enumerate(rows(), 1)]
for task in scan(calls, support=8).tasks:
    print(f"{task.name}: {task.calls} calls to {task.model}, answers {dict(task.labels)}")
