"""The shared cache against a real server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from grader.cache.base import Entry, Wanted
from grader.cache.redis import Found, RedisCache, _chunks, _is_wrong_type
from grader.events import BreakerChanged, CacheBypassed
from tests.grader.chain import Events, until
from tests.redis_server import RedisServer

KEY = b"k" * 32
PATIENT_SECONDS = 5.0


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def cache(redis_server: RedisServer, events: Events) -> AsyncIterator[RedisCache]:
    cache = RedisCache.from_url(redis_server.url, timeout_seconds=PATIENT_SECONDS, listener=events)
    yield cache
    await cache.aclose()


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


async def read(cache: RedisCache, key: bytes, *fields: bytes) -> Any:
    (found,) = await cache.read("test", [Wanted(key, fields)])
    return None if found is None else list(found.values)


async def test_written_values_are_read_and_others_are_none(cache: RedisCache) -> None:
    assert await cache.write("test", [Entry(KEY, {b"a": b"1", b"b": b"\x00\xff"})]) == []
    assert await read(cache, KEY, b"b", b"c", b"a") == [b"\x00\xff", None, b"1"]
    assert await cache.read("another", [Wanted(KEY, [b"a"])]) == [Found([None])]


async def test_the_first_write_wins_and_the_loser_is_told(cache: RedisCache) -> None:
    await cache.write("test", [Entry(KEY, {b"a": b"first"})])
    earlier = await cache.write("test", [Entry(KEY, {b"a": b"second", b"b": b"new"}), Entry(b"other", {b"a": b"x"})])
    assert earlier == [Entry(KEY, {b"a": b"first"})]
    assert await read(cache, KEY, b"a", b"b") == [b"first", b"new"]


async def test_keys_are_prefixed_versioned_and_expire_with_jitter(redis_server: RedisServer, client: Redis) -> None:
    cache = RedisCache.from_url(redis_server.url, timeout_seconds=PATIENT_SECONDS, ttl_seconds=1000, ttl_jitter=0.1)
    await cache.write("test", [Entry(bytes([i]) * 32, {b"a": b"1"}) for i in range(50)])
    await cache.aclose()
    names = await client.keys()
    assert all(name.startswith(b"rbr:1:test:") for name in names)
    lives = [await client.ttl(name) for name in names]
    assert len(lives) == 50
    assert 898 <= min(lives) < max(lives) <= 1100
    assert len(set(lives)) > 10


async def test_discarded_fields_are_gone_and_the_others_stay(cache: RedisCache) -> None:
    await cache.write("test", [Entry(KEY, {b"a": b"1", b"b": b"2"}), Entry(b"other", {b"a": b"3"})])
    await cache.discard("test", [Wanted(KEY, [b"a"]), Wanted(b"other", [])])
    assert await read(cache, KEY, b"a", b"b") == [None, b"2"]
    assert await read(cache, b"other", b"a") == [None]


async def test_a_key_of_another_type_reads_as_damaged_beside_sound_ones(cache: RedisCache, client: Redis) -> None:
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    await client.set("rbr:1:test:" + b"bad".hex(), "a string")
    found = await cache.read("test", [Wanted(b"bad", [b"a"]), Wanted(KEY, [b"a"])])
    assert found == [Found([None], damaged=True), Found([b"1"])]
    assert cache.breaker_state == "closed"


async def test_a_huge_batch_is_read_and_written_whole(cache: RedisCache) -> None:
    fields = [bytes([i]) for i in range(17)]
    keys = [i.to_bytes(4, "big") for i in range(4096)]
    await cache.write("test", [Entry(key, dict.fromkeys(fields, key)) for key in keys])
    found = await cache.read("test", [Wanted(key, fields) for key in keys])
    assert found == [Found([key] * 17) for key in keys]


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_pipelines_are_bounded_and_cover_everything_once(sizes: list[int]) -> None:
    ranges = list(_chunks(sizes))
    assert [index for start, stop in ranges for index in range(start, stop)] == list(range(len(sizes)))
    assert all(
        sum(sizes[start:stop]) <= 1024 or len([n for n in sizes[start:stop] if n]) == 1 for start, stop in ranges
    )


async def test_one_key_with_more_fields_than_a_pipeline_holds_is_read_whole(cache: RedisCache) -> None:
    fields = [b"%d" % i for i in range(3000)]
    await cache.write("test", [Entry(KEY, dict.fromkeys(fields, b"v"))])
    assert await read(cache, KEY, *fields) == [b"v"] * 3000


async def test_nothing_wanted_asks_nothing(cache: RedisCache) -> None:
    assert await cache.read("test", []) == []
    assert await cache.write("test", []) == []


async def test_a_frozen_server_is_bypassed_and_the_breaker_opens_and_closes_again(
    own_redis_server: RedisServer, events: Events
) -> None:
    cache = RedisCache.from_url(
        own_redis_server.url, timeout_seconds=0.05, failures_to_open=3, cooldown_seconds=0.1, listener=events
    )
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    own_redis_server.freeze()
    for _ in range(4):
        assert await read(cache, KEY, b"a") is None
    assert cache.breaker_state == "open"
    assert [event.reason for event in events.of(CacheBypassed)] == ["timeout"] * 3 + ["open"]
    own_redis_server.thaw()
    async with asyncio.timeout(20):
        while await read(cache, KEY, b"a") is None:
            await asyncio.sleep(0.02)
    assert await read(cache, KEY, b"a") == [b"1"]
    assert [event.closed for event in events.of(BreakerChanged)] == [False, True]
    await cache.aclose()


async def test_a_server_that_is_not_there_is_bypassed(events: Events) -> None:
    cache = RedisCache.from_url("redis://127.0.0.1:1/0", timeout_seconds=PATIENT_SECONDS, listener=events)
    assert await read(cache, KEY, b"a", b"b") is None
    assert await cache.write("test", [Entry(KEY, {b"a": b"1"})]) == []
    assert events.of(CacheBypassed) == [CacheBypassed("read", "error", 2), CacheBypassed("write", "error", 1)]
    await cache.aclose()


async def test_after_a_failure_the_rest_of_a_huge_read_is_not_tried(events: Events) -> None:
    cache = RedisCache.from_url("redis://127.0.0.1:1/0", timeout_seconds=PATIENT_SECONDS, listener=events)
    assert await cache.read("test", [Wanted(KEY, [b"a"] * 1000)] * 5) == [None] * 5
    assert events.of(CacheBypassed) == [CacheBypassed("read", "error", 1000), CacheBypassed("read", "open", 4000)]
    await cache.aclose()


async def test_a_restarted_server_is_used_again_without_a_failure(
    own_redis_server: RedisServer, events: Events
) -> None:
    """Connections of before the restart are found dead and replaced; the write script needs no loading."""
    cache = RedisCache.from_url(own_redis_server.url, timeout_seconds=PATIENT_SECONDS, listener=events)
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    own_redis_server.restart()
    assert await read(cache, KEY, b"a") == [None]
    await cache.write("test", [Entry(KEY, {b"a": b"2"})])
    assert await read(cache, KEY, b"a") == [b"2"]
    assert not events
    await cache.aclose()


async def test_a_full_server_is_still_read_and_its_refused_writes_are_counted(
    own_redis_server: RedisServer, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    cache = RedisCache.from_url(
        own_redis_server.url, timeout_seconds=PATIENT_SECONDS, failures_to_open=2, listener=events
    )
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    own_redis_server.command("SETRANGE", "filler", "2000000", "x")
    own_redis_server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own_redis_server.command("CONFIG", "SET", "maxmemory", "1mb")
    for _ in range(5):
        assert await cache.write("test", [Entry(b"new", {b"a": b"1", b"b": b"2"}), Entry(b"other", {b"a": b"1"})]) == []
        assert await read(cache, KEY, b"a") == [b"1"]
    assert cache.breaker_state == "closed"
    assert events == [CacheBypassed("write", "error", 3)] * 5
    assert "does not answer" not in caplog.text
    assert caplog.text.count("Redis refuses to write: ") == 1, "told, and not with every write"
    own_redis_server.command("CONFIG", "SET", "maxmemory", "0")
    await cache.write("test", [Entry(b"new", {b"a": b"1"})])
    assert await read(cache, b"new", b"a") == [b"1"]
    assert len(events) == 5
    await cache.aclose()


async def test_a_replica_that_is_read_only_is_read(own_redis_server: RedisServer, events: Events) -> None:
    cache = RedisCache.from_url(
        own_redis_server.url, timeout_seconds=PATIENT_SECONDS, failures_to_open=1, listener=events
    )
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    own_redis_server.command("REPLICAOF", "127.0.0.1", "1")
    assert await cache.write("test", [Entry(KEY, {b"b": b"2"})]) == []
    assert await read(cache, KEY, b"a") == [b"1"]
    assert cache.breaker_state == "closed"
    assert events == [CacheBypassed("write", "error", 1)]
    await cache.aclose()


@pytest.mark.parametrize(("forbidden", "operation"), [("-eval", "write"), ("-hmget", "read")])
async def test_what_the_user_may_not_do_is_bypassed_and_the_rest_goes_on(
    own_redis_server: RedisServer, events: Events, forbidden: str, operation: str
) -> None:
    own_redis_server.command("ACL", "SETUSER", "grades", "on", ">secret", "~*", "+@all", forbidden)
    url = own_redis_server.url.replace("redis://", "redis://grades:secret@")
    cache = RedisCache.from_url(url, timeout_seconds=PATIENT_SECONDS, failures_to_open=1, listener=events)
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    assert await read(cache, KEY, b"a") == (None if operation == "read" else [None])
    assert cache.breaker_state == "closed"
    assert [(event.operation, event.reason) for event in events.of(CacheBypassed)] == [(operation, "error")]
    await cache.aclose()


async def test_a_key_of_another_type_refuses_its_own_write_alone(
    cache: RedisCache, events: Events, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await client.set("rbr:1:test:" + b"bad".hex(), "a string")
    await cache.write("test", [Entry(b"bad", {b"a": b"1", b"b": b"1"}), Entry(KEY, {b"a": b"1"})])
    assert events == [CacheBypassed("write", "error", 2)]
    assert await read(cache, KEY, b"a") == [b"1"]
    assert not caplog.records


def test_a_wrong_type_is_known_however_the_server_words_it() -> None:
    """Redis 6.2 puts the script before the error that it hit."""
    wrong = "Operation against a key holding the wrong kind of value"
    assert _is_wrong_type(ResponseError(f"WRONGTYPE {wrong}"))
    assert _is_wrong_type(ResponseError(f"Error running script (call to f_1): @user_script:4: WRONGTYPE {wrong}"))
    assert not _is_wrong_type(ResponseError("OOM command not allowed when used memory > 'maxmemory'."))


async def test_a_cancelled_read_never_hands_its_reply_to_another(cache: RedisCache) -> None:
    """Reads cancelled at random moments share a few connections; every read that ends gets its own key's value."""
    rng = random.Random(11)
    keys = [b"%d" % i for i in range(50)]
    await cache.write("test", [Entry(key, {b"a": b"value of " + key}) for key in keys])

    async def one(key: bytes) -> None:
        assert await read(cache, key, b"a") == [b"value of " + key]

    ended = 0
    for _ in range(40):
        reads = [asyncio.create_task(one(rng.choice(keys))) for _ in range(20)]
        for _ in range(rng.randrange(12)):
            await asyncio.sleep(0)
        for task in rng.sample(reads, 10):
            task.cancel()
        results = await asyncio.gather(*reads, return_exceptions=True)
        assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results)
        ended += sum(result is None for result in results)
    assert ended >= 400
    assert cache.breaker_state == "closed"


async def test_replies_that_come_after_their_timeout_are_never_taken_for_later_ones(
    redis_server: RedisServer, events: Events
) -> None:
    cache = RedisCache.from_url(redis_server.url, timeout_seconds=0.03, failures_to_open=10**9, listener=events)
    keys = [b"%d" % i for i in range(20)]
    await cache.write("test", [Entry(key, {b"a": b"value of " + key}) for key in keys])
    for _ in range(5):
        redis_server.command("CLIENT", "PAUSE", "60", "ALL")
        for key in keys:
            assert await read(cache, key, b"a") in (None, [b"value of " + key])
    await until(lambda: len(events.of(CacheBypassed)) >= 5)
    await cache.aclose()


async def test_closed_it_is_bypassed_and_closing_again_is_fine(redis_server: RedisServer, events: Events) -> None:
    cache = RedisCache.from_url(redis_server.url, timeout_seconds=PATIENT_SECONDS, listener=events)
    await cache.write("test", [Entry(KEY, {b"a": b"1"})])
    await cache.aclose()
    await cache.aclose()
    assert await read(cache, KEY, b"a") is None
    assert events == [CacheBypassed("read", "open", 1)]
