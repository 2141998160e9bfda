# ruff: noqa: E501  (tables of words)
"""One-off questions: traffic that is no task.

A miner of prompts would find any frame that comes back, so no clause here is fixed: openings, questions, conditions
and endings are all written from small parts, and most texts hold only some of them.
"""

import random

from jitr.sandbox.traffic.request import Body, Request
from jitr.sandbox.traffic.task import unit
from jitr.sandbox.traffic.template import expand

MODELS = ("gpt-4.1-simulated", "gpt-4.1-mini-simulated")

RULES = {
    "text": "[<ask>|<ask>|<ask> <why>|<setting> <ask>|<setting>. <ask>|<ask>. <wish>|<setting>, and <setting>. <ask> <why>|"
    "<wish>: <ask>|<state>. <ask>|<state>, so <ask>|<ask>, <state>|<np>: <ask>|<ask>\n\n<state>. <state>.|"
    "<state>. <wish>. <ask>|<tell>|<tell>|<tell> <why>|<setting> <tell>|<tell>. <wish>|<code>]",
    "ask": "[how [do|would|could|should|might|can] <who> <verb> <np>[?| <place>?| <place>]|"
    "what [happens to|makes|distinguishes|matters most about|went wrong with|is behind|do people mean by] <np>[?| <place>?]|"
    "why [do|did|would|should|don't] <people> <verb> <np>[?|]|"
    "[when|since when|until when] did <people> <verb> <np>?|"
    "which <noun> [suits|fits|belongs to|goes with|came before|outlasts] <np>[?|]|"
    "is it [wise|legal|possible|common|rude|cheaper|safe] to <verb> <np> <place>?|"
    "[could|can|would] <np> [ever |really |] [replace|ruin|improve|survive|explain] <np>?|"
    "who [first |really |] [made|wrote|paid for|needs|forgot] <np>[?| <place>?]|"
    "does <np> [need|outlive|cost more than|resemble|predate] <np>?|"
    "<np> or <np> [for <people>|<place>|]?|"
    "[how many|how much|how old|how heavy] [is|are|were] <np> <place>?|"
    "[name|list] [two|three|four|six|nine|a few] [ways|reasons|places] to <verb> <np>|"
    "what would <people> [say about|pay for|do with|think of] <np>?]",
    "tell": "[[write|draft|compose|invent] [a|one] [<adj> |] [poem|limerick|letter|toast|speech|riddle|menu|story|dialogue|"
    "packing list|obituary|slogan] [about|for|on|in which <people> <verb>] <np>|"
    "[explain|summarise|compare|sketch|outline|defend|question] <np> [to|for|like] <people>|"
    "[compare|rank|contrast] <np>, <np> and <np>|"
    "[help me|teach me to|remind me how to|show me how to] <verb> <np>|"
    "[how does one say|what is] <noun> in <tongue>[, and in <tongue>|]|"
    "[plan|design|budget] [a|one] [<adj> |] [weekend|evening|workshop|dinner|trip|lesson] [with|around|without] <np>|"
    "<verb> <np> and then <verb> <np>|"
    "tell <people> [why|that|how] <np> [matters|failed|sells|lasts]]",
    "who": "[I|we|you|one|someone|a beginner|my team|<people>]",
    "people": "[old friends|toddlers|engineers|my aunt|our landlord|sailors|monks|tourists|nurses|teenagers|the Romans|bakers|"
    "lawyers|birds|startups|choirs|the Dutch|farmers|goalkeepers|a jury|students|grandparents|ants|critics|painters|"
    "my flatmate|voters|cyclists|librarians|dentists|hikers|parents|neighbours|clowns|pilots|gamblers|editors]",
    "verb": "[repair|store|describe|measure|cook|paint|sell|compare|sharpen|record|insulate|photograph|memorise|tune|recycle|"
    "decorate|price|test|grow|borrow|transport|name|weigh|date|cut|dry|film|cite|prune|frame|balance|catalogue|season|"
    "label|sew|ferment|map|digitise|polish|juggle|insure|pitch|abandon|study|hide|wash|simulate|import|bless|rescue|"
    "negotiate|translate|debug|fold|preserve|appraise|plot|simplify|teach|avoid]",
    "np": "[a|the|my|our|every|this|one] [<adj> |<adj> |<adj>, <adj> |]<noun>[| of <noun>s| <place>| from <city>| with <noun>s|]",
    "adj": "[rusty|medieval|silent|cheap|borrowed|tiny|royal|broken|spicy|frozen|blue|famous|rural|electric|wooden|noisy|"
    "forgotten|heavy|Victorian|folding|sour|portable|haunted|recursive|hollow|tropical|formal|leaky|lazy|elegant|bitter|"
    "northern|stubborn|nuclear|paper|brass|digital|humble|striped|endless|foreign|salty|modern|crooked|polite|second]",
    "noun": "[violin|sourdough|treaty|glacier|compiler|beehive|mortgage|sonnet|volcano|tram|chess opening|saddle|comet|proxy|"
    "wedding|lighthouse|spreadsheet|camel|vaccine|drum|castle|haiku|bicycle|garden|satellite|loom|novel|falcon|bridge|"
    "marathon|omelette|passport|theorem|kimono|orchard|tax|dialect|submarine|mushroom|museum|kernel|harbour|tattoo|clock|"
    "parrot|election|curry|waltz|desert|microscope|carpet|ballad|canal|eclipse|hammer|library|regex|pension|zebra|opera|"
    "quilt|database|river|cathedral|mask|battery|puzzle|lantern|recipe|coin|ladder|storm|fossil|island|telescope|ticket]",
    "place": "[in <city>|near <city>|at sea|before <season>|after <season>|on a <adj> boat|under <num> euros|in <num> minutes|"
    "without a <noun>|since <year>|during <season>|by <num> o'clock|around <year>|for <num> guests|between two <noun>s]",
    "city": "[Oslo|Lima|Kyoto|Cairo|Ghent|Quito|Perth|Tbilisi|Fez|Cork|Hanoi|Split|Bergen|Dakar|Leiden|Salta|Riga|Osaka|Bath]",
    "season": "[winter|Easter|the harvest|lunch|the war|rush hour|Ramadan|spring|the finals|midnight|carnival|payday|dawn]",
    "num": "[3|5|7|11|14|20|26|40|55|80|95|120|300|750]",
    "year": "[1066|1492|1618|1789|1815|1848|1905|1929|1956|1969|1977|1984|1991|2003|2012|2019]",
    "tongue": "[Danish|plain English|Latin|Korean|Swahili|legalese|Basque|rhyme|Polish|baby talk|Farsi|Morse code]",
    "setting": "[[for|because of|thinking about|after reading about|besides|given] <np>[,|]|"
    "[my|our|his|her] <noun> [broke|arrived|is missing|sings|leaks|won] <place>[,|]|"
    "<people> [gave|sold|showed|sent] me <np>[,|]|[as|being] one of <num> <adj> <people>[,|]]",
    "state": "[<people> [say|doubt|insist|forget] that <np> [fails|helps|hums|costs <num>|came from <city>]|"
    "[I|we|they] [own|found|lost|sold|inherited|dropped] <np> <place>|<np> [is|was|seems] <adj> [and|but|though] <adj>|"
    "[nobody|hardly anyone|half of <city>] [can|will|did] <verb> <np>|[it|that] took <num> <people> to <verb> <np>]",
    "why": "[because <people> <verb> it|if <np> [fails|helps|is <adj>]|so that <people> can <verb> it|unless it is <adj>|"
    "when <people> are <adj>|although <np> is <adj>|and should <who> <verb> it <place>]",
    "wish": "[[use|take|spend|need] [at most|about|exactly|under] <num> [words|lines|minutes|bullets|syllables]|"
    "[sound|be|stay|write] [<adj>|like <people>|as if <place>]|[mention|skip|leave out|end with|start with] <np>|"
    "[no|two|some|fewer] <noun>s[, please|]|[assume|pretend] <state>|[it is|that is] for <people> <place>]",
    "code": "[[def|fn|func|sub] <verb>_<code_noun>(<code_noun>s): [return|yield] [<code_noun>.<verb>()|<num>]\n<ask>|"
    "[select|delete|update] <code_noun>.<verb>_id, <code_noun>.<noun> <place>: <ask>|"
    "$ <verb> --<code_noun>=<num> /<noun>/<code_noun>\n<code_noun>: [cannot|will not|failed to] <verb>\n<ask>|"
    "<code_noun>[Error|Warning|Timeout]: <verb>() got <num> <code_noun>s. <ask>]",
    "code_noun": "[node|row|token|frame|cell|batch|user|event|pixel|shard|leaf|chunk|edge|ticket|vertex|job|lock|queue|page|hash]",
}
ANSWER = (
    "[<people> would|most <people>|hardly any <people>] [say|agree|find] that <np> [tends to|may|will|rarely does] <verb> <np>"
    " <place>. <state>. [<state>, <why>.|<wish>.|<state>. <state>.|]",
    "<state>, <why>. <np> [can|should|might] <verb> <np>[, <why>|]. [<state>.|<wish>.|]",
    "<setting> [try to|it helps to|better] <verb> <np> and [then|later|never] <verb> <np> <place>. <state>. <state>.",
    "<verb> <np>; <verb> <np> <place>; <verb> <np>, <why>",
    "<np>. <np>. <np>. [<state>.|]",
)


