"""Why a call went where it went: a closed list, so that dashboards and people can rely on it."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The code in a decision's ``reason``, in the metric's label and under ``x-jitr-debug``.

    Examples
    --------
    >>> Reason("deferred") is Reason.DEFERRED
    True
    """

    # the surrogate answers
    ACCEPTED = "accepted"
    """The gate accepted and the surrogate answered."""
    ASK = "ask"
    """`Router.lookup` only: the surrogate is to be asked (no model was run)."""

    # the teacher answers: what the gate or the route says
    DEFERRED = "deferred"
    """The gate was not sure enough of the surrogate's answer."""
    CANARY = "canary"
    """The route is a canary and this call lies outside its share; the surrogate is scored beside it."""
    HOLD = "hold"
    """The route is on hold: the teacher answers while the surrogate is scored."""
    TEACHER = "teacher"
    """The route's state is teacher: no surrogate has been switched on."""
    OFFERED = "offered"
    """A certified surrogate waits for approval."""
    DEMOTED = "demoted"
    """The promise was broken; the teacher answers."""
    PAUSED = "paused"
    """A person paused the route."""

    # the teacher answers: what the request says
    OPT_OUT = "opt_out"
    """The caller asked for the teacher (`x-jitr-skip: 1`)."""
    CHOICES = "choices"
    """More than one choice was asked for (``n > 1``)."""
    LOGPROBS = "logprobs"
    """Log-probabilities were asked for."""
    TOOLS = "tools"
    """Tools (or functions) may be called in the answer."""
    MEDIA = "media"
    """A message holds more than text, or more than text was asked for."""
    LOGIT_BIAS = "logit_bias"
    """Tokens were made likelier or ruled out."""
    SEARCH = "search"
    """The answer was to be searched for, on the web or in documents."""
    PREDICTION = "prediction"
    """The answer was given in advance, to be changed a little."""
    STORE = "store"
    """The answer was to be stored by the upstream (``store: true``)."""
    SERVICE_TIER = "service_tier"
    """Another tier was asked for, and its name and price belong to the answer."""
    MODERATION = "moderation"
    """Verdicts of moderation were to come with the answer."""
    REASONING = "reasoning"
    """The model's reasoning was to come with the answer."""
    PARAMETER = "parameter"
    """A parameter that is not known, or may change the answer; `gateway.harmless` may name it."""
    VENDOR_FIELD = "vendor_field"
    """A message has a field that is not known."""
    INVALID = "invalid"
    """A parameter's type or value is one that an upstream refuses: its error must come."""
    MAX_TOKENS = "max_tokens"
    """The surrogate's answer may have more tokens than the caller takes."""
    STOP = "stop"
    """A stop sequence of the caller's occurs in the surrogate's answer."""
    TASK_NAME = "task_name"
    """What stands in `x-jitr-task` is no name, or one more than a tenant may give; it is left out."""
    UNPROVED_CALLER = "unproved_caller"
    """The upstream has not served this caller (its key, with this model) lately: it must decide itself."""
    NO_TASK = "no_task"
    """The call belongs to no known task."""
    NO_ROUTE = "no_route"
    """The task is known, but has no row in the routing table yet."""
    TOO_LONG = "too_long"
    """More text than agents work on, so that no audit could ever be seen. Beyond what Kafka takes, or
    `gateway.max_read_mb`, it is not even read, and its event holds none of it."""
    UNREADABLE = "unreadable"
    """The request is no chat completion that we can read (or a text in it is no Unicode); the upstream judges
    it, and its event says why."""

    # the teacher answers: what we lack
    NO_SNAPSHOT = "no_snapshot"
    """No routing table has been read since the start."""
    LEASE_EXPIRED = "lease_expired"
    """Redis has been away for longer than the lease of the snapshot."""
    NO_SURROGATE = "no_surrogate"
    """The row says that a surrogate answers, but names none, or one that was not proved."""
    ARTIFACT_LOADING = "artifact_loading"
    """The surrogate is being fetched, verified and loaded, for the first time or again."""
    ARTIFACT_MISSING = "artifact_missing"
    """The surrogate's artifact cannot be fetched; tried again from time to time."""
    ARTIFACT_REFUSED = "artifact_refused"
    """The surrogate's artifact is damaged, not what its digest says, too large, or ends its process."""
    BUSY = "busy"
    """So much waits for surrogates that the answer would be late."""
    SURROGATE_LATE = "surrogate_late"
    """The surrogate missed its deadline."""
    SURROGATE_FAILED = "surrogate_failed"
    """The surrogate raised an error, or its process ended."""
    UNPUBLISHED = "unpublished"
    """Calls cannot be published: neither Kafka nor the disk takes them, so that no audit could be seen."""
    CLOSED = "closed"
    """The program has closed its router."""
    FAILED = "failed"
    """Deciding itself failed; this is a bug, and the log says more."""
    PASSED = "passed"
    """A path that is not routed, such as ``/v1/models``; passed through."""

    # nobody answers
    REFUSED = "refused"
    """A strange `Host` or `Origin`, or no key that is good: sent away before it is looked at."""
