"""The parameters of a chat completion request, and with which of their values a surrogate may answer.

OpenAI's own are all here (`openai.types.chat.completion_create_params`, 3.54), and those of other servers
(vLLM, SGLang, llama.cpp, OpenRouter, Mistral, DeepSeek, Qwen) that are harmless within bounds or have a
reason of their own. Whatever is not here is the teacher's, as nobody knows what it does.
"""

from __future__ import annotations

import sys
from typing import Final

from jitr.schemas import checks
from jitr.schemas.checks import (
    CHOICES,
    INVALID,
    LOGIT_BIAS,
    LOGPROBS,
    MEDIA,
    MODERATION,
    PARAMETER,
    PREDICTION,
    REASONING,
    SEARCH,
    SERVICE_TIER,
    STORE,
    TOOLS,
    VENDOR_FIELD,
    Parameter,
)

_TOOLED: Final = (TOOLS, INVALID)
_SIGNED: Final = "as in the calls of the task: part of its signature"
_BOUNDED: Final = (
    "a whole number of 1 or more, not fewer than the surrogate's answer has, and not both of the two"
)
_constraint: Final = Parameter(_SIGNED, (), lambda _, __: "")

# what constrains the form of an answer besides `response_format`; calls of one task have the same
CONSTRAINTS: Final = frozenset(
    [
        "guided_json",
        "guided_regex",
        "guided_choice",
        "guided_grammar",
        "structured_outputs",
        "json_schema",
        "regex",
        "ebnf",
        "grammar",
    ]
)

PARAMETERS: Final[dict[str, Parameter]] = {
    # what is asked
    "model": Parameter(f"any, {_SIGNED}; none that searches the web", (SEARCH, INVALID), checks.model),
    "messages": Parameter(
        "text alone, from known roles, and no vendor's own fields",
        (MEDIA, VENDOR_FIELD, INVALID),
        checks.messages,
    ),
    "tools": Parameter("any, with `tool_choice` `none`", _TOOLED, checks.tools),
    "tool_choice": Parameter("`none`, beside `tools`", _TOOLED, checks.tool_choice),
    "parallel_tool_calls": Parameter("any, beside `tools`", (INVALID,), checks.parallel_tool_calls),
    "functions": Parameter("any, with `function_call` `none`", _TOOLED, checks.functions),
    "function_call": Parameter("`none`, beside `functions`", _TOOLED, checks.function_call),
    "response_format": Parameter(f"{_SIGNED}; `text` is none at all", (INVALID,), checks.response_format),
    **dict.fromkeys(sorted(CONSTRAINTS), _constraint),
    # how much, and where it ends
    "max_tokens": Parameter(_BOUNDED, ("max_tokens", INVALID), checks.limit("max_completion_tokens")),
    "max_completion_tokens": Parameter(_BOUNDED, ("max_tokens", INVALID), checks.limit("max_tokens")),
    "stop": Parameter(
        "1 to 4 texts of at most 512 characters, none of which occurs in the surrogate's answer",
        ("stop", INVALID),
        checks.stop,
    ),
    "n": Parameter("1", (CHOICES, INVALID), checks.choices),
    "best_of": Parameter("1", (CHOICES, INVALID), checks.choices),
    # how it is drawn: agreement is measured on calls as they are
    "temperature": checks.number(0, 2, "0 to 2"),
    "top_p": checks.number(0, 1, "above 0, at most 1", above=True),
    "frequency_penalty": checks.number(-2, 2, "-2 to 2"),
    "presence_penalty": checks.number(-2, 2, "-2 to 2"),
    "seed": checks.integer(-(2**63), 2**63 - 1, "a whole number of 64 bits"),
    "random_seed": checks.integer(-(2**63), 2**63 - 1, "a whole number of 64 bits"),
    "min_p": checks.number(0, 1, "0 to 1"),
    "top_k": Parameter(
        "-1, or 1 or more",
        (INVALID,),
        lambda v, _: "" if v != 0 and checks.is_int(v, -1, checks.MOST_INT) else INVALID,
    ),
    "repetition_penalty": checks.number(0, 2, "above 0, at most 2", above=True),
    "logit_bias": checks.empty(dict, LOGIT_BIAS, "an empty object"),
    "logprobs": checks.switch(False, LOGPROBS),
    "top_logprobs": checks.never(LOGPROBS),
    "reasoning_effort": checks.word("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "verbosity": checks.word("low", "medium", "high"),
    # how it is sent
    "stream": checks.of_kind(bool, "true or false"),
    "stream_options": Parameter(
        "`include_usage`, with `stream`; nothing else that is true",
        (PARAMETER, INVALID),
        checks.stream_options,
    ),
    "modalities": Parameter('`["text"]`', (MEDIA, INVALID), checks.modalities),
    "audio": checks.never(MEDIA),
    # what else is asked for
    "web_search_options": checks.never(SEARCH),
    "search_parameters": checks.never(SEARCH),
    "enable_search": checks.switch(False, SEARCH),
    "data_sources": checks.empty(list, SEARCH, "an empty list"),
    "plugins": checks.empty(list, SEARCH, "an empty list"),
    "prediction": checks.never(PREDICTION),
    "store": checks.switch(False, STORE),
    "service_tier": checks.word("auto", "default", reason=SERVICE_TIER),
    "moderation": checks.never(MODERATION),
    "include_reasoning": checks.switch(False, REASONING),
    "enable_thinking": checks.switch(False, REASONING),
    "thinking": Parameter('`{"type": "disabled"}`', (REASONING, INVALID), checks.thinking),
    "reasoning": Parameter("`enabled` false or `exclude` true", (REASONING, INVALID), checks.reasoning),
    "chat_template_kwargs": Parameter(
        "`enable_thinking` or `thinking`, false", (REASONING, PARAMETER, INVALID), checks.chat_template
    ),
    # who asks, and bookkeeping
    "user": checks.text(),
    "safety_identifier": checks.text(128),
    "metadata": Parameter(
        "at most 16 texts of at most 512 characters", (PARAMETER, INVALID), checks.metadata
    ),
    "prompt_cache_key": checks.text(),
    "prompt_cache_retention": checks.word("in_memory", "in-memory", "24h"),
    "prompt_cache_options": checks.of_kind(dict, "any object"),
    "cache_salt": checks.text(),
    "request_id": checks.text(),
    "priority": checks.integer(-checks.MOST_INT, checks.MOST_INT, "a whole number"),
    "echo": checks.switch(False, PARAMETER),
    "use_beam_search": checks.switch(False, PARAMETER),
    "ignore_eos": checks.switch(False, PARAMETER),
    "add_generation_prompt": checks.switch(True, PARAMETER),
    "continue_final_message": checks.switch(False, PARAMETER),
    "skip_special_tokens": checks.switch(True, PARAMETER),
}


def table() -> str:
    """The table of `docs/gateway.md`, as Markdown; ``python -m jitr.schemas.parameters`` prints it."""
    lines = ["| parameter | a surrogate may answer | else the LLM does, for |", "|---|---|---|"]
    for name, rule in PARAMETERS.items():
        reasons = ", ".join([f"`{reason}`" for reason in rule.reasons]) or "-"
        lines.append(f"| `{name}` | {rule.answered} | {reasons} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table())
