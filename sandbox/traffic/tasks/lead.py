# ruff: noqa: E501  (tables of words)
"""How warm a sales lead is. Hard on purpose: the teacher does not agree with itself, so nothing may be offered."""

from jitr.sandbox.traffic.filler import CHATTER
from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

PROMPT = """Score this note of a sales call. Say hot, warm or cold.
Note: {slot_value}"""

WARMTH = {
    "hot": (
        "[they|the client] [*asked for a contract|named a start date|want to sign]",
        "the [*budget is approved|decision maker was there|pilot convinced them]",
        "[*they pushed for an earlier date|legal reads our terms|they sent a purchase order]",
    ),
    "warm": (
        "[they|the client] [*want a second meeting|asked for references|compare three vendors]",
        "the [*need is clear|team is curious|demo went well], [*the budget is open|the timing is vague]",
        "[*they will come back to us|an internal champion helps|they like the idea]",
    ),
    "cold": (
        "[they|the client] [*have no budget|just renewed elsewhere|hung up early]",
        "the [*project is frozen|contact left|need is gone]",
        "[*no answer to four mails|they only wanted a price|not before next year]",
    ),
}


def lead() -> SimulatedTask:
    """Notes of sales calls; a quarter of the answers are drawn anew at each asking."""
    return SimulatedTask(
        name="lead-score",
        model="gpt-4.1-mini-simulated",
        prompt=Prompt((("user", PROMPT),)),
        grammar=Grammar((Facet("warmth", WARMTH),), (("<warmth>",),), CHATTER, distraction=0.4),
        form=AnswerForm("{warmth}"),
        noise=0.25,
        weight=0.8,
    )
