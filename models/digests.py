"""Content hashes: one length-prefixed SHA-256 over typed parts.

Length prefixes make the encoding injective, so that no two different inputs share a digest by concatenation
(``("ab", "c")`` and ``("a", "bc")`` differ).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Part: TypeAlias = "str | bytes | bool | int | float | Iterable[Part] | Mapping[str, Part] | None"

_LENGTH = struct.Struct("<cQ")


def fingerprint(*parts: Part) -> str:
    """Hex SHA-256 of the parts; mappings are hashed in key order, other iterables in their own."""
    return hashlib.sha256(encode(parts)).hexdigest()


def encode(part: Part) -> bytes:
    """An injective byte encoding: a type tag, a length, the content."""
    if isinstance(part, str):
        return _tagged(b"s", part.encode("utf-8", "surrogatepass"))
    if isinstance(part, bytes):
        return _tagged(b"b", part)
    if part is None or isinstance(part, bool | int):
        return _tagged(b"i", repr(part).encode())
    if isinstance(part, float):
        return _tagged(b"f", struct.pack("<d", part))
    if isinstance(part, Mapping):
        return _tagged(b"m", b"".join(encode(key) + encode(part[key]) for key in sorted(part)))
    return _tagged(b"l", b"".join(encode(item) for item in part))


def _tagged(tag: bytes, content: bytes) -> bytes:
    return _LENGTH.pack(tag, len(content)) + content
