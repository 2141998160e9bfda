# ruff: noqa: E501  (tables of words)
"""Thirty intents of a bank's assistant: chat turns as few-shot examples. An intent is an action on an object."""

from jitr.sandbox.traffic.filler import CHATTER
from jitr.sandbox.traffic.grammar import Facet, Grammar
from jitr.sandbox.traffic.prompt import HOLE, Prompt
from jitr.sandbox.traffic.task import AnswerForm, SimulatedTask

SYSTEM = """Name the intent of the customer of a bank. An intent is ACTION_OBJECT, where ACTION is one of open, cancel,
change, status, dispute, explain and OBJECT is one of card, transfer, loan, savings, insurance."""

ACTIONS = {
    "open": (
        "I [would like to|want to|am ready to] [*open|get|apply for|sign up for|start] <object>",
        "[how|where] do I [*request|order|set up|obtain] <object>",
        "[*my first time|as a new customer|I do not have one yet], [I need|please give me] <object>",
        "can <name> [*qualify for|be granted|have] <object> as well",
    ),
    "cancel": (
        "I [would like to|want to|have to] [*cancel|stop|close|terminate|end] <object>",
        "please [*revoke|call off|shut down|get rid of] <object>",
        "[*I no longer need it|I am leaving the bank|this was a mistake], [it is about|I mean] <object>",
        "[is there a fee|what happens] if I [*quit|give up|withdraw from] <object>",
    ),
    "change": (
        "I [would like to|want to|need to] [*change|modify|adjust|amend|update] <object>",
        "[could you|please] [*raise|lower|move|extend|rename] <object>",
        "[*the details are outdated|I have a new address|my situation is different now], [it concerns|I mean] <object>",
        "[*switch|convert|upgrade] <object> to the other kind",
    ),
    "status": (
        "[*where is|what became of|any news on|how far is] <object>",
        "I am [*still waiting for|looking for news about|tracking] <object>",
        "[has|was] <object> [*gone through|been approved|arrived|been processed] [yet|already|]",
        "[*when will I hear|how long does it take|is it done], I asked on <day> for <object>",
    ),
    "dispute": (
        "I [*did not authorise|do not recognise|object to|contest] what happened with <object>",
        "[there is|I see] [*a mistake|fraud|an unknown charge|something fishy] on <object>",
        "[*I want to complain|I demand a correction|this is not acceptable], [see|it is] <object>",
        "[somebody|a stranger] [*misused|tampered with|took money through] <object>",
    ),
    "explain": (
        "[*how does it work|what does it mean|please explain], I mean <object>",
        "[could you|please] [*tell me more about|describe|clarify] <object>",
        "[*what are the terms of|what is the fine print of|what does one pay for] <object>",
        "I [*do not understand|am confused by|have a general question about] <object>",
    ),
}
OBJECTS = {
    "card": (
        "[my|the|a|our] [*card|debit card|credit card|visa]",
        "[my|the|that] [*plastic|contactless chip|mastercard|prepaid thing]",
    ),
    "transfer": (
        "[my|the|a|our] [*transfer|wire|standing order|remittance]",
        "[the|a] [*payment to <name>|money I sent|bank giro|direct debit]",
    ),
    "loan": (
        "[my|the|a|our] [*loan|mortgage|credit line|overdraft]",
        "[the|a] [*borrowing|house financing|car financing|instalment plan]",
    ),
    "savings": (
        "[my|the|a|our] [*savings|savings account|deposit|nest egg]",
        "[the|a] [*fixed-term deposit|piggy bank|building society plan|money market account]",
    ),
    "insurance": (
        "[my|the|a|our] [*insurance|policy|coverage|travel cover]",
        "[the|a] [*life insurance|household policy|liability cover|insurance package]",
    ),
}
TURNS = (
    ("user", "My new debit card should have been here on Tuesday."),
    ("assistant", "status_card"),
    ("user", "Please take my brother off the household policy, he moved out."),
    ("assistant", "change_insurance"),
    ("user", "What exactly is an overdraft?"),
    ("assistant", "explain_loan"),
)


def intent() -> SimulatedTask:
    """Messages to a bank, in thirty classes."""
    return SimulatedTask(
        name="intent",
        model="gpt-4.1-simulated",
        prompt=Prompt((("system", SYSTEM), *TURNS, ("user", HOLE))),
        grammar=Grammar(
            (Facet("action", ACTIONS), Facet("object", OBJECTS)),
            (("<action>",),),  # its templates hold the object: one clause says both
            CHATTER,
            clauses=(0.45, 0.45, 0.1),
            distraction=0.15,
            dismissed=0.8,
        ),
        form=AnswerForm("{action}_{object}"),
        noise=0.005,
        weight=1.1,
    )
