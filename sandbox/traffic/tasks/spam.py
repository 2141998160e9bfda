# ruff: noqa: E501  (tables of words)
"""Spam or not: the slot value stands between two parts of the instruction."""

from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

PROMPT = """You filter the inbox of a small company. Here is a message that came in:

<<<
{slot_value}
>>>

Is it spam? Answer with exactly one word, SPAM or OK."""

KINDS = {
    "spam": (
        "[you have been|your number was|your address was] [*selected|drawn|chosen] for a [*prize|voucher|cash reward]",
        "[*claim|collect|unlock] your [*bonus|free gift|winnings] [before <day>|now|today]",
        "earn <amount> a [day|hour] [*from your sofa|with no experience|without lifting a finger]",
        "our [*pills|drops|supplement] [*melt fat|cure baldness|double your energy] in a week",
        "[*cheap|replica|unregistered] watches with [*90% off|worldwide shipping|no questions asked]",
        "your [*mailbox|wallet|parcel] will be [*suspended|locked|destroyed] unless you [*verify|click|tap] here",
        "I am a [*prince|widow|retired general] and wish to [*transfer a fortune|share an inheritance] with you",
        "[*guaranteed profit|risk-free returns|triple your coins] with our [*trading robot|crypto signal|insider list]",
        "[lonely singles|somebody in <place>] [*wants to meet you|sent you a hot picture|likes your profile]",
        "[*act now|last chance|do not wait], only [three|five|nine] [*seats|spots|licences] left",
    ),
    "ham": (
        "the [*meeting|workshop|stand-up] [on <day>|with <name>|] [*moves to room four|starts later|is cancelled]",
        "[could you|please] [*review my draft|proofread the report|look over the slides] [before <day>|]",
        "I [*attached|uploaded|enclosed] the [*minutes|contract|floor plan] for <name>",
        "the [*plumber|electrician|cleaner] [comes|came] [on <day>|] and needs [*the key|access to the cellar]",
        "[lunch|coffee] on <day> with [*the new colleague|our supplier|the auditors]",
        "<name> is [*on sick leave|on holiday|back from parental leave] [from <day>|this week]",
        "the [*server room|coffee machine|lift] is [*out of order|being serviced|fixed again]",
        "the [*offer|quotation|delivery note] for the <thing> [*is in the folder|needs your signature|went to <name>]",
        "[happy birthday|congratulations] [*from the whole office|from all of us|dear colleague]",
        "[*payroll|the tax office|the landlord] [asked for|needs|sent back] the form of <day>",
    ),
}
EITHER = (
    "this is [the second mail|a reminder] about it",
    "[see|more on] page <amount>",
    "[the code|the number|the reference] is <number>",
    "[reply|write|call] [to <name>|until <day>]",
    "[it takes|that needs] only [five|ten|twenty] minutes",
    "[greetings|regards] from <place>",
    "the [price|amount|sum] is <amount> [euros|dollars|pounds]",
    "[we|they] [met|spoke] in <place> on <day>",
)


def spam() -> SimulatedTask:
    """Messages to a company's inbox."""
    return SimulatedTask(
        name="spam",
        model="gpt-4.1-mini-simulated",
        prompt=Prompt((("user", PROMPT),)),
        grammar=Grammar(
            (Facet("kind", KINDS),), (("<kind>",),), EITHER, clauses=(0.35, 0.45, 0.2), distraction=0.4
        ),
        form=AnswerForm("{kind}", {"spam": "SPAM", "ham": "OK"}),
        noise=0.005,
        weight=1.2,
    )
