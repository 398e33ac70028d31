"""Prompts and completions as they are sent: a string, or messages in the shape of OpenAI's chat API.

Strict: an unknown field or a wrong type is a fault of the request. Whether a message can be *used* is decided later,
sample by sample.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field
from typing_extensions import TypeAliasType

STRICT = ConfigDict(extra="forbid", strict=True)

# The parser stops here, whatever the settings allow: a list beyond it costs no more than its JSON.
MOST_MESSAGES: Final = 16_384
MOST_PIECES: Final = 1024  # content parts, or tool calls, of one message


class FunctionIn(BaseModel):
    """A function call; arguments are JSON text, or already parsed."""

    model_config = STRICT

    name: str
    arguments: str | dict[str, Any] = ""


class ToolCallIn(BaseModel):
    """One call of a tool by the assistant."""

    model_config = STRICT

    function: FunctionIn
    id: str | None = None
    type: Literal["function"] = "function"


class PartIn(BaseModel):
    """A part of a content list. Only text can be graded; a sample with another part is invalid, not the request."""

    model_config = ConfigDict(extra="allow", strict=True)

    type: str
    text: str | None = None


# A broken list is refused at its first fault: a report of all of them could be far larger than the request.
# An alias and not a bare Annotated, because FailFast has no hash, which unions need on Python 3.11.
ToolCalls = TypeAliasType("ToolCalls", Annotated[list[ToolCallIn], Field(max_length=MOST_PIECES), FailFast()])
Parts = TypeAliasType("Parts", Annotated[list[PartIn], Field(max_length=MOST_PIECES), FailFast()])


class MessageIn(BaseModel):
    """One turn. A null content is an empty one (an assistant that only calls tools)."""

    model_config = STRICT

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | Parts | None = None
    name: str | None = None
    tool_calls: ToolCalls | None = None
    # What OpenAI's clients write into messages that they dump; none of it changes a reward.
    refusal: Any = Field(default=None, description="Accepted and passed over.")
    reasoning_content: Any = Field(default=None, description="Accepted and passed over; see `reasoning`.")
    reasoning: Any = Field(default=None, description="Accepted and passed over; see the sample's `reasoning`.")
    function_call: Any = Field(default=None, description="Accepted and passed over.")
    audio: Any = Field(default=None, description="Accepted and passed over.")
    annotations: Any = Field(default=None, description="Accepted and passed over.")
    tool_call_id: str | None = Field(default=None, description="Accepted and passed over.")


Messages = TypeAliasType("Messages", Annotated[list[MessageIn], Field(max_length=MOST_MESSAGES), FailFast()])
Text = str | Messages
