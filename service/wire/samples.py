"""Parsed samples of a request to the samples that are scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from grader.grades import INVALID_TEXT
from models.conversations import Conversation, Message, ToolCall
from models.policy import normalise_name
from models.samples import Sample
from service.errors import InvalidRequest, TooLarge
from service.scoring.problems import UNSUPPORTED_CONTENT, BadSample, Problem
from service.wire.messages import MessageIn, PartIn, ToolCallIn
from service.wire.parsing import Parsed, shortened
from service.wire.requests import GradesRequest, SampleIn

_NO_COSTS: Final[Mapping[str, float]] = {}


class _UnsupportedPartError(Exception):
    """A content part that is no text; the argument is its path."""


def to_samples(parsed: Parsed[GradesRequest]) -> list[Sample | BadSample]:
    """In order. Raises `InvalidRequest` for a text part without text."""
    samples: list[Sample | BadSample] = [_to_sample(item, index) for index, item in enumerate(parsed.request.samples)]
    for index, place in parsed.unclean.items():
        item = parsed.request.samples[index]
        field = place.removeprefix(f"samples.{index}").removeprefix(".")
        problem = Problem(INVALID_TEXT, "holds a lone surrogate, which is not text", field)
        samples[index] = BadSample(problem, item.id, item.group)
    return samples


def check_limits(request: GradesRequest, body_bytes: int, *, max_samples: int, max_text_characters: int) -> None:
    """Raises `TooLarge` with the field. A body shorter than the longest text allowed needs no look at its texts."""
    if len(request.samples) > max_samples:
        raise TooLarge(f"{len(request.samples):,} samples; at most {max_samples:,} a request", "samples")
    if body_bytes <= max_text_characters:
        return
    for index, item in enumerate(request.samples):
        for field, text in _texts(item):
            if len(text) > max_text_characters:
                place = f"samples.{index}.{field}"
                raise TooLarge(f"{len(text):,} characters; at most {max_text_characters:,} a text", place)


def _to_sample(item: SampleIn, index: int) -> Sample | BadSample:
    prompt, completion = item.prompt, item.completion
    try:
        return Sample(
            prompt=(Message("user", prompt),)
            if isinstance(prompt, str)
            else _conversation(prompt, f"samples.{index}.prompt"),
            completion=(Message("assistant", completion),)
            if isinstance(completion, str)
            else _conversation(completion, f"samples.{index}.completion"),
            id=item.id,
            group=item.group,
            reasoning=item.reasoning,
            finish_reason=item.finish_reason,
            response_type=None if item.response_type is None else _normalised(item.response_type),
            base_reward=item.base_reward,
            costs=item.costs or _NO_COSTS,
        )
    except _UnsupportedPartError as fault:
        field = str(fault).removeprefix(f"samples.{index}.")
        return BadSample(Problem(UNSUPPORTED_CONTENT, "only text can be graded", field), item.id, item.group)


@lru_cache(maxsize=256)
def _normalised(name: str) -> str:
    return normalise_name(name)


def _conversation(messages: list[MessageIn], place: str) -> Conversation:
    return tuple(_message(message, f"{place}.{index}") for index, message in enumerate(messages))


def _message(message: MessageIn, place: str) -> Message:
    content = message.content
    if not isinstance(content, str):
        content = _joined(content or [], f"{place}.content")
    calls = tuple(map(_tool_call, message.tool_calls)) if message.tool_calls else ()
    return Message(message.role, content, calls, message.name or "")


def _joined(parts: list[PartIn], place: str) -> str:
    texts = []
    for index, part in enumerate(parts):
        if part.type != "text":
            raise _UnsupportedPartError(f"{place}.{index}")
        if part.text is None:
            raise InvalidRequest("missing", f"{place}.{index}.text")
        if part.model_extra:
            raise InvalidRequest("unknown field", shortened(f"{place}.{index}.{next(iter(part.model_extra))}"))
        texts.append(part.text)
    return "".join(texts)


def _tool_call(call: ToolCallIn) -> ToolCall:
    arguments = call.function.arguments
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(call.function.name, written, call.id or "")


# Every string that a sample can bring, for the limit on their length


def _texts(item: SampleIn) -> list[tuple[str, str]]:
    texts: list[tuple[str, Any]] = [
        (name, getattr(item, name)) for name in ("id", "group", "reasoning", "finish_reason", "response_type")
    ]
    for field in ("prompt", "completion"):
        value = getattr(item, field)
        if isinstance(value, str):
            texts.append((field, value))
        else:
            texts += [pair for i, message in enumerate(value) for pair in _message_texts(message, f"{field}.{i}")]
    return [(name, text) for name, text in texts if isinstance(text, str)]


def _message_texts(message: MessageIn, place: str) -> list[tuple[str, str | None]]:
    texts = [(f"{place}.name", message.name)]
    if isinstance(message.content, str):
        texts.append((f"{place}.content", message.content))
    else:
        texts += [(f"{place}.content.{i}.text", part.text) for i, part in enumerate(message.content or [])]
    for index, call in enumerate(message.tool_calls or []):
        arguments = call.function.arguments
        texts.append(
            (f"{place}.tool_calls.{index}.function.arguments", arguments if isinstance(arguments, str) else "")
        )
    return texts