def adhoc(rng: random.Random) -> Request:
    """A question that nobody asks twice: as one message, or with some turns before it.

    Examples
    --------
    >>> adhoc(random.Random(1)).task is None
    True
    """
    question = _sentence("<text>", rng)
    messages = [{"role": "user", "content": question}]
    if rng.random() < 0.15:
        earlier = _sentence("<text>", rng)
        messages = [
            {"role": "user", "content": earlier},
            {"role": "assistant", "content": adhoc_answer(earlier)},
            *messages,
        ]
    body: Body = {"model": rng.choice(MODELS), "messages": messages}
    if rng.random() < 0.4:
        body["temperature"] = rng.choice((0.2, 0.5, 0.7, 1.0))
    return Request(body, None, None, question)


def adhoc_answer(question: str, asking: int = 0) -> str:
    """Free text that sounds like an answer; the same for the same question and asking.

    Examples
    --------
    >>> adhoc_answer("Why?") == adhoc_answer("Why?") != adhoc_answer("How?")
    True
    """
    rng = random.Random(unit("adhoc", question, asking))
    return _sentence(rng.choice(ANSWER), rng)


def _sentence(template: str, rng: random.Random) -> str:
    def fill(name: str) -> str:
        return expand(RULES[name], rng, fill)

    lines = expand(template, rng, fill).split("\n")
    text = "\n".join(" ".join(line.split()) for line in lines)
    if rng.random() < 0.65:
        return text[:1].upper() + text[1:]
    return text
