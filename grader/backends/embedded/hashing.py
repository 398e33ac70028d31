"""Hashed n-grams of a text, in numpy: bytes and words, no Python loop over the text.

One cumulative polynomial over the bytes (modulo 2**64) gives the hash of any span as a difference, because its base is
odd and so has an inverse: ``hash(s, e) = (P[e] - P[s]) * base**-s``. Words and byte n-grams share it. Texts are
lower-cased and hashed whole, whatever their length. Training and serving both call this; changing anything here changes
every artifact, so `VERSION` goes up with it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1

UInts = NDArray[np.uint64]

_BASE: Final = 0x9E3779B97F4A7C15
_INVERSE: Final = pow(_BASE, -1, 2**64)
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_ORDER_SALTS: Final = np.array([pow(0x2545F4914F6CDD1D, n + 1, 2**64) for n in range(16)], dtype=np.uint64)
_START: Final = np.array([0x5851F42D4C957F2D], dtype=np.uint64)
_END: Final = np.array([0x14057B7EF767814F], dtype=np.uint64)
_CACHED_LENGTH: Final = 1 << 14
_SPACE, _WORD, _MARK = 0, 1, 2
_QUOTES: Final = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


def _byte_codes() -> UInts:
    """A fixed odd-looking 64-bit number for every byte, so that neighbouring letters do not hash alike."""
    state, codes = 0x243F6A8885A308D3, []
    for _ in range(256):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        codes.append(state ^ (state >> 29))
    return np.array(codes, dtype=np.uint64)


def _byte_classes() -> NDArray[np.uint8]:
    """White space, part of a word (letters, digits, apostrophe, anything beyond ASCII), or a mark (punctuation)."""
    classes = np.full(256, _MARK, dtype=np.uint8)
    classes[:33] = _SPACE
    for byte in (*range(48, 58), *range(97, 123), *range(128, 256), ord("'")):
        classes[byte] = _WORD
    return classes


_CODES: Final = _byte_codes()
_CLASSES: Final = _byte_classes()


class Hashed(NamedTuple):
    """``prefix_B1``: the polynomial up to each byte; ``words_W``: hash of every word and punctuation mark in order;
    ``lengths_W``: their lengths in bytes; ``codes_B``: the normalised bytes."""

    prefix_B1: UInts
    words_W: UInts
    lengths_W: NDArray[np.intp]
    codes_B: NDArray[np.uint8]


def hash_text(text: str) -> Hashed:
    """Never raises: lone surrogates are encoded as they are."""
    if not text.isascii():
        text = text.translate(_QUOTES)
    codes_B = np.frombuffer(b" " + text.lower().encode("utf-8", "surrogatepass") + b" ", dtype=np.uint8)
    powers, inverses = _powers(len(codes_B))
    prefix_B1 = np.empty(len(codes_B) + 1, dtype=np.uint64)
    prefix_B1[0] = 0
    np.cumsum(_CODES[codes_B] * powers, out=prefix_B1[1:])
    classes_B = _CLASSES[codes_B]
    words_B = classes_B == _WORD
    marks_B = classes_B == _MARK
    starts = np.flatnonzero((words_B[1:] & ~words_B[:-1]) | marks_B[1:]) + 1
    ends = np.flatnonzero((words_B[:-1] & ~words_B[1:]) | marks_B[:-1]) + 1
    words_W = (prefix_B1[ends] - prefix_B1[starts]) * inverses[starts]
    return Hashed(prefix_B1, words_W, ends - starts, codes_B)


def byte_ngrams(hashed: Hashed, order: int) -> UInts:
    """The hash of every window of ``order`` bytes; none where the text is shorter."""
    prefix_B1 = hashed.prefix_B1
    if len(prefix_B1) <= order:
        return np.empty(0, dtype=np.uint64)
    _, inverses = _powers(len(prefix_B1) - 1)
    windows: UInts = (prefix_B1[order:] - prefix_B1[:-order]) * inverses[: len(prefix_B1) - order] + _ORDER_SALTS[order]
    return windows


def word_ngrams(hashed: Hashed, order: int) -> UInts:
    """The hash of every run of ``order`` words; from order 2 on, the ends of the text count as words."""
    words = hashed.words_W
    if order > 1:
        words = np.concatenate((_START, words, _END))
    if len(words) < order:
        return np.empty(0, dtype=np.uint64)
    total: UInts = words[: len(words) - order + 1] * _ORDER_SALTS[8]
    for offset in range(1, order):
        total = (total ^ (total >> np.uint64(31))) * _MIX + words[offset : len(words) - order + 1 + offset]
    total += _ORDER_SALTS[order]
    return total


def skip_bigrams(hashed: Hashed) -> UInts:
    """The hash of every pair of words with one word between them."""
    words = hashed.words_W
    pairs: UInts = words[2:]
    if len(pairs):
        pairs = (words[:-2] * _ORDER_SALTS[9] ^ (words[:-2] >> np.uint64(29))) * _MIX + words[2:]
    return pairs


def buckets(hashes: UInts, bits: int) -> NDArray[np.int64]:
    """The bucket of each hash, from its highest bits after mixing."""
    mixed = (hashes ^ (hashes >> np.uint64(32))) * _MIX
    return (mixed >> np.uint64(64 - bits)).view(np.int64)


def _powers(length: int) -> tuple[UInts, UInts]:
    """``base**i`` and ``base**-i`` for i < length."""
    if length <= _CACHED_LENGTH:
        powers, inverses = _cached_powers()
        return powers[:length], inverses[:length]
    return _computed(_BASE, length), _computed(_INVERSE, length)


@lru_cache(maxsize=1)
def _cached_powers() -> tuple[UInts, UInts]:
    return _computed(_BASE, _CACHED_LENGTH), _computed(_INVERSE, _CACHED_LENGTH)


def _computed(base: int, length: int) -> UInts:
    factors = np.full(length, base, dtype=np.uint64)
    factors[:1] = 1
    return np.multiply.accumulate(factors)
