# ruff: noqa: E501  (tables of words)
"""Moderation of forum posts: a system prompt and an instruction around the slot value."""

from jitr.sandbox.traffic.filler import CHATTER
from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

SYSTEM = "You are the moderator of a hobby forum. You judge posts by our rules and give one verdict for each."
PROMPT = """Rules: no insults, no threats, no private data of others, no advertising.

Post:
\"\"\"{slot_value}\"\"\"

Reply with "Verdict: " and one of fine, insult, threat, private, advertising."""

VERDICTS = {
    "fine": (
        "[*thanks for the guide|nice photos|lovely build], [*the trick with the sandpaper helped|well explained]",
        "[has anyone|did someone] [*compared|tested|painted] [*both glues|the small kit|the older kits]",
        "[*my first attempt|my second layout|the next project] [is ready|is coming along], [*feedback is welcome|pictures follow]",
        "I [*disagree politely|see it another way|would use another colour], [*but good work|tastes differ]",
        "[where|when] [is|was] the [*club evening|exhibition|swap meet] [in <place>|on <day>|]",
        "[*the varnish needs a day to dry|sand it twice|use a thinner brush]",
    ),
    "insult": (
        "[<name> is|you are|people here are] [*an idiot|a clown|a loser|a fool]",
        "[only a|what a] [*moron|brainless amateur|dimwit|halfwit] [builds|paints|posts] [like that|such a thing]",
        "your [work|post|layout] is [*as stupid as you|garbage like its maker|an embarrassment, like you]",
        "[*shut your mouth|nobody can stand you|go back to kindergarten]",
        "[you|they] are [*too dumb|too thick|too dense] to [*hold a brush|read a manual|glue two parts]",
    ),
    "threat": (
        "[watch out <name>|you there], [*I know where you live|I will find you|you will regret it]",
        "[*next time you bleed|I will break your fingers|your windows will not last]",
        "[if I|should I] [see|meet] you in <place>, [*you are done|it will hurt|bring a doctor]",
        "[*sleep with one eye open|better lock your door|look behind you on your way home]",
        "[somebody|I] should [*burn your workshop|smash your car|beat you up]",
    ),
    "private": (
        "[<name>'s|her|his] [*home address|street and house number|doorbell] [is|reads] <number> <place>",
        "[here is|I found] the [*mobile number|private phone|e-mail] of <name>: <number>",
        "[<name>|the moderator] [*is in hospital|has been diagnosed|goes to therapy], [*I have the papers|I saw the file]",
        "[this is|see] a [*scan of the passport|copy of the payslip|photo of the licence plate] of <name>",
        "[*the bank details|the children's school|the real surname] of <name> [is|are] [easy to find|<number>]",
    ),
    "advertising": (
        "[visit|see|try] [my|our] [*web shop|store|channel] for [*the best kits|unbeatable prices|limited offers]",
        "[use|enter] [the|our] [*coupon|promo code|affiliate link] <number> [*and save|for ten percent]",
        "[*buy two, get one|free shipping this week|big clearance sale] [at|from] <name>'s",
        "[*follow my page|subscribe to my videos|join my paid course] [and win|to learn more|]",
        "[*we sell|we deliver|we now stock] [paints|kits|tools] [*at wholesale prices|all over the world|to your door]",
    ),
}


def moderation() -> SimulatedTask:
    """Forum posts with five verdicts."""
    return SimulatedTask(
        name="moderation",
        model="gpt-4.1-mini-simulated",
        prompt=Prompt((("system", SYSTEM), ("user", PROMPT))),
        grammar=Grammar((Facet("verdict", VERDICTS),), (("<verdict>",),), CHATTER, clauses=(0.35, 0.45, 0.2)),
        form=AnswerForm("Verdict: {verdict}"),
        noise=0.01,
    )
