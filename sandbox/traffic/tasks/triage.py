# ruff: noqa: E501  (tables of words)
"""Which queue a support ticket belongs to: a system prompt, and the ticket as the user's message."""

from jitr.sandbox.traffic.filler import CHATTER
from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import HOLE, Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

SYSTEM = """You route support tickets for an online shop. Read the customer's message and name the queue that has to
handle it: billing, technical, shipping, returns, account or sales. If several things are mentioned, choose the one
that still needs work. Reply with the name of the queue and nothing else."""

QUEUES = {
    "billing": (
        "[I was|we were|my company was] [*charged|billed|debited] [*twice|double|two times] for [one|the same] <thing>",
        "the [*invoice|receipt|statement] shows [*<amount> too much|the wrong amount|a strange fee]",
        "the [*VAT|tax] on my [*invoice|bill|receipt] [is|looks] wrong",
        "[my bank says|I see that] the [*direct debit|credit card payment|bank transfer] [*bounced|was declined|failed]",
        "please [correct|explain] the [*surcharge|late fee|extra cost] of <amount> euros",
        "[there is|I found] a [*payment|amount] of <amount> [*that I cannot explain|nobody can account for]",
        "I need a [*copy of the bill|pro forma|credit note] for [*accounting|my tax adviser|the books]",
    ),
    "technical": (
        "the app [*crashes|freezes|hangs] [when|each time] I open the <thing> page",
        "[*an error message|error 500|a blank screen] [comes up|appears] after the last [*update|release]",
        "the [*firmware|software|driver] of my <thing> [*will not install|keeps restarting|is stuck]",
        "the <thing> does not [*pair|connect|sync] with my [*bluetooth|wifi|laptop]",
        "the [*website|checkout page|search box] [*does not load|times out|shows gibberish]",
        "[*the battery drains|the display flickers|the sensor reads nonsense] since <day>",
        "[I tried|we tried] a [*reset|reboot|reinstall] and the [*bug|glitch|fault] is still there",
    ),
    "shipping": (
        "the [*parcel|package|box] [*has not arrived|is late|is nowhere] since <day>",
        "the [*tracking number|tracking page|courier's site] [*shows no movement|stays empty|says in transit]",
        "the [*courier|driver|carrier] [*rang at the wrong door|left it in the rain|never came]",
        "can the [*delivery|shipment] go to [*another address|my office|a pick-up point] in <place>",
        "when will the <thing> [*be dispatched|leave the warehouse|be on its way]",
        "it is [*held at customs|stuck in a depot|lying at the post office] in <place>",
        "only [*half of the shipment|one of two boxes|an empty carton] [came|was brought] on <day>",
    ),
    "returns": (
        "I want to [*send back|return|give back] the <thing>",
        "the <thing> came [*broken|scratched|with a dent] and I would like [*a replacement|an exchange|another one]",
        "where do I find the [*return label|return form|RMA number]",
        "the <thing> is [*too small|the wrong colour|not as pictured], [*I want my money back|please take it back]",
        "is it still within the [*return window|30 days|withdrawal period]",
        "I [*sent it back|posted the return|dropped off the return] on <day> and [*the refund|my money] is missing",
        "the [*warranty|guarantee] should cover [*a repair|a swap] of the <thing>",
    ),
    "account": (
        "I cannot [*log in|sign in] since <day>",
        "the [*password|PIN|security code] [*is rejected|never reaches my inbox|expired]",
        "please [*change my e-mail|update my phone number|correct my surname] in [*my profile|my settings|the customer record]",
        "I would like to [*delete my account|close my account|erase my data]",
        "[someone|a stranger] [*got into my profile|used my login|changed my password]",
        "the [*two-factor|verification|confirmation] [*code|link|mail] [does not come|is dead]",
        "I have [*two logins|two profiles|a duplicate account] and want to [*merge them|keep one]",
    ),
    "sales": (
        "do you offer [*a discount|volume prices|a quote] for [*forty|two hundred|a dozen] pieces of the <thing>",
        "[*which model|which version] of the <thing> would you [*recommend|suggest] for a school",
        "is the <thing> [*in stock|available again|coming back] [soon|in <place>|]",
        "we [*consider buying|plan to order|are comparing offers for] a <thing>",
        "[could somebody|can you] [*give us a demo|show us the catalogue|call about an offer]",
        "what [*does the premium plan cost|is the price of the bundle|would a subscription cost]",
        "are there [*resellers|dealers|a showroom] near <place>",
    ),
}


def triage() -> SimulatedTask:
    """Support tickets to six queues."""
    return SimulatedTask(
        name="ticket-triage",
        model="gpt-4.1-simulated",
        prompt=Prompt((("system", SYSTEM), ("user", HOLE))),
        grammar=Grammar((Facet("queue", QUEUES),), (("<queue>",),), CHATTER),
        form=AnswerForm("{queue}"),
        noise=0.005,
        weight=1.2,
    )
