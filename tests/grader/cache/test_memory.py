from __future__ import annotations

import random
import tracemalloc
from collections import OrderedDict

import pytest

from grader.cache.memory import ENTRY_BYTES, VALUE_BYTES, MemoryCache
from grader.grades import Grade

ONE_ENTRY = ENTRY_BYTES + VALUE_BYTES


def test_values_come_back_by_key_and_field() -> None:
    cache: MemoryCache[int] = MemoryCache()
    cache.add(b"k", {b"a": 1})
    cache.add(b"k", {b"b": 2})
    assert cache.get(b"k") == {b"a": 1, b"b": 2}
    assert cache.get(b"other") is None


def test_the_first_write_stands_and_is_returned() -> None:
    cache: MemoryCache[int] = MemoryCache()
    cache.add(b"k", {b"a": 1})
    assert cache.add(b"k", {b"a": 9, b"b": 2}) == {b"a": 1, b"b": 2}


def test_another_replicas_earlier_value_replaces_ours() -> None:
    cache: MemoryCache[int] = MemoryCache()
    cache.add(b"k", {b"a": 1, b"b": 2})
    cache.replace(b"k", {b"a": 9})
    assert cache.get(b"k") == {b"a": 9, b"b": 2}


def test_the_least_recently_used_goes_first() -> None:
    cache: MemoryCache[int] = MemoryCache(3 * ONE_ENTRY)
    for key in (b"1", b"2", b"3"):
        cache.add(key, {b"a": 0})
    cache.get(b"1")
    cache.add(b"4", {b"a": 0})
    assert [cache.get(key) is None for key in (b"1", b"2", b"3", b"4")] == [False, True, False, False]


@pytest.mark.parametrize("max_bytes", [0, ONE_ENTRY - 1])
def test_a_cache_too_small_for_anything_keeps_nothing_but_still_answers(max_bytes: int) -> None:
    cache: MemoryCache[int] = MemoryCache(max_bytes)
    assert cache.add(b"k", {b"a": 1}) == {b"a": 1}
    assert len(cache) == cache.approximate_bytes == 0


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="max_bytes is -1"):
        MemoryCache(-1)


def test_the_bound_holds_over_random_use_and_agrees_with_a_model() -> None:
    rng = random.Random(7)
    cache: MemoryCache[int] = MemoryCache(20 * ONE_ENTRY)
    model: OrderedDict[bytes, dict[bytes, int]] = OrderedDict()
    for step in range(5000):
        key, field = b"%d" % rng.randrange(40), b"%d" % rng.randrange(5)
        if rng.random() < 0.5:
            if cache.get(key) is not None:
                model.move_to_end(key)
        else:
            cache.add(key, {field: step})
            model.setdefault(key, {}).setdefault(field, step)
            model.move_to_end(key)
            while sum(ENTRY_BYTES + len(entry) * VALUE_BYTES for entry in model.values()) > 20 * ONE_ENTRY:
                model.popitem(last=False)
        assert cache.approximate_bytes == sum(ENTRY_BYTES + len(entry) * VALUE_BYTES for entry in model.values())
    assert {key: cache.get(key) for key in list(model)} == model


def test_the_approximate_size_is_near_the_true_one() -> None:
    """Within a third, for conversations with 17 grades; the bound would otherwise mean something else than it says."""
    fields = [bytes([i]) * 12 for i in range(17)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache: MemoryCache[Grade] = MemoryCache()
        for i in range(1000):
            cache.add(i.to_bytes(32, "big"), {field: Grade(i + 0.5, i / 1000) for field in fields})
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.67 < cache.approximate_bytes / (after - before) < 1.33
