# ruff: noqa: E501  (tables of words)
"""The sentiment of a product review: one user message, instruction before the slot value."""

from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

PROMPT = """Classify the sentiment of the product review below as Positive, Negative or Neutral. Judge what the reviewer
thinks, not what others are quoted with.

Review: {slot_value}
Sentiment:"""

MOODS = {
    "positive": (
        "[it is|this is|what] a [*great|lovely|superb|brilliant|fantastic] <thing>",
        "the <part> [is|feels|looks] [really |so |very |][*excellent|gorgeous|solid|well made|flawless]",
        "I am [really |so |very |][*happy|pleased|delighted|impressed|thrilled] with the <part>",
        "[everyone|my family|our team] [*loves|enjoys|adores|praises] [it|the <thing>]",
        "I would [*buy it again|recommend it|order another one] [any time|without a doubt|]",
        "the <part> [*works like a charm|exceeds what I hoped for|is worth every cent]",
        "the <part> is [not|never|hardly] [*awful|flimsy|annoying|useless|ugly]",
        "[*five stars|thumbs up|hats off] for the <part>",
    ),
    "negative": (
        "[it is|this is|what] a [*terrible|horrible|dreadful|pathetic|lousy] <thing>",
        "the <part> [is|feels|looks] [really |so |very |][*awful|flimsy|annoying|useless|ugly]",
        "I am [really |so |very |][*disappointed|annoyed|frustrated|angry|unhappy] with the <part>",
        "[everyone|my family|our team] [*hates|dislikes|mocks|avoids] [it|the <thing>]",
        "I [*regret buying it|want a refund|threw it away] [after <day>|]",
        "the <part> [*broke at once|fell apart|smells of glue|stopped working|wobbles]",
        "the <part> is [not|never|hardly] [*excellent|gorgeous|solid|well made|flawless]",
        "[*one star|thumbs down|a waste of money] for the <part>",
    ),
    "neutral": (
        "[it is|this is|just] an [*average|ordinary|unremarkable|everyday] <thing>",
        "the <part> [is|feels|looks] [*okay|acceptable|middling|passable|so-so]",
        "the <part> [*does its job|does what it says|is what one expects]",
        "[some like it, some do not|there are ups and downs|pros and cons], [*I have no opinion|I am undecided|hard to say]",
        "the <part> is [*nothing special|neither here nor there|in the middle of the field]",
        "[*three stars|mixed feelings|a shrug] for the <part>",
        "[for <amount> euros|for the price|compared with the old one] it is [*fair enough|comparable|as expected|standard]",
    ),
}
PARTS = "[handle|finish|sound|box|manual|cable|battery|colour|lid|grip|zip|smell|weight|size|look|price|service|delivery]"
CONTEXT = (
    "[bought|ordered|got] [it|the <thing>] on <day>",
    "[I use it|we use it] [daily|on weekends|at work|in <place>]",
    "it [was|is] a [gift|present] for <name>",
    "[my old one|the one before] lasted [two|four|six] years",
    "the colour is [red|dark green|grey|sand|navy]",
    "it [weighs|measures] about <amount> [kilos|inches|centimetres]",
    "[this review is about|I mean] the [second|new|small|big] [version|model|edition]",
    "it stands in the [kitchen|hall|office|garage|attic]",
)


def sentiment() -> SimulatedTask:
    """Product reviews in three moods, with negations and quoted opinions."""
    moods = {
        mood: tuple(text.replace("<part>", PARTS) for text in templates) for mood, templates in MOODS.items()
    }
    return SimulatedTask(
        name="sentiment",
        model="gpt-4.1-simulated",
        prompt=Prompt((("user", PROMPT),)),
        grammar=Grammar(
            (Facet("mood", moods),),
            (("<mood>",),),
            CONTEXT,
            clauses=(0.25, 0.45, 0.3),
            opposites={"positive": "negative", "negative": "positive"},
            polite=False,
        ),
        form=AnswerForm("{mood}", {"positive": "Positive", "negative": "Negative", "neutral": "Neutral"}),
        noise=0.01,
        weight=1.3,
    )
