"""Chat messages and conversations, and their canonical bytes.

Knows no wire format: `service/wire` turns JSON into these. A null content is the empty string here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

_LENGTHS = struct.Struct("<IIII")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call made by the assistant; ``arguments`` is the JSON text as the model wrote it."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``role`` is system, developer, user, assistant or tool."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""


Conversation: TypeAlias = tuple[Message, ...]


def encode_conversation(conversation: Conversation) -> bytes:
    """Injective bytes of the messages (each field length-prefixed), for cache keys; about 1 us for 3 KB."""
    return b"".join([encode_message(message) for message in conversation])


def encode_message(message: Message) -> bytes:
    role, content = message.role.encode(), message.content.encode()
    name, calls = message.name.encode(), b""
    if message.tool_calls:
        calls = b"".join(_encode_call(call) for call in message.tool_calls)
    return _LENGTHS.pack(len(role), len(content), len(name), len(calls)) + role + content + name + calls


def _encode_call(call: ToolCall) -> bytes:
    fields = [call.name.encode(), call.arguments.encode(), call.id.encode()]
    return b"".join(struct.pack("<I", len(field)) + field for field in fields)
