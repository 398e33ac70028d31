"""Bytes in Redis, shared by the replicas: one HASH a key, one field a value.

Fails open: what Redis does not answer in time is as if it were not there, and is reported as bypassed. Knows neither
what the bytes mean (see `remote`) nor who asks. Every command touches one key and so one slot: a client of a cluster
can be given to the class. `RedisCache.from_url` makes one that talks to one server.

Two kinds of trouble are told apart. A server that cannot be reached or is late opens the breaker. A server that answers
and says no (full, read-only, no permission) does not: what it refuses is bypassed, and the rest goes on.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from grader.cache.base import Entry, Wanted
from grader.cache.breaker import DEFAULT_COOLDOWN_SECONDS, DEFAULT_FAILURES_TO_OPEN, Breaker, State
from grader.cache.patience import patience
from grader.events import BreakerChanged, CacheBypassed, Listener, ignore

logger = logging.getLogger(__name__)

Command: TypeAlias = tuple[str | bytes | int, ...]
Operation: TypeAlias = Literal["read", "write"]

_PREFIX: Final = b"rbr:1:"
_DAY_SECONDS: Final = 24 * 60 * 60
# One pipeline carries at most this many values: larger ones hold the event loop while they are packed and parsed, and
# their time comes off the time limit.
_VALUES_A_PIPELINE: Final = 1024
# Commands under way together. More gain nothing in one process, whose parsing is the bottleneck; what waits here is not
# yet timed, because waiting for ourselves is no failure of Redis.
_CONCURRENT_PIPELINES: Final = 8
_SECONDS_BETWEEN_REFUSALS_TOLD: Final = 60.0
_REFUSAL_CHARACTERS: Final = 200

# First write wins, for each field by itself; answers with the fields that had a value and that value. One script
# instead of n HSETNX because the client spends tens of microseconds a reply. Sent as text: a restarted server has
# forgotten any loaded script.
_WRITE_SCRIPT: Final = """
local earlier = {}
for i = 2, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 0 then
    earlier[#earlier + 1] = ARGV[i]
    earlier[#earlier + 1] = redis.call('HGET', KEYS[1], ARGV[i])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return earlier
"""


class Found(NamedTuple):
    """What one key's read gave: ``values`` aligned with the fields wanted; ``damaged``: the key holds no hash."""

    values: Sequence[bytes | None]
    damaged: bool = False


class RedisCache:
    """One client with its pool and its breaker; belongs to the event loop that first uses it.

    ``timeout_seconds``: for one pipeline, connecting included; raising it makes a slow Redis cost requests more and
    bypass less. ``ttl_seconds`` varies by ``ttl_jitter`` (a share) so that what was written together does not expire
    together.
    """

    def __init__(
        self,
        client: Redis,
        *,
        timeout_seconds: float = 0.05,
        ttl_seconds: float = 7 * _DAY_SECONDS,
        ttl_jitter: float = 0.1,
        failures_to_open: int = DEFAULT_FAILURES_TO_OPEN,
        cooldown_seconds: float = DEFAULT_COOLDOWN_SECONDS,
        listener: Listener = ignore,
    ) -> None:
        self._listener = listener
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._ttl_seconds = ttl_seconds
        self._ttl_jitter = ttl_jitter
        self._breaker = Breaker(failures_to_open, cooldown_seconds, changed=self._breaker_changed)
        self._slots = asyncio.Semaphore(_CONCURRENT_PIPELINES)
        self._closed = False
        self._refusal_told_at = float("-inf")

    @classmethod
    def from_url(cls, url: str, *, timeout_seconds: float = 0.05, **options: Any) -> RedisCache:
        """``url``: ``redis://``, ``rediss://`` or ``unix://``; nothing is connected yet. ``options``: the class's."""
        client = Redis.from_url(
            url,
            # A lone read would otherwise time out by a plain timer; `patience` limits the whole pipeline instead.
            socket_timeout=None,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 1),
            max_connections=4 * _CONCURRENT_PIPELINES,
            # RESP2 has no pushed messages: data on an idle connection can only be a stray reply, and redis-py then
            # reconnects instead of taking it for the answer to the next command.
            protocol=2,
        )
        return cls(client, timeout_seconds=timeout_seconds, **options)

    @property
    def breaker_state(self) -> State:
        return self._breaker.state

    async def read(self, kind: str, wanted: Sequence[Wanted]) -> list[Found | None]:
        """Aligned with ``wanted``; None where Redis was bypassed. Never raises but for cancellation."""
        found: list[Found | None] = []
        for start, stop in _chunks([len(item.fields) for item in wanted]):
            commands: list[Command] = [("HMGET", _name(kind, item.key), *item.fields) for item in wanted[start:stop]]
            replies = await self._send("read", commands, sum(len(item.fields) for item in wanted[start:stop]))
            if replies is None:
                self._bypassed("read", "open", sum(len(item.fields) for item in wanted[stop:]))
                break
            refused = 0
            for item, reply in zip(wanted[start:stop], replies, strict=True):
                if not isinstance(reply, ResponseError):
                    found.append(Found(reply))
                elif _is_wrong_type(reply):
                    found.append(Found([None] * len(item.fields), damaged=True))
                else:
                    found.append(None)
                    refused += len(item.fields)
            self._bypassed("read", "error", refused)
        return found + [None] * (len(wanted) - len(found))

    async def write(self, kind: str, entries: Sequence[Entry[bytes]]) -> list[Entry[bytes]]:
        """Keep what is not there yet; returns, by key, the values that others had written earlier and that stand."""
        earlier: list[Entry[bytes]] = []
        for start, stop in _chunks([len(entry.values) for entry in entries]):
            chunk = entries[start:stop]
            commands = [self._write_command(_name(kind, entry.key), entry.values) for entry in chunk]
            replies = await self._send("write", commands, sum(len(entry.values) for entry in chunk))
            if replies is None:
                self._bypassed("write", "open", sum(len(entry.values) for entry in entries[stop:]))
                break
            refused = 0
            for entry, reply in zip(chunk, replies, strict=True):
                if isinstance(reply, ResponseError):
                    refused += len(entry.values)
                elif reply:
                    earlier.append(Entry(entry.key, dict(zip(reply[::2], reply[1::2], strict=True))))
            self._bypassed("write", "error", refused)
        return earlier

    async def discard(self, kind: str, damaged: Sequence[Wanted]) -> None:
        """Delete these fields, or the whole key where no field is named."""
        commands: list[Command] = [
            ("HDEL", _name(kind, item.key), *item.fields) if item.fields else ("UNLINK", _name(kind, item.key))
            for item in damaged
        ]
        for start in range(0, len(commands), _VALUES_A_PIPELINE):
            await self._send("write", commands[start : start + _VALUES_A_PIPELINE], 0)

    async def aclose(self) -> None:
        """Close the connections; safe to call twice. Whoever asks later is bypassed."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._client.aclose()
        except (RedisError, OSError):
            logger.debug("closing the connections to Redis failed", exc_info=True)

    def _write_command(self, name: bytes, values: Mapping[bytes, bytes]) -> Command:
        jitter = random.uniform(-self._ttl_jitter, self._ttl_jitter)  # noqa: S311  # spreads load, guards nothing
        ttl_seconds = max(1, round(self._ttl_seconds * (1 + jitter)))
        pairs = [part for pair in values.items() for part in pair]
        return ("EVAL", _WRITE_SCRIPT, 1, name, ttl_seconds, *pairs)

    async def _send(self, operation: Operation, commands: Sequence[Command], grades: int) -> list[Any] | None:
        """The replies, or a `ResponseError` for a refused command; None when Redis was bypassed, which has then been
        reported.
        """
        async with self._slots:
            permit = None if self._closed else self._breaker.enter()
            if permit is None:
                self._bypassed(operation, "open", grades)
                return None
            reason: Literal["timeout", "error"]
            try:
                async with patience(self._timeout_seconds):
                    replies = await self._pipeline(commands)
            except (TimeoutError, RedisTimeoutError):
                reason = "timeout"
            except Exception:  # whatever a cache does, it must not cost a request
                logger.debug("Redis %s failed", operation, exc_info=True)
                reason = "error"
            except BaseException:
                self._breaker.released(permit)
                raise
            else:
                self._breaker.succeeded(permit)
                self._tell_refusal(operation, replies)
                return replies
            self._breaker.failed(permit)
            self._bypassed(operation, reason, grades)
            return None

    async def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """One reply a command. A refused one's is its `ResponseError`; other errors, such as of a server that is still
        loading, are raised.
        """
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            replies = await pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise reply
        return replies

    def _bypassed(self, operation: Operation, reason: Literal["timeout", "error", "open"], grades: int) -> None:
        if grades:
            self._listener(CacheBypassed(operation, reason, grades))

    def _tell_refusal(self, operation: Operation, replies: Sequence[Any]) -> None:
        """Once a minute at most: a full Redis refuses every write."""
        refusals = (reply for reply in replies if isinstance(reply, ResponseError) and not _is_wrong_type(reply))
        refusal = next(refusals, None)
        now = time.monotonic()
        if refusal is not None and now - self._refusal_told_at >= _SECONDS_BETWEEN_REFUSALS_TOLD:
            self._refusal_told_at = now
            said = str(refusal)[:_REFUSAL_CHARACTERS]
            logger.warning("Redis refuses to %s: %s; grading goes on without what it refuses", operation, said)

    def _breaker_changed(self, closed: bool) -> None:
        if closed:
            logger.info("Redis answers again; the cache is shared again")
        else:
            logger.warning("Redis does not answer; grading goes on without the shared cache")
        self._listener(BreakerChanged(closed))


def _name(kind: str, key: bytes) -> bytes:
    return _PREFIX + kind.encode() + b":" + key.hex().encode()


def _is_wrong_type(error: ResponseError) -> bool:
    """Somebody else's key. By containment: Redis before 7 puts "Error running script" before a script's error."""
    return "WRONGTYPE" in str(error)


def _chunks(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of at most `_VALUES_A_PIPELINE` values, or of one item that alone has more."""
    start = values = 0
    for index, size in enumerate(sizes):
        if values and values + size > _VALUES_A_PIPELINE:
            yield start, index
            start, values = index, 0
        values += size
    if start < len(sizes):
        yield start, len(sizes)
