"""The words that the caches share: where a value is filed, and how it becomes bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

V = TypeVar("V")


class DamageError(ValueError):
    """Bytes that are no value of ours, or were filed elsewhere."""


class Codec(Protocol[V]):
    """Turns values into bytes and back, exactly: a grade read by another replica is the same grade to the last bit.

    ``kind`` names the sort of value and stands in every Redis key.
    """

    @property
    def kind(self) -> str: ...

    def encode(self, value: V) -> bytes: ...

    def decode(self, content: bytes) -> V:
        """Raises `DamageError` for what `encode` cannot have written, another version's bytes included."""
        ...


class Wanted(NamedTuple):
    """The fields looked for under one key."""

    key: bytes
    fields: Sequence[bytes]


class Entry(NamedTuple, Generic[V]):
    """Values under one key, by field."""

    key: bytes
    values: Mapping[bytes, V]
