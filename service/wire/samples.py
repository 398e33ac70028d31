"""Parsed samples of a request to the samples that are scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from grader.grades import INVALID_TEXT
from models.chat_json import arguments_text
from models.conversations import Conversation, Message, ToolCall
from models.policy import normalise_name
from models.samples import Sample
from service.errors import InvalidRequest, TooLarge
from service.scoring.problems import UNSUPPORTED_CONTENT, BadSample, Problem
from service.wire.messages import MessageIn, PartIn, ToolCallIn
from service.wire.parsing import Parsed, shortened
from service.wire.requests import GradesRequest, SampleIn

_PASSED_OVER: Final = frozenset({"annotations", "cache_control"})  # of a text part, as OpenAI's clients write it
_NO_COSTS: Final[Mapping[str, float]] = {}
# No text is longer than the JSON that it came in, but arguments that came parsed: 1e15 is written 1000000000000000.0.
_GROWTH: Final = 4


class _UnsupportedPartError(Exception):
    """A content part that is no text; the argument is its path."""


def to_samples(parsed: Parsed[GradesRequest]) -> list[Sample | BadSample]:
    """In order. Raises `InvalidRequest` for a text part without text."""
    samples: list[Sample | BadSample] = [_to_sample(item, index) for index, item in enumerate(parsed.request.samples)]
    for index, place in parsed.unclean.items():
        item = parsed.request.samples[index]
        field = place.removeprefix(f"samples.{index}").removeprefix(".")
        problem = Problem(INVALID_TEXT, "holds a lone surrogate, which is not text", field)
        samples[index] = BadSample(problem, item.id, item.group, samples[index].prompt)
    return samples


def check_count(request: GradesRequest, max_samples: int) -> None:
    """Raises `TooLarge`."""
    if len(request.samples) > max_samples:
        raise TooLarge(f"{len(request.samples):,} samples; at most {max_samples:,} a request", "samples")


def check_messages(request: GradesRequest, max_messages: int, max_request_messages: int) -> None:
    """Raises `TooLarge` with the conversation that is too long, or the one at which the request is.

    Content parts and tool calls cost what messages cost, and count as such in the request's sum.
    """
    total = 0
    for index, item in enumerate(request.samples):
        for field, text in (("prompt", item.prompt), ("completion", item.completion)):
            if isinstance(text, str):
                continue
            if len(text) > max_messages:
                raise TooLarge(
                    f"{len(text):,} messages; at most {max_messages:,} a conversation", f"samples.{index}.{field}"
                )
            total += sum(map(_pieces, text))
            if total > max_request_messages:
                raise TooLarge(
                    f"more than {max_request_messages:,} messages, content parts and tool calls in one request",
                    f"samples.{index}.{field}",
                )


def _pieces(message: MessageIn) -> int:
    parts = len(message.content) if isinstance(message.content, list) else 0
    return 1 + parts + len(message.tool_calls or ())


def check_texts(samples: Sequence[Sample | BadSample], body_bytes: int, max_text_characters: int) -> None:
    """Raises `TooLarge` with the field of a text, or of a conversation with all its messages, that is too long."""
    if body_bytes * _GROWTH <= max_text_characters:
        return
    for index, sample in enumerate(samples):
        for field, characters in _lengths(sample):
            if characters > max_text_characters:
                place = f"samples.{index}.{field}"
                raise TooLarge(f"{characters:,} characters; at most {max_text_characters:,} a text", place)


def _to_sample(item: SampleIn, index: int) -> Sample | BadSample:
    completion = item.completion
    prompt: Conversation | None = None
    try:
        prompt = (
            (Message("user", item.prompt),)
            if isinstance(item.prompt, str)
            else _conversation(item.prompt, f"samples.{index}.prompt")
        )
        return Sample(
            prompt=prompt,
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
        return BadSample(Problem(UNSUPPORTED_CONTENT, "only text can be graded", field), item.id, item.group, prompt)


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
        for name in part.model_extra or ():
            if name not in _PASSED_OVER:
                raise InvalidRequest("unknown field", shortened(f"{place}.{index}.{name}"))
        texts.append(part.text)
    return "".join(texts)


def _tool_call(call: ToolCallIn) -> ToolCall:
    arguments = call.function.arguments
    written = arguments if isinstance(arguments, str) else arguments_text(arguments)
    return ToolCall(call.function.name, written, call.id or "")


# Characters of all that a sample brings


def _lengths(sample: Sample | BadSample) -> Iterator[tuple[str, int]]:
    """By field. Of a sample that was not built only what is kept of it."""
    if sample.prompt is not None:
        yield "prompt", _characters(sample.prompt)
    texts = {"id": sample.id, "group": sample.group}
    if isinstance(sample, Sample):
        yield "completion", _characters(sample.completion)
        texts |= {name: getattr(sample, name) for name in ("reasoning", "finish_reason", "response_type")}
    for name, text in texts.items():
        if text is not None:
            yield name, len(text)


def _characters(conversation: Conversation) -> int:
    characters = 0
    for message in conversation:
        characters += len(message.content) + len(message.name)
        for call in message.tool_calls:
            characters += len(call.name) + len(call.arguments) + len(call.id)
    return characters
