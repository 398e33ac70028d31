"""Typed values in a real Redis, damaged ones among them."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from grader.cache.base import DamageError, Entry, Wanted
from grader.cache.codec import GradeCodec
from grader.cache.redis import RedisCache
from grader.cache.remote import RemoteCache
from grader.events import CacheDamaged, CacheLookup
from grader.grades import Grade
from tests.grader.chain import Events
from tests.redis_server import RedisServer

KEY = b"k" * 32
NAME = b"rbr:1:grade:" + KEY.hex().encode()


class ScoreCodec:
    """Another kind of value, as a reward model's scores would be."""

    kind = "score"

    def encode(self, value: float) -> bytes:
        return struct.pack("<d", value)

    def decode(self, content: bytes) -> float:
        if len(content) != 8:
            raise DamageError("not a score")
        value: float = struct.unpack("<d", content)[0]
        return value


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[RedisCache]:
    redis = RedisCache.from_url(redis_server.url, timeout_seconds=5.0)
    yield redis
    await redis.aclose()


@pytest.fixture
def cache(redis: RedisCache, events: Events) -> RemoteCache[Grade]:
    return RemoteCache(redis, GradeCodec(), events)


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


async def test_grades_are_shared_exactly(cache: RemoteCache[Grade], events: Events) -> None:
    grades = {b"a": Grade(0.1, 0.3, censored=True), b"b": Grade(-1e-300)}
    assert await cache.write([Entry(KEY, grades)]) == []
    assert await cache.read([Wanted(KEY, [b"a", b"b", b"c"])]) == [grades]
    (lookup,) = events.of(CacheLookup)
    assert (lookup.tier, lookup.hits, lookup.misses) == ("redis", 2, 1)


async def test_the_first_grade_stands_and_the_second_writer_gets_it(cache: RemoteCache[Grade]) -> None:
    await cache.write([Entry(KEY, {b"a": Grade(1.0)})])
    assert await cache.write([Entry(KEY, {b"a": Grade(2.0), b"b": Grade(3.0)})]) == [Entry(KEY, {b"a": Grade(1.0)})]


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty", "another field's"])
async def test_a_damaged_value_is_a_miss_is_counted_and_is_gone(
    cache: RemoteCache[Grade], events: Events, client: Redis, damage: str
) -> None:
    await cache.write([Entry(KEY, {b"a": Grade(1.0), b"b": Grade(2.0)})])
    whole = await client.hget(NAME, "a")
    assert whole is not None
    bad = {
        "cut": whole[:-1],
        "flipped": whole[:5] + bytes([whole[5] ^ 1]) + whole[6:],
        "foreign": b"hello",
        "empty": b"",
        "another field's": await client.hget(NAME, "b"),
    }[damage]
    await client.hset(NAME, "a", bad)
    assert await cache.read([Wanted(KEY, [b"a", b"b"])]) == [{b"b": Grade(2.0)}]
    assert events.of(CacheDamaged) == [CacheDamaged(1)]
    assert await client.hkeys(NAME) == [b"b"]
    assert await cache.write([Entry(KEY, {b"a": Grade(3.0)})]) == []
    assert await cache.read([Wanted(KEY, [b"a"])]) == [{b"a": Grade(3.0)}]


async def test_a_key_that_is_no_hash_is_replaced(cache: RemoteCache[Grade], events: Events, client: Redis) -> None:
    await client.set(NAME, "somebody else's")
    assert await cache.read([Wanted(KEY, [b"a"])]) == [{}]
    assert events.of(CacheDamaged) == [CacheDamaged(1)]
    await cache.write([Entry(KEY, {b"a": Grade(3.0)})])
    assert await cache.read([Wanted(KEY, [b"a"])]) == [{b"a": Grade(3.0)}]


async def test_a_damaged_earlier_value_is_not_adopted_and_is_counted(
    cache: RemoteCache[Grade], events: Events, client: Redis
) -> None:
    await cache.write([Entry(KEY, {b"c": Grade(2.0)})])
    await client.hset(NAME, mapping={"a": b"hello", "b": b""})
    found = await cache.write([Entry(KEY, {b"a": Grade(1.0), b"b": Grade(1.0), b"c": Grade(1.0)})])
    assert found == [Entry(KEY, {b"c": Grade(2.0)})]
    assert events.of(CacheDamaged) == [CacheDamaged(2)]


async def test_another_kind_of_value_shares_the_server_and_not_the_keys(
    redis: RedisCache, cache: RemoteCache[Grade], events: Events
) -> None:
    scores = RemoteCache(redis, ScoreCodec(), events)
    await scores.write([Entry(KEY, {b"a": 0.25})])
    await cache.write([Entry(KEY, {b"a": Grade(1.0)})])
    assert await scores.read([Wanted(KEY, [b"a"])]) == [{b"a": 0.25}]
    assert await cache.read([Wanted(KEY, [b"a"])]) == [{b"a": Grade(1.0)}]


async def test_bypassed_nothing_is_found_and_no_lookup_is_told(redis: RedisCache, events: Events) -> None:
    cache = RemoteCache(redis, GradeCodec(), events)
    await redis.aclose()
    assert await cache.read([Wanted(KEY, [b"a"])]) == [{}]
    assert not events.of(CacheLookup)
