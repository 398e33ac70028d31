from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.conversations import Message, ToolCall, encode_conversation

_text = st.text(alphabet="ab\x00é", max_size=3)
_calls = st.lists(st.builds(ToolCall, _text, _text, _text), max_size=2).map(tuple)
_messages = st.builds(Message, st.sampled_from(["user", "assistant"]), _text, _calls, _text)
_conversations = st.lists(_messages, max_size=3).map(tuple)


@given(_conversations, _conversations)
def test_two_conversations_share_bytes_only_if_they_are_equal(first: tuple[Message, ...], second: tuple[Message, ...]):
    assert (encode_conversation(first) == encode_conversation(second)) == (first == second)


@given(_conversations, st.integers(0, 3))
def test_the_bytes_of_a_conversation_are_those_of_its_parts(conversation: tuple[Message, ...], cut: int):
    """So that a prompt's bytes can be encoded once for all of its completions."""
    parts = encode_conversation(conversation[:cut]) + encode_conversation(conversation[cut:])
    assert parts == encode_conversation(conversation)
