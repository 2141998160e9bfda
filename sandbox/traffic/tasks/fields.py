# ruff: noqa: E501  (tables of words)
"""Closed fields of an order complaint, as a JSON object: system prompt, response format, text under a header."""

from jitr.sandbox.traffic.filler import CHATTER
from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

SYSTEM = """Extract three fields from a customer's message and reply with one JSON object:
"area": the room that the product belongs to, one of "kitchen", "garden", "office", "travel";
"wish": what the customer wants, one of "refund", "replacement", "repair", "advice";
"contact": how to answer, one of "phone", "mail", "chat". Copy nothing else."""

AREAS = {
    "kitchen": (
        "the [*kettle|blender|toaster|frying pan] [stopped|acts up|gave up] [on <day>|]",
        "it is about the [*coffee grinder|rice cooker|bread knife|mixer]",
        "I bought [a|the] [*waffle iron|cutting board|stock pot|juicer] [in <place>|]",
    ),
    "garden": (
        "the [*lawn mower|hedge trimmer|hose|parasol] [stopped|acts up|gave up] [on <day>|]",
        "it is about the [*barbecue|wheelbarrow|sprinkler|greenhouse]",
        "I bought [a|the] [*rake|deck chair|bird bath|chainsaw] [in <place>|]",
    ),
    "office": (
        "the [*printer|monitor|keyboard|desk lamp] [stopped|acts up|gave up] [on <day>|]",
        "it is about the [*office chair|shredder|whiteboard|label maker]",
        "I bought [a|the] [*filing cabinet|webcam|paper tray|stapler] [in <place>|]",
    ),
    "travel": (
        "the [*suitcase|backpack|tent|sleeping bag] [stopped|acts up|gave up] [on <day>|]",
        "it is about the [*neck pillow|power adapter|money belt|camping stove]",
        "I bought [a|the] [*duffel|rain cover|hammock|luggage scale] [in <place>|]",
    ),
}
WISHES = {
    "refund": (
        "I want [*my money back|a refund|to be paid back]",
        "please [*reimburse|refund|credit] [me|us] [the <amount> euros|in full|]",
        "[*return the sum|cancel the purchase|undo the payment]",
    ),
    "replacement": (
        "[please|could you] [*send a new one|swap it|exchange it]",
        "I [would like|expect] [*a replacement|another copy|the same one intact]",
        "[*ship a fresh one|a substitute will do|trade it for a working one]",
    ),
    "repair": (
        "[please|could you] [*fix it|mend it|repair it]",
        "[can|could] a [*technician|mechanic|workshop] [look at it|take care of it]",
        "[*a spare part would do|I want it working again|get it going again]",
    ),
    "advice": (
        "[*how do I use it properly|what am I doing wrong|is there a manual]",
        "I [only|just] [*have a question|need a hint|want some guidance]",
        "[*explain the settings|tell me how to clean it|what do you suggest]",
    ),
}
CONTACTS = {
    "phone": (
        "[*call me|ring me|phone me] [on <day>|after work|]",
        "[*by telephone|on my mobile|a short call] is best",
    ),
    "mail": (
        "[*write me an e-mail|send me a mail|answer by mail] [please|]",
        "[*my inbox|e-mail|a written answer] is best",
    ),
    "chat": (
        "[*message me in the app|use the chat|text me there] [please|]",
        "[*the chat window|live chat|instant messaging] is best",
    ),
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "complaint",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "area": {"type": "string", "enum": list(AREAS)},
                "wish": {"type": "string", "enum": list(WISHES)},
                "contact": {"type": "string", "enum": list(CONTACTS)},
            },
            "required": ["area", "wish", "contact"],
            "additionalProperties": False,
        },
    },
}


def fields() -> SimulatedTask:
    """Complaints with three closed fields."""
    return SimulatedTask(
        name="complaint-fields",
        model="gpt-4.1-simulated",
        prompt=Prompt((("system", SYSTEM), ("user", "Customer's message:\n{slot_value}"))),
        grammar=Grammar(
            (Facet("area", AREAS), Facet("wish", WISHES), Facet("contact", CONTACTS)),
            (("<area>",), ("<wish>",), ("<contact>",)),
            # fillers without <thing>: things belong to areas here
            tuple(text for text in CHATTER if "<thing>" not in text),
            clauses=(0.7, 0.3),
            distraction=0.15,
            dismissed=0.8,
        ),
        form=AnswerForm(""),
        noise=0.005,
        extra={"response_format": FORMAT},
    )
