"""Bodies: a fault of shape is refused with the path of the field, a fault of value stays with its sample."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rows import read_rows
from models.samples import Sample
from service.errors import InvalidJSON, InvalidRequest, ServiceError
from service.wire.parsing import Parsed, parse_request
from service.wire.requests import RewardsRequest
from service.wire.samples import to_samples

GOOD = {"prompt": "Hello?", "completion": "Hi."}


def parse(document: Any) -> Parsed[RewardsRequest]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_request(RewardsRequest, body)


def changed(**fields: Any) -> dict[str, Any]:
    return {"samples": [GOOD, {**GOOD, **fields}]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"samples": []} x',
        b'{"samples": [{"prompt": "\xff", "completion": ""}]}',
        b'{"samples": [{"prompt": "\xed\xa0\x80", "completion": ""}]}',
        b'{"samples": [{"prompt": "a\nb", "completion": ""}]}',
        b"[" * 100_000,
        b"[" * 500 + b"]" * 500,
        b'{"samples": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"samples": [{"prompt": "", "completion": "", "metadata": ' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"}]}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_document_is_invalid_json(body: bytes) -> None:
    with pytest.raises(InvalidJSON):
        parse(body)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], None),
        (None, None),
        ({}, "samples"),
        ({"samples": {}}, "samples"),
        ({"samples": [1]}, "samples.0"),
        ({"samples": [GOOD, {"prompt": "a"}]}, "samples.1.completion"),
        (changed(prompt=5), "samples.1.prompt"),
        (changed(prompt=None), "samples.1.prompt"),
        (changed(prompt={"role": "user"}), "samples.1.prompt"),
        (changed(prompt=[{"content": "x"}]), "samples.1.prompt.0.role"),
        (changed(prompt=[{"role": "boss", "content": "x"}]), "samples.1.prompt.0.role"),
        (changed(prompt=[{"role": "user", "content": 5}]), "samples.1.prompt.0.content"),
        (changed(prompt=[{"role": "user", "content": [{"text": "x"}]}]), "samples.1.prompt.0.content.0.type"),
        (changed(prompt=[{"role": "user", "contents": "x"}]), "samples.1.prompt.0.contents"),
        (
            changed(completion=[{"role": "assistant", "tool_calls": [{"function": {"name": 5}}]}]),
            "samples.1.completion.0.tool_calls.0.function.name",
        ),
        (changed(base_reward="1.0"), "samples.1.base_reward"),
        (changed(base_reward=True), "samples.1.base_reward"),
        (changed(costs=[1]), "samples.1.costs"),
        (changed(costs={"prompt": None}), "samples.1.costs.prompt"),
        (changed(id=5), "samples.1.id"),
        (changed(base_rewards=1), "samples.1.base_rewards"),
        ({"samples": [], "explain": 1}, "explain"),
        ({"samples": [], "expect": {"policies": "x"}}, "expect.policies"),
        ({"samples": [], "sample": []}, "sample"),
        ({"samples": [], "run": "r" * 201}, "run"),
    ],
)
def test_a_wrong_shape_is_refused_with_the_path_of_the_field(document: Any, field: str | None) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse(document)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("content", "field"),
    [([{"type": "text"}], "0.text"), ([{"type": "text", "text": "x", "more": 1}], "0.more")],
)
def test_a_text_part_has_text_and_nothing_else(content: Any, field: str) -> None:
    parsed = parse(changed(prompt=[{"role": "user", "content": content}]))
    with pytest.raises(InvalidRequest) as refusal:
        to_samples(parsed)
    assert refusal.value.field == f"samples.1.prompt.0.content.{field}"


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("NaN", math.nan),
        ("-Infinity", -math.inf),
        ("1e400", math.inf),
        ("9" * 5000, math.inf),
        ("-" + "9" * 400, -math.inf),
    ],
)
def test_a_number_that_is_not_finite_is_a_value(number: str, value: float) -> None:
    body = b'{"samples": [{"prompt": "a", "completion": "b", "base_reward": %s}]}' % number.encode()
    parsed = parse(body).request.samples[0].base_reward
    assert parsed == value or (parsed is not None and math.isnan(parsed) and math.isnan(value))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"prompt": "a\ud800"}, "samples.1.prompt"),
        ({"completion": [{"role": "assistant", "content": "\udfff"}]}, "samples.1.completion.0.content"),
        ({"metadata": {"key": ["\ud800"]}}, "samples.1.metadata.key.0"),
        ({"costs": {"\ud800": 1.0}}, "samples.1.costs"),
    ],
)
def test_a_lone_surrogate_is_a_fault_of_its_sample(fields: dict[str, Any], path: str) -> None:
    parsed = parse(changed(**fields))
    assert parsed.unclean == {1: path}
    assert [type(sample).__name__ for sample in to_samples(parsed)] == ["Sample", "BadSample"]


def test_a_surrogate_pair_is_text() -> None:
    parsed = parse(changed(prompt="\U0001f600"))
    assert (parsed.unclean, parsed.request.samples[1].prompt) == ({}, "\U0001f600")


@pytest.mark.parametrize("document", [{"samples": [], "policy": "\ud800"}, {"samples": [], "\ud800": 1}])
def test_a_lone_surrogate_outside_the_samples_is_a_fault_of_the_request(document: Any) -> None:
    with pytest.raises(InvalidRequest):
        parse(document)


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse(b'{"samples": [], "policy": "a", "policy": "b"}').request.policy == "b"


def test_a_body_of_nothing_but_faults_is_refused_without_listing_them() -> None:
    document = {"samples": [], **{str(i): 0 for i in range(20_000)}}
    with pytest.raises(InvalidRequest, match="20,000 faults"):
        parse(document)


def test_a_refusal_repeats_no_text_at_length() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse({"samples": [], "k\n" * 5000: 1})
    assert len(str(refusal.value)) < 300
    assert refusal.value.field is not None
    assert len(refusal.value.field) < 300
    assert "\n" not in refusal.value.field


def test_messages_become_conversations_with_text_parts_joined_and_null_empty() -> None:
    (sample,) = to_samples(
        parse(
            {
                "samples": [
                    {
                        "prompt": [
                            {"role": "developer", "content": "Be brief."},
                            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                        ],
                        "completion": [
                            {
                                "role": "assistant",
                                "content": None,
                                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"x": 1}}}],
                            },
                            {"role": "tool", "content": "42", "tool_call_id": "1"},
                        ],
                        "response_type": "Hard Refuse",
                    }
                ]
            }
        )
    )
    assert [message.content for message in sample.prompt] == ["Be brief.", "ab"]
    assert sample.completion[0].content == ""
    assert sample.completion[0].tool_calls[0].arguments == '{"x":1}'
    assert sample.response_type == "hard_refuse"


@pytest.mark.parametrize(
    "arguments",
    [
        {"q": "café", "a": [1, 2.5, {"z": None}]},
        {},
        {"n": 1e15, "big": 10**30, "line": "\n\u2028"},
        '{"q":  "as sent"}',
    ],
)
def test_a_tool_call_is_the_same_message_in_a_request_and_in_a_file(arguments: Any, tmp_path: Path) -> None:
    """Its text is graded and is the cache key, so a space more would be another reward."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    sample = {"prompt": "Hello?", "completion": [{"role": "assistant", "tool_calls": [call]}]}
    (sent,) = to_samples(parse({"samples": [sample]}))
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(sample), encoding="utf-8")
    (row,) = read_rows(file)
    assert isinstance(sent, Sample)
    assert sent.completion == row.sample.completion


