from __future__ import annotations

import pytest

from models.chat_json import conversation_from_json, message_from_json
from models.conversations import Message, ToolCall
from models.errors import RowError


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant", "tool"])
def test_every_role_of_the_chat_api_is_read(role: str):
    assert message_from_json({"role": role, "content": "x"}, "m") == Message(role, "x")


@pytest.mark.parametrize("message", [{"role": "assistant", "content": None}, {"role": "assistant"}])
def test_null_content_and_none_are_empty(message: dict[str, object]):
    assert message_from_json(message, "m") == Message("assistant", "")


def test_text_parts_are_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert message_from_json({"role": "user", "content": parts}, "m").content == "ab"


def test_a_part_that_is_no_text_is_refused():
    with pytest.raises(RowError, match=r"m\.content\[0\]: only text parts .* 'image_url'"):
        message_from_json({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "m")


def test_tool_calls_need_no_content_and_keep_their_arguments():
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}
    message = message_from_json({"role": "assistant", "tool_calls": [call]}, "m")
    assert message == Message("assistant", "", (ToolCall("search", '{"q": 1}', "c1"),))


def test_parsed_arguments_become_json_text():
    call = {"function": {"name": "search", "arguments": {"q": "x"}}}
    assert message_from_json({"role": "assistant", "tool_calls": [call]}, "m").tool_calls[0].arguments == '{"q":"x"}'


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("hello", "m"),
        ({"role": "user", "content": 5}, "m.content"),
        ({"role": "user", "content": "\ud800"}, "m.content"),
        ({"role": "user", "content": [{"type": "text"}]}, "m.content[0].text"),
        ({"role": "user", "content": "", "name": 1}, "m.name"),
        ({"role": ["user"], "content": ""}, "m.role"),
        ({"content": ""}, "m.role"),
        ({"role": "assistant", "tool_calls": {"a": 1}}, "m.tool_calls"),
        ({"role": "assistant", "tool_calls": [{"name": "x"}]}, "m.tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": 1}}]}, "m.tool_calls[0].function.name"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(message: object, field: str):
    with pytest.raises(RowError) as caught:
        message_from_json(message, "m")
    assert caught.value.field == field


def test_an_unprintable_value_is_not_echoed():
    """Messages never carry a user's text: a string in the wrong place is at most 40 characters of it."""
    with pytest.raises(RowError) as caught:
        message_from_json({"role": "x" * 500, "content": ""}, "m")
    assert len(caught.value.message) < 200


def test_a_conversation_is_a_list_or_one_string():
    assert conversation_from_json("hi", "prompt", "user") == (Message("user", "hi"),)
    assert conversation_from_json([], "prompt", "user") == ()
    with pytest.raises(RowError, match="prompt: expected a string or a list"):
        conversation_from_json(None, "prompt", "user")
