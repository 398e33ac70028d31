"""The small template language of the phrase banks: ``(a|b)`` chooses, ``{slot}`` is filled.

Knows nothing of traits or topics. Parentheses without a bar, and square brackets, are ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")


def expand(template: str, rng: Random, slot: Callable[[str], str] | None = None) -> str:
    """One sentence of the template: choices from the inside out, then slots.

    ``slot`` maps a name to its text; a capitalised name asks for the same text with a capital letter.
    """
    text = template
    while (match := _CHOICE.search(text)) is not None:
        text = text[: match.start()] + rng.choice(match.group(1).split("|")) + text[match.end() :]
    if slot is not None:
        text = _SLOT.sub(lambda found: _filled(found.group(1), slot), text)
    return " ".join(text.split()) if "\n" not in text else text


def _filled(name: str, slot: Callable[[str], str]) -> str:
    return slot(name) if name[0].islower() else capitalised(slot(name.lower()))


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def continued(text: str) -> str:
    """The text as it stands after a comma: a small first letter, but ``I`` stays."""
    first = text.split(" ", 1)[0].rstrip(".,!?")
    if first in {"I", "I'm", "I'd", "I've"} or text[:1] in '"*[1':
        return text
    return text[:1].lower() + text[1:]
