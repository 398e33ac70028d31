"""Values of one kind in Redis: what a codec makes of the bytes, and what is done about damaged ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Generic, TypeVar

from grader.cache.base import Codec, DamageError, Entry, Wanted
from grader.cache.codec import seal, unseal
from grader.cache.redis import RedisCache
from grader.events import CacheDamaged, CacheLookup, Listener

V = TypeVar("V")


class RemoteCache(Generic[V]):
    """A typed view of a `RedisCache`; several kinds of value may share one, with its breaker."""

    def __init__(self, redis: RedisCache, codec: Codec[V], listener: Listener) -> None:
        self._redis = redis
        self._codec = codec
        self._listener = listener

    async def read(self, wanted: Sequence[Wanted]) -> list[dict[bytes, V]]:
        """What Redis has of each key's fields. Damaged values are misses, are counted, and are deleted there."""
        started = time.perf_counter()
        found: list[dict[bytes, V]] = []
        damaged: list[Wanted] = []
        asked = 0
        replies = await self._redis.read(self._codec.kind, wanted)
        for item, reply in zip(wanted, replies, strict=True):
            if reply is None:
                found.append({})
                continue
            asked += len(item.fields)
            values, bad = self._decode(item, reply.values)
            found.append(values)
            if bad or reply.damaged:
                damaged.append(Wanted(item.key, () if reply.damaged else bad))
        if asked:
            hits = sum(map(len, found))
            self._listener(CacheLookup("redis", hits, asked - hits, time.perf_counter() - started))
        if damaged:
            # Before anything is graded: a delete that came after the write of the new value would undo it.
            self._listener(CacheDamaged(sum(max(1, len(item.fields)) for item in damaged)))
            await self._redis.discard(self._codec.kind, damaged)
        return found

    async def write(self, entries: Sequence[Entry[V]]) -> list[Entry[V]]:
        """Keep what is not there yet; returns the values that another replica had made first.

        Damaged ones found there are counted and stay until the next read deletes them.
        """
        encode = self._codec.encode
        sealed = [
            Entry(key, {field: seal(key, field, encode(value)) for field, value in values.items()})
            for key, values in entries
        ]
        earlier = await self._redis.write(self._codec.kind, sealed)
        firsts: list[Entry[V]] = []
        damaged = 0
        for key, contents in earlier:
            values, bad = self._decode(Wanted(key, tuple(contents)), tuple(contents.values()))
            damaged += len(bad)
            if values:
                firsts.append(Entry(key, values))
        if damaged:
            self._listener(CacheDamaged(damaged))
        return firsts

    def _decode(self, item: Wanted, contents: Sequence[bytes | None]) -> tuple[dict[bytes, V], list[bytes]]:
        """The values by field, and the fields whose bytes are damaged."""
        values: dict[bytes, V] = {}
        bad: list[bytes] = []
        for field, content in zip(item.fields, contents, strict=True):
            if content is None:
                continue
            try:
                values[field] = self._codec.decode(unseal(item.key, field, content))
            except DamageError:
                bad.append(field)
        return values, bad
