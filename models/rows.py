"""Rows of JSONL data files: gold labels, comparisons and records are one format.

    {"prompt": ..., "completion": ..., "response_type"?, "category"?, "label"?, "propositions"?: {name: bool | P(yes)},
     "base_reward"?, "costs"?: {name: number}, "id"?, "group"?, "reasoning"?, "finish_reason"?}

OpenAI's released gold rows are such rows. Fields beyond these are passed over, so that files can carry provenance.
Knows no policy: labels, propositions and response types are checked by who uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

import orjson

from models.chat_json import conversation_from_json
from models.conversations import Conversation, encode_conversation
from models.digests import fingerprint
from models.errors import RowError
from models.policy.response_types import normalise_name
from models.samples import Sample

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """``label``: a completion class or a label of an ordering. ``propositions``: name -> P(yes); booleans 0 or 1.

    ``line``: where it stands in its file, for messages.
    """

    sample: Sample
    category: str | None = None
    label: str | None = None
    propositions: Mapping[str, float] | None = None
    line: int | None = field(default=None, compare=False)

    def place(self, number: int) -> str:
        """What a message calls the row: its line, or ``number``, its place among the rows at hand."""
        return f"row {number}" if self.line is None else f"line {self.line}"


def read_rows(path: str | Path) -> Iterator[Row]:
    """The rows of a JSONL file, one at a time; blank lines are skipped. `RowError` names the file and the line."""
    place = Path(path)
    try:
        with place.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                text = (line.removeprefix(_BOM) if number == 1 else line).strip()
                if text:
                    yield replace(_row_of_line(text, f"{place}:{number}"), line=number)
    except OSError as error:
        raise RowError(f"{place}: cannot be read ({error.strerror}); give the path of a JSONL file") from error


def row_from_json(value: object) -> Row:
    """One parsed row. `RowError` names the field at fault; the group of a row without one is a digest of its prompt."""
    if not isinstance(value, Mapping):
        raise RowError('a row is a JSON object such as {"prompt": "...", "completion": "..."}')
    prompt = _conversation(value, "prompt", "user")
    if not prompt:
        raise RowError("prompt: has no messages; give at least one", "prompt")
    sample = Sample(
        prompt=prompt,
        completion=_conversation(value, "completion", "assistant"),
        id=_identifier(value, "id"),
        group=_identifier(value, "group") or prompt_group(prompt),
        reasoning=_text(value, "reasoning"),
        finish_reason=_text(value, "finish_reason"),
        response_type=_response_type(value),
        base_reward=None if value.get("base_reward") is None else _number(value["base_reward"], "base_reward"),
        costs=_numbers(value, "costs") or {},
    )
    return Row(sample, _text(value, "category"), _text(value, "label"), _probabilities(value, "propositions"))


def prompt_group(prompt: Conversation) -> str:
    """What completions of the same prompt share: 16 hex digits of its digest."""
    return fingerprint("prompt", encode_conversation(prompt))[:16]


def _row_of_line(text: bytes, place: str) -> Row:
    try:
        return row_from_json(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise RowError(f"{place}: not JSON ({error}); each line holds one complete JSON object, without NaN") from None
    except RowError as error:
        raise RowError(f"{place}: {error.message}", error.field) from None


def _conversation(value: Mapping[str, object], field: str, role: str) -> Conversation:
    if field not in value:
        raise RowError(f"{field}: missing; give a string or a list of messages", field)
    return conversation_from_json(value[field], field, role)


def _identifier(value: Mapping[str, object], field: str) -> str | None:
    """Data sets number their rows; a number is as good a name as a string."""
    given = value.get(field)
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else _text(value, field)


def _text(value: Mapping[str, object], field: str) -> str | None:
    given = value.get(field)
    if given is None or isinstance(given, str):
        return given
    raise RowError(f"{field}: expected a string, got {given!r:.60}", field)


def _response_type(value: Mapping[str, object]) -> str | None:
    given = _text(value, "response_type")
    return normalise_name(given) if given else None


def _number(given: object, field: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise RowError(f"{field}: expected a number, got {given!r:.60}", field)
    try:
        number = float(given)
    except OverflowError:
        number = float("inf")
    if not isfinite(number):
        raise RowError(f"{field}: expected a finite number, got {given!r:.60}", field)
    return number


def _numbers(value: Mapping[str, object], field: str) -> dict[str, float] | None:
    given = value.get(field)
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise RowError(f"{field}: expected an object of name -> number, got {given!r:.60}", field)
    return {
        name: _number(float(item) if isinstance(item, bool) else item, f"{field}.{name}")
        for name, item in given.items()
    }


def _probabilities(value: Mapping[str, object], field: str) -> dict[str, float] | None:
    probabilities = _numbers(value, field)
    for name, p_yes in (probabilities or {}).items():
        if not 0 <= p_yes <= 1:
            raise RowError(f"{field}.{name}: expected true, false or P(yes) in [0, 1], got {p_yes}", f"{field}.{name}")
    return probabilities
