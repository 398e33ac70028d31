from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from grader.cache.base import Entry
from grader.cache.write_behind import WriteBehind
from tests.grader.chain import until


class Sink:
    def __init__(self, max_values: int = 100) -> None:
        self.written: dict[bytes, dict[bytes, int]] = {}
        self.writes = 0
        self.under_way = 0
        self.dropped = 0
        self.gate = asyncio.Event()
        self.failure: Exception | None = None
        self.behind: WriteBehind[int] = WriteBehind(self.write, self.drop, max_values=max_values)

    async def write(self, entries: Sequence[Entry[int]]) -> None:
        self.writes += 1
        self.under_way += 1
        assert self.under_way == 1
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        if self.failure is not None:
            raise self.failure
        for key, values in entries:
            self.written.setdefault(key, {}).update(values)

    def drop(self, count: int) -> None:
        self.dropped += count


async def test_what_comes_while_a_write_is_under_way_goes_together() -> None:
    sink = Sink()
    sink.behind.put(b"1", {b"a": 1})
    await until(lambda: sink.writes == 1)
    sink.behind.put(b"2", {b"a": 2})
    sink.behind.put(b"2", {b"b": 3})
    assert sink.behind.waiting == 2
    sink.gate.set()
    await sink.behind.drain(10)
    assert sink.writes == 2
    assert sink.written == {b"1": {b"a": 1}, b"2": {b"a": 2, b"b": 3}}
    assert sink.dropped == sink.behind.waiting == 0


async def test_too_much_waiting_is_dropped_and_counted() -> None:
    sink = Sink(max_values=3)
    for number in range(5):
        sink.behind.put(b"%d" % number, {b"a": number})
    assert sink.dropped == 2
    sink.gate.set()
    await sink.behind.drain(10)
    assert len(sink.written) == 3


async def test_a_drain_ends_in_time_and_counts_what_is_left() -> None:
    sink = Sink()
    sink.behind.put(b"1", {b"a": 1, b"b": 1, b"c": 1})
    await until(lambda: sink.writes == 1)
    sink.behind.put(b"2", {b"a": 2, b"b": 2})
    await sink.behind.drain(0.01)
    assert sink.dropped == 5, "three in the write under way, two behind it"
    assert sink.under_way == sink.behind.waiting == 0
    assert len(asyncio.all_tasks()) == 1


async def test_a_failed_write_does_not_stop_later_ones(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.failure = ValueError("no")
    sink.gate.set()
    sink.behind.put(b"1", {b"a": 1})
    await until(lambda: "a background write failed" in caplog.text)
    sink.failure = None
    sink.behind.put(b"2", {b"a": 2})
    await sink.behind.drain(10)
    assert sink.written == {b"2": {b"a": 2}}
