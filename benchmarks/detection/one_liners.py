"""Streams that a benchmark makes itself: one-liners, prompts that differ in one word, and crossed topics."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from detection.streams import Prompt

_THINGS = """
    bicycle lantern umbrella kettle violin backpack telescope typewriter toaster compass ladder
    hammock thermos notebook candle blanket mirror teapot scooter tripod anvil wardrobe chessboard
    trumpet kayak
""".split()  # noqa: SIM905
_KINDS = """
    folding antique waterproof cordless wooden titanium rental second-hand miniature portable solar
    handmade discounted broken vintage inflatable electric ceramic travel children's
""".split()  # noqa: SIM905
_PLACES = """
    Lisbon Oslo Nairobi Hanoi Quito Tbilisi Montreal Perth Kyoto Lagos Sofia Lima Tunis Riga Bergen
    Cusco Dakar Porto Busan Leipzig Malmo Cork Ghent Izmir Pune Osaka Turin Graz Split Vigo
""".split()  # noqa: SIM905
_PEOPLE = """
    nurses plumbers students retirees teachers beekeepers violinists farmers pilots bakers lawyers
    joggers toddlers gardeners sailors tourists librarians cyclists welders painters
""".split()  # noqa: SIM905
_FIELDS = """
    taxation composting astronomy bookkeeping carpentry genetics insurance navigation pottery
    logistics irrigation fencing archery lacquering statistics weaving brewing cartography optics
    surveying
""".split()  # noqa: SIM905
_FOODS = """
    lentil pumpkin mackerel rhubarb barley mushroom fennel chestnut parsnip apricot buckwheat
    celeriac halloumi plum turnip rabbit quince sorrel polenta squid
""".split()  # noqa: SIM905
_DISHES = """
    soup pie curry salad stew risotto dumplings tart casserole pancakes
""".split()  # noqa: SIM905
_WORDS = """
    gather shallow brittle wander orchard sparse humble linger pebble ferment drowsy candid thrift
    tremble mellow barren clumsy furnish glimpse hollow ivory jostle knack lofty murmur nimble
    oblige pledge quaint rustle scorch tangle uphold vivid wither yearn zealous abide bloom coarse
    dwell evade flock grasp
