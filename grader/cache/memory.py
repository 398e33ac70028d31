"""The process's own cache: least recently used conversations go first, bounded by approximate bytes.

It holds values themselves, not bytes, because the warm path may spend about a microsecond a conversation here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, Generic, TypeVar

V = TypeVar("V")

DEFAULT_MAX_BYTES: Final = 256 * 1024 * 1024
# Measured with tracemalloc on Python 3.11: an entry's key, dict and place in the order; a grade with its two floats
# and its slot in the dict.
ENTRY_BYTES: Final = 400
VALUE_BYTES: Final = 180


class MemoryCache(Generic[V]):
    """key -> field -> value. ``max_bytes``: raising it keeps more conversations warm and costs that much memory.

    Not thread-safe: it belongs to one event loop.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES, *, value_bytes: int = VALUE_BYTES) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}; it must be 0 (keep nothing) or more")
        self._max_bytes = max_bytes
        self._value_bytes = value_bytes
        self._entries: OrderedDict[bytes, dict[bytes, V]] = OrderedDict()
        self._values = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def approximate_bytes(self) -> int:
        return len(self._entries) * ENTRY_BYTES + self._values * self._value_bytes

    def get(self, key: bytes) -> Mapping[bytes, V] | None:
        """All values under the key, which becomes the most recently used; not a copy."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def add(self, key: bytes, values: Mapping[bytes, V]) -> dict[bytes, V]:
        """Keep the values whose field is not kept yet; returns what is now kept of these fields (first write wins)."""
        return self._merge(key, values, overwrite=False)

    def replace(self, key: bytes, values: Mapping[bytes, V]) -> None:
        """Keep the values in place of what was kept: they were made first, by another replica."""
        self._merge(key, values, overwrite=True)

    def _merge(self, key: bytes, values: Mapping[bytes, V], *, overwrite: bool) -> dict[bytes, V]:
        entry = self._entries.setdefault(key, {})
        size_before = len(entry)
        if overwrite:
            entry.update(values)
        else:
            for field, value in values.items():
                entry.setdefault(field, value)
        self._values += len(entry) - size_before
        self._entries.move_to_end(key)
        kept = {field: entry[field] for field in values}
        self._evict()
        return kept

    def _evict(self) -> None:
        while self._entries and self.approximate_bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._values -= len(oldest)
