# ruff: noqa: E501  (tables of words)
"""How urgent a request is: a few-shot block in one user message."""

from jitr.sandbox.traffic.filler import CHATTER
from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

PROMPT = """Rate how urgent each request to our IT desk is.

Request: The mail server is down and a hundred people are waiting.
Urgency: high

Request: My second monitor arrived, somebody could set it up this week.
Urgency: medium

Request: Some day I would like a quieter keyboard.
Urgency: low

Request: {slot_value}
Urgency:"""

LEVELS = {
    "high": (
        "[*nobody|no one|not a single team] in <place> [can work|gets anything done|reaches the files]",
        "[production|the whole line|the shop] [*stands still|is down|stopped]",
        "we [*lose money|lose orders|miss payments] [every minute|by the hour]",
        "[the board|a customer|the press] [*is waiting on the line|sits in my office|is furious]",
        "[it has to|this must] [be fixed|run] [*right now|at once|within the hour|immediately]",
        "[*smoke|water|sparks] [comes|is coming] out of the <thing>",
        "[someone|an attacker] [*is copying our data|encrypts the drives|got the admin rights]",
        "the [*deadline is tonight|audit starts in an hour|launch is at noon]",
    ),
    "medium": (
        "[my|<name>'s] <thing> [*works only half of the time|has become slow|drops out now and then]",
        "[it would help|please see to it] [*by the end of the week|within a few days|before the next sprint]",
        "[*two of us|part of the team|one department] [cannot|can not] use the <thing>",
        "there is a [*workaround|detour], but it [*costs us time|is tedious|will not last]",
        "[a new colleague|<name>] [starts|begins] [*next week|on the 1st] and needs [*a laptop|access rights|a badge]",
        "the [*licence runs out|certificate expires|lease ends] [*in ten days|this month|soon]",
        "[*tomorrow is fine|any time this week|when the morning rush is over]",
        "the [*reports come late|backups take longer|scans fail at times]",
    ),
    "low": (
        "[some day|at some point] [it would be nice|one could think of] [*a nicer wallpaper|a bigger desk|other icons]",
        "[*no hurry|no rush|take your time]",
        "[*whenever you have a quiet minute|in the next quarter|when you are bored]",
        "[I was just wondering|out of curiosity], [*is there a tip|how does it work inside|who chose the colour]",
        "[*a cosmetic thing|a small wish|a matter of taste]: the <thing> [could be|should be] [*prettier|rounder|bluer]",
        "[we can|one can] [*live with it|wait|do without] [for months|until next year|]",
        "[it is only|just] a [*suggestion|thought|typo on the intranet page]",
        "[*put it at the end of your list|add it to the wish list|it is not important to me]",
    ),
}


def urgency() -> SimulatedTask:
    """Requests to an IT desk at three levels."""
    return SimulatedTask(
        name="urgency",
        model="gpt-4.1-simulated",
        prompt=Prompt((("user", PROMPT),)),
        grammar=Grammar((Facet("level", LEVELS),), (("<level>",),), CHATTER, clauses=(0.35, 0.45, 0.2)),
        form=AnswerForm("{level}"),
        noise=0.005,
    )