def test_what_a_client_dumps_with_a_message_is_passed_over() -> None:
    dumped = dict.fromkeys(["refusal", "reasoning_content", "function_call", "audio", "annotations"])
    part = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    plain, same = to_samples(
        parse(
            {
                "samples": [
                    {"prompt": "x", "completion": "y"},
                    {
                        "prompt": [{"role": "user", "content": [part]}],
                        "completion": [{"role": "assistant", "content": "y", **dumped}],
                    },
                ]
            }
        )
    )
    assert plain == same


def test_a_part_that_is_no_text_is_a_fault_of_its_sample() -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    good, bad = to_samples(parse(changed(prompt=image, id="b")))
    assert good.id is None
    assert (bad.id, bad.problem.reason, bad.problem.field) == ("b", "unsupported_content", "prompt.0.content.0")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=3)
    ),
    max_leaves=10,
)
names = st.sampled_from(
    [
        "samples",
        "prompt",
        "completion",
        "role",
        "content",
        "text",
        "type",
        "costs",
        "tool_calls",
        "function",
        "metadata",
    ]
)
shaped = st.recursive(
    json_values | st.just("user") | st.just("text"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(names, shaped, max_size=3) | shaped | st.fixed_dictionaries({"samples": st.lists(shaped)}))
def test_any_document_is_parsed_or_refused_and_never_worse(document: Any) -> None:
    try:
        to_samples(parse(document))
    except ServiceError as refusal:
        refusal.message.encode()
        (refusal.field or "").encode()


@settings(max_examples=300, deadline=None)
@given(st.binary())
def test_any_bytes_are_parsed_or_refused_and_never_worse(body: bytes) -> None:
    with pytest.raises((InvalidJSON, InvalidRequest)):
        parse(body)
