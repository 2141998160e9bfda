"""A call: one LLM request with its response, as it travels on `llm.calls`."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from jitr.schemas.bounds import Count, Dollars, Duration, Finite, Id, Int64, Name, Rate
from jitr.schemas.record import Record, convert
from jitr.schemas.times import Time

# What one call may have as JSON: a task call holds a prompt twice, and Kafka takes a megabyte.
MOST_BYTES = 300_000


class Message(Record, frozen=True, kw_only=True):
    """One message of a chat.

    ``content`` is text; the parts of a multi-part message are joined by line breaks and whatever is no
    text stands as ``[image:<digest>]`` and the like, so that equal parts stay equal. ``name`` and
    ``tool_calls`` (canonical JSON) are kept where they were given.
    """

    role: str
    content: str
    name: str | None = None
    tool_calls: str | None = None


class Usage(Record, frozen=True, kw_only=True):
    """Tokens as the provider counted them; ``estimated`` where it did not, and we did (`schemas.tokens`)."""

    input_tokens: Count = 0
    output_tokens: Count = 0
    cached_tokens: Count = 0
    estimated: bool = False


class Response(Record, frozen=True, kw_only=True):
    """What the teacher answered.

    ``opening`` are the tokens with which it might have begun, and their probabilities, where it told them.
    """

    text: str
    model: str = ""
    fingerprint: str = ""
    finish_reason: str = "stop"
    tool_calls: str | None = None
    opening: dict[str, Rate] = {}


class DecisionStamp(Record, frozen=True, kw_only=True):
    """What our router decided about a call, carried by the call.

    ``answer`` is the surrogate's answer where it was run. ``audit_rate`` is the probability with which
    an accepted call was also sent to the teacher, ``coin`` the uniform number that decided it: the call
    is an audit iff ``accepted and coin < audit_rate``. ``due`` says that the audit was owed when the
    decision was made, so that a lost one can be missed.
    """

    id: Id
    task: Name | None
    route_version: str = ""
    target: Literal["teacher", "surrogate"] = "teacher"
    reason: str = ""
    surrogate: str | None = None
    answer: str | None = None
    label: str | None = None
    score: Finite | None = None
    accepted: bool = False
    audit_rate: Rate = 0.0
    coin: Rate = 1.0
    due: bool = False
    held: bool = False


class Call(Record, frozen=True, kw_only=True):
    """One LLM request with its response.

    ``response`` is always the teacher's: a call that the surrogate answered alone has none, and its
    answer stands in ``decision``. Only teacher answers are labels. ``time`` is event time in seconds
    since the epoch; ``latency_s`` is what the caller waited; ``cost_usd`` is what the teacher billed, if
    the caller knows it (else the price table says). ``task`` is a name given by the caller.
    ``sampled`` is the probability with which this call was kept, 1 where all are. ``status`` is the HTTP
    status of the teacher's server, where it is known; ``error`` is why there is no answer. Of a request that
    our gateway could not read there are no ``messages``, and ``error`` says why.

    ``response_format`` is all that constrains the form of the answer, as canonical JSON. ``only_teacher`` are
    the parameters of the request that only the teacher can do justice to, each with its reason
    (`schemas.only_teacher`); ``max_tokens`` and ``stop`` are where the teacher had to end its answer.
    """

    event_type: ClassVar[str] = "dev.jitr.llm.call.v1"

    id: Id
    model: str
    messages: tuple[Message, ...]
    time: Time
    tenant: Name = "default"
    response: Response | None = None
    usage: Usage = Usage()
    cost_usd: Dollars | None = None
    latency_s: Duration | None = None
    tools: str | None = None
    tool_choice: str | None = None
    response_format: str | None = None
    only_teacher: dict[str, str] = {}
    max_tokens: Int64 | None = None
    stop: tuple[str, ...] = ()
    n: Int64 = 1
    logprobs: bool = False
    temperature: Finite | None = None
    task: Name | None = None
    decision: DecisionStamp | None = None
    metadata: dict[str, str] = {}
    error: str | None = None
    status: Int64 | None = None
    sampled: Rate = 1.0


def checked(call: Call) -> Call:
    """Hold a call that was built from parts against the bounds of one that is read.

    Raises
    ------
    RecordError
        Naming the field that is out of bounds.

    Examples
    --------
    >>> call = Call(id="c", model="m", messages=(), time=1.0, n=10**30)
    >>> checked(call)
    Traceback (most recent call last):
        ...
    jitr.schemas.errors.RecordError: $.n: Expected `int` <= 9223372036854775807
    """
    convert(msgspec.structs.asdict(call.usage), Usage, stage="dialect")
    return convert(msgspec.structs.asdict(call), Call, stage="dialect")