""".split()  # noqa: SIM905

Filler = Callable[[random.Random], str]


def _thing(rng: random.Random) -> str:
    return f"{rng.choice(_KINDS)} {rng.choice(_THINGS)}"


def _place(rng: random.Random) -> str:
    return rng.choice(_PLACES) if rng.random() < 0.6 else f"{rng.choice(_PLACES)} and {rng.choice(_PLACES)}"


def _people(rng: random.Random) -> str:
    return f"{rng.choice(_PEOPLE)} in {rng.choice(_PLACES)}"


def _field(rng: random.Random) -> str:
    return f"{rng.choice(_FIELDS)} for {rng.choice(_PEOPLE)}"


def _food(rng: random.Random) -> str:
    return f"{rng.choice(_FOODS)} {rng.choice(_DISHES)}"


def _word(rng: random.Random) -> str:
    return rng.choice(_WORDS) if rng.random() < 0.5 else f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}"


YES_NO = ("Yes", "No")
TEXT: tuple[str, ...] = ()
SHORT = ("one", "two", "three", "four", "five", "six")

# a slot in mid sentence; the answers are of a closed set, or free text where there is none
ONE_LINERS: tuple[tuple[str, Filler, tuple[str, ...]], ...] = (
    ("Write a cheerful tweet about {} for our shop account.", _thing, TEXT),
    ("What is the usual price of a {} in a big city?", _thing, SHORT),
    ("Would you recommend {} to a first-time visitor?", _place, YES_NO),
    ("List three museums that {} is known for.", _place, TEXT),
    ("How many days should one stay in {} at least?", _place, SHORT),
    ("Draft a polite email asking {} to confirm the appointment.", _people, TEXT),
    ("Give me a slogan for {} that rhymes.", _thing, TEXT),
    ("Is {} suitable for somebody who eats no dairy?", _food, YES_NO),
    ("Can {} be frozen and eaten a week later?", _food, YES_NO),
    ("Explain {} to a ten year old.", _field, TEXT),
    ("Suggest a wine that goes well with {} please.", _food, ("riesling", "merlot", "rioja", "chablis")),
    ("Translate the word {} into German.", _word, TEXT),
    ("Use the word {} in a sentence about the sea.", _word, TEXT),
    ("Is the word {} a noun, a verb or an adjective?", _word, ("noun", "verb", "adjective")),
    ("How would {} be spelled in the phonetic alphabet?", _word, TEXT),
    ("Name the most common mistake that {} make at work.", _people, TEXT),
    ("Recommend a beginner's book on {} under twenty dollars.", _field, TEXT),
    ("Write the opening line of a novel in which {} is stolen.", _thing, TEXT),
    ("Rate the risk of insuring {} as low, medium or high.", _people, ("low", "medium", "high")),
    ("Does a {} count as hand luggage on most flights?", _thing, YES_NO),
    ("Which season is best for visiting {} with small children?", _place, ("spring", "summer", "autumn")),
    ("Compose a two-line product review of the {} as an angry customer.", _thing, TEXT),
    ("Tell me whether {} is a good gift for a colleague.", _thing, YES_NO),
    ("Give the shopping list for {} serving six guests.", _food, TEXT),
    ("Is a course on {} worth a full week?", _field, YES_NO),
    ("Describe the smell of {} without naming any ingredient.", _food, TEXT),
    ("What should {} wear on a rainy day at work?", _people, TEXT),
    ("Estimate the weight of a {} in kilograms.", _thing, SHORT),
    ("Find a rhyme for {} that a child would know.", _word, TEXT),
    ("Who would buy a {} at a flea market?", _thing, ("collectors", "students", "families")),
    ("Poem about {}, please", _field, TEXT),
    ("Can {} eat {}?", _thing, YES_NO),
    ("Is {} cheap?", _place, YES_NO),
)

# an open end, and few words: families of ad-hoc questions look like this too
OPEN_ENDED: tuple[tuple[str, Filler, tuple[str, ...]], ...] = (
    ("Write a tweet about {}", _thing, TEXT),
    ("tl;dr {}", _field, TEXT),
    ("{} or not?", _thing, YES_NO),
    ("Define {}", _word, TEXT),
    ("Capital of {}?", _place, TEXT),
    ("Is it safe to lend out a {}", _thing, YES_NO),
)


def one_liners(each: int, seed: int, *, open_ended: bool = False) -> list[Prompt]:
    """Calls of the one-liners, so many distinct ones of each at most."""
    rng = random.Random(seed)
    out: list[Prompt] = []
    for template, fill, answers in OPEN_ENDED if open_ended else ONE_LINERS:
        texts: dict[str, None] = {}
        for _ in range(each * 4):
            texts[template.format(fill(rng), fill(rng))] = None
            if len(texts) == each:
                break
        out += [Prompt(text, template, _answer(answers, rng)) for text in texts]
    rng.shuffle(out)
    return out


def _answer(answers: Sequence[str], rng: random.Random) -> str:
    if answers:
        return rng.choice(answers)
    words = [rng.choice((*_WORDS, *_THINGS, *_FOODS)) for _ in range(rng.randrange(18, 40))]
    return " ".join(words).capitalize() + "."


# two prompts that differ in a two-valued word, with the label sets of each: are the answers of two kinds?
PAIRS: tuple[tuple[str, tuple[str, str], Filler, tuple[tuple[str, ...], tuple[str, ...]]], ...] = (
    (
        "Name the {} of the following incident in one word.\nIncident: {}",
        ("cause", "effect"),
        _thing,
        (("wear", "misuse", "weather", "theft"), ("delay", "injury", "refund", "noise")),
    ),
    (
        "Give the {} of this guest as a single word.\nGuest: {}",
        ("mood", "room"),
        _people,
        (("calm", "angry", "tired"), ("single", "double", "suite")),
    ),
    (
        "Read the note and say in one word its {} step.\nNote: {}",
        ("first", "last"),
        _food,
        (("wash", "peel", "soak"), ("serve", "garnish", "chill")),
    ),
)


def pairs(each: int, seed: int, *, two: bool) -> list[Prompt]:
    """Calls of the pairs: `two` gives each word its own labels; else both words share all labels.

    In the first case each word is a task; in the second the word is a slot with two values.
    """
    rng = random.Random(seed)
    out: dict[str, Prompt] = {}
    for template, words, fill, labels in PAIRS:
        for i, word in enumerate(words):
            for n in range(each):
                text = template.format(word, f"{fill(rng)} number {n}, seen by {rng.choice(_PEOPLE)}")
                own = labels[i] if two else labels[0]
                out[text] = Prompt(text, f"{template}/{word}" if two else template, rng.choice(own))
    calls = list(out.values())
    rng.shuffle(calls)
    return calls


ASKS = (
    "Classify the sentiment of this message as positive, neutral or negative.\nMessage: ",
    "Rewrite the message below in formal English, and keep every fact.\n\n",
    "Extract every noun of the customer's message, separated by commas: ",
    "How urgent is it? Answer low, medium or high.\nText: ",
    "Translate what follows into Spanish.\n",
    "Write a short and friendly reply to this customer.\nCustomer: ",
)


def crossed(texts: Sequence[tuple[str, str]], seed: int) -> list[Prompt]:
    """Texts with their topics, each asked one of six things: what is asked and what it is about are
    independent.
    """
    rng = random.Random(seed)
    out = []
    for text, topic in texts:
        ask = rng.choice(ASKS)
        out.append(Prompt(ask + text, ask, None, topic))
    return out


def topical(n: int, seed: int) -> list[tuple[str, str]]:
    """Made-up texts with topics, for where no data is given."""
    rng = random.Random(seed)
    kinds: tuple[tuple[str, Filler], ...] = (
        ("thing", _thing),
        ("place", _place),
        ("food", _food),
        ("people", _people),
        ("field", _field),
    )
    out = []
    for i in range(n):
        topic, fill = rng.choice(kinds)
        said = f"I asked about the {fill(rng)} and the {fill(rng)} on day {i}, but got no answer"
        out.append((said, topic))
    return out


_OPENINGS = """
    What is; How do I; Why does; Tell me about; Write; List some; Can you; Give me an idea for; Who
    was; Summarise; Help me with; Compare; When did; Explain; Which; Make a plan for; Is it true
    that; Describe; Name; Find
"""


def adhoc(n: int, seed: int) -> list[Prompt]:
    """Made-up prompts that are no task: common openings, and words at random."""
    rng = random.Random(seed)
    words = [*_WORDS, *_THINGS, *_KINDS, *_PLACES, *_PEOPLE, *_FIELDS, *_FOODS, *_DISHES]
    openings = [" ".join(part.split()) for part in _OPENINGS.split(";")]
    links = ("the", "a", "for", "and", "of", "with", "in", "to", "my", "when")
    texts: dict[str, None] = {}
    while len(texts) < n:
        said = [rng.choice(words if rng.random() < 0.7 else links) for _ in range(rng.randrange(3, 14))]
        texts[f"{rng.choice(openings)} {' '.join(said)}{rng.choice('?.!')}"] = None
    return [Prompt(text, None, None) for text in texts]
