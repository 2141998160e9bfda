"""Which requests only the teacher answers: every parameter, on both sides of its rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import completion_create_params as openai

from jitr.router.reasons import Reason
from jitr.schemas.calls import Call, Message
from jitr.schemas.dialects.base import Origin
from jitr.schemas.dialects.openai import OpenAIPair
from jitr.schemas.errors import ConfigError
from jitr.schemas.only_teacher import MAX_TOKENS, STOP, cut_short, may_be_waived, only_teacher, why
from jitr.schemas.parameters import CONSTRAINTS, PARAMETERS, table
from jitr.schemas.settings import Settings

TOOL = {"type": "function", "function": {"name": "look_up"}}
HELLO = [{"role": "user", "content": "hi"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
TEXT = {"type": "text", "text": "hi"}


def asked(role: str = "user", content: Any = "hi", **more: Any) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, **more}]


# of each parameter: what a surrogate may answer; what only the teacher does, and why; a pair: beside, value
CASES: dict[str, tuple[list[Any], list[tuple[Any, str]]]] = {
    "model": (["m", "openai/gpt-4o", "ft:gpt-4o:acme:search-intent:1"],
              [("gpt-4o-search-preview", "search"), ("gpt-5-search-api", "search"), ("x/y:online", "search"),
               ("perplexity/sonar-pro", "search"), ("o3-deep-research", "search"), (7, "invalid"),
               ("", "invalid")]),
    "messages": ([HELLO, asked(content=[TEXT]), asked("assistant", None), asked("developer"),
                  asked(name="ann", cache_control={"type": "ephemeral"}), asked(weight=None),
                  asked(content=[{**TEXT, "cache_control": {"type": "ephemeral"}}]),
                  asked("assistant", reasoning_content="so", annotations=[]),
                  asked("tool", tool_call_id="t")],
                 [(asked(content=[TEXT, IMAGE]), "media"), (asked(content=[{"type": "file"}]), "media"),
                  (asked(content=[{"type": "input_audio"}]), "media"),
                  (asked("assistant", audio={"id": "1"}), "media"), (asked(images=["aGk="]), "media"),
                  (asked("assistant", prefix=True), "vendor_field"),
                  (asked("assistant", partial=True), "vendor_field"),
                  (asked(priority="high"), "vendor_field"),
                  (asked(content=[{**TEXT, "lang": "de"}]), "vendor_field"),
                  ([], "invalid"), ("hi", "invalid"), (["hi"], "invalid"), (asked("robot"), "invalid"),
                  (asked(content=None), "invalid"), (asked(content=[]), "invalid"),
                  (asked(content=["hi"]), "invalid"), (asked(content=[{"type": "text"}]), "invalid")]),
    "tools": ([[], ({"tool_choice": "none"}, [TOOL])],
              [([TOOL], "tools"), (({"tool_choice": "auto"}, [TOOL]), "tools"), ({}, "invalid")]),
    "tool_choice": ([({"tools": [TOOL]}, "none")],
                    [("none", "invalid"), ("auto", "invalid"), (({"tools": [TOOL]}, "auto"), "tools"),
                     (({"tools": [TOOL]}, {"type": "function"}), "tools")]),
    "parallel_tool_calls": ([({"tools": [TOOL], "tool_choice": "none"}, False)],
                            [(True, "invalid"), (({"tools": [TOOL]}, "yes"), "invalid")]),
    "functions": ([[], ({"function_call": "none"}, [{"name": "f"}])],
                  [([{"name": "f"}], "tools"), ("f", "invalid")]),
    "function_call": ([({"functions": [{"name": "f"}]}, "none")],
                      [("none", "invalid"), (({"functions": [{"name": "f"}]}, {"name": "f"}), "tools")]),
    "response_format": ([{"type": "text"}, {"type": "json_object"}, {"type": "json_schema"}],
                        [("json", "invalid"), ({}, "invalid"), ({"type": 1}, "invalid")]),
    "max_tokens": ([1, 16, 2**31 - 1],
                   [(0, "invalid"), (-1, "invalid"), (True, "invalid"), (1.5, "invalid"), ("16", "invalid"),
                    (2**31, "invalid"), (({"max_completion_tokens": 16}, 16), "invalid")]),
    "max_completion_tokens": ([1, 4096], [(0, "invalid"), (({"max_tokens": 16}, 16), "invalid")]),
    "stop": (["\n", ["a", "b", "c", "d"], "x" * 512],
             [("", "invalid"), ("x" * 513, "invalid"), ([], "invalid"), (["a", ""], "invalid"),
              (list("abcde"), "invalid"), ([1], "invalid"), (7, "invalid")]),
    "n": ([1], [(2, "choices"), (128, "choices"), (0, "invalid"), (-1, "invalid"), (129, "invalid"),
                (True, "invalid"), (1.0, "invalid"), ("1", "invalid")]),
    "best_of": ([1], [(3, "choices"), (0, "invalid")]),
    "temperature": ([0, 0.7, 2, 2.0], [(-0.1, "invalid"), (2.1, "invalid"), (5, "invalid"), ("0", "invalid"),
                                       (True, "invalid"), (float("nan"), "invalid")]),
    "top_p": ([0.01, 1], [(0, "invalid"), (2, "invalid"), (-1, "invalid"), ("1", "invalid")]),
    "frequency_penalty": ([-2, 2, 0.5], [(-2.1, "invalid"), (2.5, "invalid")]),
    "presence_penalty": ([-2, 2], [(3, "invalid"), ([], "invalid")]),
    "seed": ([0, -5, 2**63 - 1], [(2**63, "invalid"), (1.5, "invalid"), ("7", "invalid")]),
    "random_seed": ([7], [("7", "invalid")]),
    "min_p": ([0, 0.1, 1], [(1.1, "invalid")]),
    "top_k": ([-1, 1, 40], [(0, "invalid"), (-2, "invalid"), (1.5, "invalid")]),
    "repetition_penalty": ([1.1, 2], [(0, "invalid"), (2.1, "invalid")]),
    "logit_bias": ([{}], [({"1": 5}, "logit_bias"), ([1], "invalid")]),
    "logprobs": ([False], [(True, "logprobs"), (5, "invalid"), ("false", "invalid")]),
    "top_logprobs": ([], [(0, "logprobs"), (5, "logprobs")]),
    "reasoning_effort": (["none", "low", "xhigh"], [("extreme", "invalid"), (1, "invalid")]),
    "verbosity": (["low", "high"], [("silent", "invalid")]),
    "stream": ([True, False], [("true", "invalid"), (1, "invalid")]),
    "stream_options": ([({"stream": True}, {"include_usage": True}), ({"stream": True}, {}),
                        ({"stream": True}, {"include_obfuscation": False})],
                       [({"include_usage": True}, "invalid"), (({"stream": False}, {}), "invalid"),
                        (({"stream": True}, {"include_usage": 1}), "invalid"),
                        (({"stream": True}, {"include_obfuscation": True}), "parameter"),
                        (({"stream": True}, []), "invalid")]),
    "modalities": ([["text"]], [(["text", "audio"], "media"), (["image"], "media"), ("text", "invalid")]),
    "audio": ([], [({"voice": "x", "format": "wav"}, "media")]),
    "web_search_options": ([], [({}, "search")]),
    "search_parameters": ([], [({"mode": "auto"}, "search")]),
    "enable_search": ([False], [(True, "search")]),
    "data_sources": ([[]], [([{"type": "azure_search"}], "search"), ({}, "invalid")]),
    "plugins": ([[]], [([{"id": "web"}], "search")]),
    "prediction": ([], [({"type": "content", "content": "x"}, "prediction")]),
    "store": ([False], [(True, "store"), ("yes", "invalid")]),
    "service_tier": (["auto", "default"], [("flex", "service_tier"), ("priority", "service_tier"),
                                           ("fast", "service_tier"), ("scale", "service_tier"),
                                           (1, "invalid")]),
    "moderation": ([], [({"model": "omni-moderation-latest"}, "moderation")]),
    "include_reasoning": ([False], [(True, "reasoning")]),
    "enable_thinking": ([False], [(True, "reasoning")]),
    "thinking": ([{"type": "disabled"}], [({"type": "enabled"}, "reasoning"), ("no", "invalid")]),
    "reasoning": ([{"exclude": True}, {"enabled": False}],
                  [({"effort": "high"}, "reasoning"), (1, "invalid")]),
    "chat_template_kwargs": ([{"enable_thinking": False}, {}],
                             [({"enable_thinking": True}, "reasoning"), ({"documents": []}, "parameter"),
                              ("x", "invalid")]),
    "user": (["u1"], [(1, "invalid"), ("x" * 513, "invalid")]),
    "safety_identifier": (["x" * 128], [("x" * 129, "invalid")]),
    "metadata": ([{"jitr_task": "triage"}, {}],
                 [({"a": 1}, "parameter"), ({str(k): "" for k in range(17)}, "parameter"), ("a", "invalid")]),
    "prompt_cache_key": (["k"], [({}, "invalid")]),
    "prompt_cache_retention": (["in_memory", "24h"], [("forever", "invalid")]),
    "prompt_cache_options": ([{"mode": "explicit"}], [("30m", "invalid")]),
    "cache_salt": (["s"], [(1, "invalid")]),
    "request_id": (["r"], [(1, "invalid")]),
    "priority": ([0, -3], [(0.5, "invalid")]),
    "echo": ([False], [(True, "parameter")]),
    "use_beam_search": ([False], [(True, "parameter")]),
    "ignore_eos": ([False], [(True, "parameter")]),
    "add_generation_prompt": ([True], [(False, "parameter")]),
    "continue_final_message": ([False], [(True, "parameter")]),
    "skip_special_tokens": ([True], [(False, "parameter")]),
    **{name: ([{"a": 1}, "x"], []) for name in sorted(CONSTRAINTS)},
}  # fmt: skip


def request(name: str, value: Any) -> dict[str, Any]:
    """A chat completion request with one parameter, and with others beside it where a case gives them."""
    beside, value = value if isinstance(value, tuple) else ({}, value)
    return {"model": "m", "messages": HELLO, **beside, name: value}


def test_every_parameter_of_the_table_is_tried_here() -> None:
    assert set(CASES) == set(PARAMETERS)


def test_the_page_shows_the_table_as_it_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "gateway.md").read_text()
    assert table() in page, "paste what `python -m jitr.schemas.parameters` prints"
    # and every reason in words
    assert all(f"`{reason}`: " in page for rule in PARAMETERS.values() for reason in rule.reasons)


def test_every_parameter_of_openai_is_in_the_table() -> None:
    hints: dict[str, Any] = get_type_hints(openai.CompletionCreateParamsBase) | {"stream": bool}
    assert set(hints) <= set(PARAMETERS)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, (good, _) in CASES.items() for v in [*good, None]])
def test_a_surrogate_may_answer(name: str, value: Any) -> None:
    if value is None and name in ("model", "messages"):
        return
    assert only_teacher(request(name, value)) == {}


@pytest.mark.parametrize(
    ("name", "value", "reason"), [(n, v, r) for n, (_, bad) in CASES.items() for v, r in bad]
)
def test_only_the_teacher_answers(name: str, value: Any, reason: str) -> None:
    assert only_teacher(request(name, value))[name] == reason
    assert reason in PARAMETERS[name].reasons, "the table names every reason that its check gives"
    assert Reason(reason)


@pytest.mark.parametrize("value", [None, True, False, 0, "x", {}, []])
def test_what_nobody_knows_is_the_teachers(value: Any) -> None:
    assert only_teacher(request("of_a_vendor", value)) == {"of_a_vendor": "parameter"}


def test_names_that_may_be_anything_are_not_repeated_and_not_waived() -> None:
    found = only_teacher({"sk-abcdef0123456789": 1, "x" * 50: 2})
    assert found == {"?": "parameter"}
    assert why(found, ["?", "sk-abcdef0123456789"]) == ("parameter", "?")


def test_of_many_parameters_that_are_harmless_none_hides_one_that_is_not() -> None:
    names = [f"vendor_{chr(97 + k)}" for k in range(26)]
    found = only_teacher(dict.fromkeys(names, 1) | {"n": 2})
    assert len(found) < 12
    assert why(found, names) is not None


def test_a_setting_waives_what_changes_no_text_and_nothing_else() -> None:
    found = only_teacher({"service_tier": "flex", "my_tag": "a"})
    assert why(found) == ("service_tier", "service_tier")
    assert why(found, ["service_tier"]) == ("parameter", "my_tag")
    assert why(found, ["service_tier", "my_tag"]) is None
    # not even where it is listed: a value that no upstream takes, or an answer that a surrogate can't give
    assert why(only_teacher({"service_tier": 1}), ["service_tier"]) == ("invalid", "service_tier")
    assert why(only_teacher({"n": 2}), ["n"]) == ("choices", "n")


@pytest.mark.parametrize("name", ["n", "tools", "messages", "logprobs", "max_tokens", "logit_bias", "?"])
def test_a_setting_that_waives_what_must_not_be_is_refused(name: str) -> None:
    assert not may_be_waived(name)
    with pytest.raises(ConfigError, match=r"gateway.harmless.*leave it to the LLM"):
        Settings.load(flags={"gateway.harmless": [name]}, environ={})


def test_a_setting_that_waives_is_taken() -> None:
    settings = Settings.load(flags={"gateway.harmless": ["service_tier", "my_tag"]}, environ={})
    assert settings.gateway.harmless == ("service_tier", "my_tag")


@pytest.mark.parametrize(
    ("max_tokens", "stop", "why"),
    [
        (None, (), ""),
        (4, (), ""),
        (3, (), MAX_TOKENS),
        (None, ("\n", ";"), ""),
        (None, ("x", "ill"), STOP),
        (64, ("billing",), STOP),
    ],
)
def test_an_answer_that_the_teacher_would_have_cut_is_none(
    max_tokens: int | None, stop: tuple[str, ...], why: str
) -> None:
    assert cut_short("billing", max_tokens, stop) == why


def read(**fields: Any) -> Call:
    pair = {"request": {"model": "m", "messages": HELLO, **fields}}
    return OpenAIPair().read(pair, Origin(id="c", time=0.0, tenant="t"))


def test_a_call_that_is_read_carries_the_verdict_and_its_limits() -> None:
    call = read(logit_bias={"1": 2}, max_completion_tokens=7, stop=["a", "b"])
    assert (call.only_teacher, call.max_tokens, call.stop) == ({"logit_bias": "logit_bias"}, 7, ("a", "b"))
    assert why(call) == ("logit_bias", "logit_bias")
    assert read(stop="a").stop == ("a",)
    # an event holds no more than it may
    assert read(stop=["x" * 513, *"abcd"]).stop == ("a", "b", "c")
    assert read(tool_choice="x" * 10_000).tool_choice is None
    assert (read(max_tokens=0).max_tokens, read(stop=[1, ""]).stop) == (None, ())
    assert why(read(tools=[TOOL], tool_choice="none")) is None


def test_a_canonical_call_says_it_by_its_fields() -> None:
    def call(**fields: Any) -> Call:
        return Call(id="1", model="m", messages=(Message(role="user", content="a"),), time=0.0, **fields)

    assert why(call()) is None
    assert why(call(n=2)) == ("choices", "n")
    assert why(call(logprobs=True)) == ("logprobs", "logprobs")
    assert why(call(tools="[1]")) == ("tools", "tools")
    assert why(call(tools="[1]", tool_choice="none")) is None


def test_what_binds_the_form_is_part_of_the_signature_and_text_is_nothing() -> None:
    assert read().response_format is read(response_format={"type": "text"}).response_format is None
    assert read(response_format={"type": "json_object"}).response_format == '{"type":"json_object"}'
    forms = {
        read(**fields).response_format
        for fields in (
            {"guided_choice": ["a", "b"]},
            {"guided_choice": ["a", "c"]},
            {"structured_outputs": {"choice": ["a", "b"]}},
            {"guided_choice": ["a", "b"], "response_format": {"type": "json_object"}},
        )
    }
    assert len(forms | {None}) == 5


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(PARAMETERS)) | st.text(max_size=8), anything, max_size=12))
def test_any_request_has_a_verdict(fields: dict[str, Any]) -> None:
    found = only_teacher(fields)
    assert all(Reason(reason) for reason in found.values())
    assert len(found) <= 10
