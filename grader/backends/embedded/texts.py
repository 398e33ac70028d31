"""What the heads read of a conversation."""

from __future__ import annotations

from grader.backends.embedded.features import Text
from models.conversations import Conversation, Message


def completion_text(prompt: Conversation, completion: Conversation) -> Text:
    """All that the assistant wrote, beside the request it answers; replies of tools are not the assistant's words."""
    written = "\n".join(_written(message) for message in completion if message.role == "assistant")
    request, history = _request(prompt)
    return Text(written, request, history)


def prompt_text(prompt: Conversation) -> Text:
    """The request alone, in the place of the graded text."""
    return Text(_request(prompt)[0], "")


def _written(message: Message) -> str:
    calls = [f"{call.name} {call.arguments}" for call in message.tool_calls]
    return "\n".join(part for part in (message.content, *calls) if part)


def _request(prompt: Conversation) -> tuple[str, str]:
    """The last run of user messages, and everything before it."""
    end = len(prompt)
    while end and prompt[end - 1].role != "user":
        end -= 1
    start = end
    while start and prompt[start - 1].role == "user":
        start -= 1
    request = "\n".join(message.content for message in prompt[start:end])
    return request, "\n".join(message.content for message in prompt[:start])
