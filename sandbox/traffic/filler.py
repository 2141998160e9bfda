# ruff: noqa: E501  (tables of words)
"""Words that every task may use: names, days, things, manners, and ways of dismissing what one mentions."""

import random
from collections.abc import Callable

from jitr.sandbox.traffic.template import expand

# a sentence that holds one of these phrases says nothing about its text
DISMISSALS = (
    "sorted out", "no longer matters", "unrelated to this", "you can ignore", "according to", "last year",
    "my neighbour", "in the past", "a different matter", "has been settled", "claims that", "used to think",
)  # fmt: skip
DISMISSED = (
    "[last month|a while ago|in spring|before the holidays] <clause>, [but|though] that [has been|got|is] sorted out",
    "[yes|of course|true], <clause>, [but|only] it no longer matters",
    "unrelated to this: <clause>",
    "you can ignore [that|the fact that|my older note that] <clause>",
    "according to [<name>|a colleague|some forum post|the old notes] <clause>",
    "last year <clause>, [not this time|a closed chapter|that is history]",
    "my neighbour [told me|wrote|complained|mentioned] that <clause>",
    "in the past <clause>, [today is different|this is new|not any more]",
    "<clause>, which is a different matter",
    "<clause>, and that has been settled",
    "<name> claims that <clause>",
    "i used to think that <clause>",
)

RULES = {
    "name": "[Anna|Ben|Carla|Deniz|Elif|Farid|Grace|Hugo|Ines|Jonas|Kaya|Lena|Milan|Nora|Omar|Priya|Quentin|Rosa|"
    "Sven|Tara|Uwe|Vera|Wen|Yusuf|Zoe]",
    "day": "[Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|the weekend|last night|this morning|the 3rd|"
    "the 14th|the 21st|early May|mid June|late August|two days ago|a week ago]",
    "thing": "[kettle|headphones|backpack|desk lamp|coffee grinder|rain jacket|keyboard|bike helmet|blender|tent|"
    "office chair|air fryer|watch|speaker|drill|mattress|toaster|camera|vacuum cleaner|printer|suitcase|monitor]",
    "number": "[4471|A-2093|88 120|KX71|5563|R-770|1904|20 318|ZB-44|639|7712|Q3-15|91 002|B-118]",
    "place": "[Hamburg|Leeds|Porto|Lyon|Gent|Austin|Toronto|Malmo|Graz|Turin|Cork|Basel|Bristol|Tampere|Nantes]",
    "amount": "[12|19.90|34|48.50|75|99|120|249|310|18|64]",
    "opener": "[[hi|hello|hey|dear][ there| team| all| <name>|],|good [morning|afternoon|evening],|"
    "[sorry to bother you|quick note|just writing because of this|me again|not sure who to ask]|"
    "[hope you [are|are all] [well|doing fine]|greetings from <place>]|to whom it may concern,]",
    "closer": "[[thanks|thank you|many thanks|cheers][ in advance| a lot| for your help|], <name>|"
    "[best|kind|warm] [regards|wishes], <name>|[looking forward to your [reply|answer]|please let me know|"
    "tell me if you need [more|anything else|details]]|[sent from my [phone|tablet]|sorry for the long text]]",
}

CHATTER = (
    "[it is|this was] [order|reference|case|number] <number>",
    "[i live|we are|i am based] in <place> [now|these days|]",
    "[i bought|we got|i ordered] [the|a] <thing> on <day>",
    "[my|our] [partner|colleague|brother|boss|assistant] <name> [was there|knows more|is in copy|saw it as well]",
    "[i am writing from|i only have] [my phone|a train|the library|a borrowed laptop] [today|right now|]",
    "[i have been|we have been] [with you|a customer|around] for [two|three|five|eight|ten] years",
    "[the weather in <place> is [grey|lovely|odd] [today|this week]|<place> is busy on <day>]",
    "[i looked|we searched] [on the page|in the help texts|everywhere] [for a while|first|]",
    "[i read|somebody sent me|i saw] [the|your] [newsletter|page|leaflet] on <day>",
    "[<name> and i|the two of us|all of us] [talked|thought] about it on <day>",
    "[this is about|i mean|it concerns] the <thing> [from <day>|in <place>|]",
)


def common(rng: random.Random) -> Callable[[str], str]:
    """Fill the holes that every task shares.

    Raises
    ------
    KeyError
        No rule has that name.

    Examples
    --------
    >>> common(random.Random(3))("name") != ""
    True
    """

    def fill(name: str) -> str:
        return expand(RULES[name], rng, fill)

    return fill
