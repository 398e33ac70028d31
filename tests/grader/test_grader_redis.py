"""The chain with a real Redis behind it: shared between replicas, damaged, frozen, killed under load."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from grader.cache.redis import RedisCache
from grader.events import BreakerChanged, CacheBypassed, CacheDamaged, CacheLookup
from grader.grader import Grader
from grader.grades import BACKEND_UNAVAILABLE, Grade, Unscorable
from tests.grader.chain import (
    COUNT,
    PROPOSITIONS,
    TASKS,
    Events,
    HashBackend,
    cancellation_storm,
    new_grader,
    right_grades,
    task,
    until,
)
from tests.redis_server import RedisServer
from tests.support import ROOT

NewReplica = Callable[..., tuple[Grader, HashBackend, Events]]


@pytest.fixture
async def replica(redis_server: RedisServer) -> AsyncIterator[NewReplica]:
    """Makes replicas that share the server; closes them."""
    async with AsyncExitStack() as stack:

        def new(salt: str = "", url: str = redis_server.url, **options: Any) -> tuple[Grader, HashBackend, Events]:
            backend, events = HashBackend(salt=salt), Events()
            options.setdefault("timeout_seconds", 5.0)
            grader = new_grader(backend, events, remote=RedisCache.from_url(url, listener=events, **options))
            stack.push_async_callback(grader.aclose)
            return grader, backend, events

        yield new


async def written(grader: Grader) -> None:
    await until(lambda: grader.stats.waiting_writes == 0 and len(asyncio.all_tasks()) == 1)


async def test_a_second_replica_grades_nothing(replica: NewReplica) -> None:
    first, _, _ = replica()
    second, backend, events = replica()
    graded = await first.grade(TASKS)
    await written(first)
    shared = await second.grade(TASKS)
    assert backend.calls == []
    assert [one.answers for one in shared] == [one.answers for one in graded]
    assert {one.cached for one in shared} == {len(PROPOSITIONS)}
    assert [(event.tier, event.hits, event.misses) for event in events.of(CacheLookup)] == [
        ("memory", 0, COUNT),
        ("redis", COUNT, 0),
    ]
    await second.grade(TASKS)
    assert (events.of(CacheLookup)[-1].tier, events.of(CacheLookup)[-1].hits) == ("memory", COUNT)


async def test_another_process_shares_the_grades(replica: NewReplica, redis_server: RedisServer) -> None:
    grader, _, _ = replica()
    graded = await grader.grade(TASKS)
    await written(grader)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", _OTHER_PROCESS, redis_server.url],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told == {"calls": 0, "logits": [[answer[0] for answer in one.answers] for one in graded]}


_OTHER_PROCESS = """
import asyncio, json, sys
from grader.cache.redis import RedisCache
from tests.grader.chain import HashBackend, new_grader, task

async def main():
    backend = HashBackend(salt="this process would answer otherwise")
    grader = new_grader(backend, remote=RedisCache.from_url(sys.argv[1], timeout_seconds=5.0))
    graded = await grader.grade([task(f"text {i}") for i in range(20)])
    await grader.aclose()
    print(json.dumps({"calls": len(backend.calls), "logits": [[a[0] for a in one.answers] for one in graded]}))

asyncio.run(main())
"""


async def test_the_first_grade_wins_and_replicas_converge(replica: NewReplica) -> None:
    """Two replicas whose model differs grade the same at once; in the end both answer with the same grades."""
    first, _, _ = replica("one")
    second, other_backend, _ = replica("two")
    other_backend.gate.clear()
    racing = asyncio.create_task(second.grade(TASKS))
    await until(lambda: other_backend.calls)
    await first.grade(TASKS)
    await until(lambda: first.stats.waiting_writes == 0)
    await first.aclose()  # drained: its grades stand in Redis
    other_backend.gate.set()
    await racing
    await written(second)
    expected = [right_grades(asked, "one") for asked in TASKS]
    assert [one.answers for one in await second.grade(TASKS)] == expected
    third, _, _ = replica("three")
    assert [one.answers for one in await third.grade(TASKS)] == expected


async def test_a_new_proposition_keeps_the_grades_of_the_others(replica: NewReplica) -> None:
    first, _, _ = replica()
    await first.grade([task("text", PROPOSITIONS[:4])])
    await written(first)
    second, backend, _ = replica()
    (graded,) = await second.grade([task("text")])
    assert backend.calls == [[task("text", PROPOSITIONS[4:])]]
    assert (graded.answers, graded.cached) == (right_grades(task("text")), 4)


async def test_unscorable_answers_do_not_reach_redis(replica: NewReplica, redis_server: RedisServer) -> None:
    grader, backend, _ = replica()
    backend.answer = lambda tasks: [(Unscorable(BACKEND_UNAVAILABLE),) * len(one.propositions) for one in tasks]
    await grader.grade(TASKS)
    await grader.aclose()
    assert redis_server.command("DBSIZE") == b":0\r\n"


async def test_damaged_values_are_graded_again_and_put_right(replica: NewReplica, redis_server: RedisServer) -> None:
    first, _, _ = replica()
    await first.grade(TASKS)
    await written(first)
    async with Redis.from_url(redis_server.url) as client:
        for name in (await client.keys())[:6]:
            await client.hset(name, (await client.hkeys(name))[0], "damaged")
    second, backend, events = replica()
    assert [one.answers for one in await second.grade(TASKS)] == [right_grades(asked) for asked in TASKS]
    assert events.of(CacheDamaged) == [CacheDamaged(6)]
    assert sum(backend.asked.values()) == 6
    await written(second)
    third, backend, events = replica()
    await third.grade(TASKS)
    assert backend.calls == []
    assert not events.of(CacheDamaged)


async def test_closing_writes_what_still_waits(replica: NewReplica) -> None:
    first, _, _ = replica()
    await first.grade(TASKS)
    await first.aclose()
    second, backend, _ = replica()
    await second.grade(TASKS)
    assert backend.calls == []


async def test_closing_does_not_wait_for_a_frozen_redis_for_ever(own_redis_server: RedisServer) -> None:
    remote = RedisCache.from_url(own_redis_server.url, timeout_seconds=60.0)
    grader = new_grader(HashBackend(), remote=remote, drain_seconds=0.05)
    own_redis_server.freeze()
    call = asyncio.create_task(grader.grade(TASKS))
    await asyncio.sleep(0.02)
    call.cancel()
    grader._writes.put(b"key", {b"field": Grade(1.0)})
    await grader.aclose()
    await asyncio.gather(call, return_exceptions=True)
    own_redis_server.thaw()
    assert len(asyncio.all_tasks()) == 1


async def test_a_killed_and_restarted_redis_costs_no_call_and_the_events_tell_the_story(
    own_redis_server: RedisServer,
) -> None:
    backend, events = HashBackend(delay_seconds=0.001), Events()
    remote = RedisCache.from_url(
        own_redis_server.url, timeout_seconds=0.5, failures_to_open=3, cooldown_seconds=0.1, listener=events
    )
    # Almost no memory, so that every call needs Redis.
    grader = new_grader(backend, events, remote=remote, max_bytes=2000)
    stop, calls = asyncio.Event(), 0

    async def client(number: int) -> None:
        nonlocal calls
        while not stop.is_set():
            tasks = [task(f"text {(calls + i) % 40}") for i in range(4)]
            graded = await grader.grade(tasks)
            assert [one.answers for one in graded] == [right_grades(asked) for asked in tasks], number
            calls += 1
            await asyncio.sleep(0.001)

    def redis_hits() -> int:
        return sum(event.hits for event in events.of(CacheLookup) if event.tier == "redis")

    clients = [asyncio.create_task(client(number)) for number in range(6)]
    try:
        await until(lambda: redis_hits() > 500)
        assert not events.of(CacheBypassed)
        own_redis_server.kill()
        await until(lambda: grader.stats.breaker == "open")
        during, bypassed = calls, len(events.of(CacheBypassed))
        await until(lambda: calls > during + 50)
        assert len(events.of(CacheBypassed)) > bypassed
        own_redis_server.start()
        await until(lambda: grader.stats.breaker == "closed")
        hits = redis_hits()
        await until(lambda: redis_hits() > hits + 500)
    finally:
        stop.set()
        results = await asyncio.gather(*clients, return_exceptions=True)
    assert results == [None] * 6
    await grader.aclose()
    changes = [event.closed for event in events.of(BreakerChanged)]
    assert changes == [False, True]
    assert {event.reason for event in events.of(CacheBypassed)} <= {"error", "timeout", "open"}
    assert {"read", "write"} >= {event.operation for event in events.of(CacheBypassed)}


async def test_a_frozen_redis_costs_no_call(own_redis_server: RedisServer) -> None:
    backend, events = HashBackend(), Events()
    remote = RedisCache.from_url(
        own_redis_server.url, timeout_seconds=0.03, failures_to_open=2, cooldown_seconds=60, listener=events
    )
    grader = new_grader(backend, events, remote=remote)
    await grader.grade(TASKS[:2])
    await until(lambda: grader.stats.waiting_writes == 0)
    own_redis_server.freeze()
    for asked in TASKS[2:10]:
        (graded,) = await grader.grade([asked])
        assert graded.answers == right_grades(asked)
    assert grader.stats.breaker == "open"
    assert "timeout" in {event.reason for event in events.of(CacheBypassed)}
    own_redis_server.thaw()
    await grader.aclose()


async def test_cancelled_and_surviving_calls_share_redis_without_mixing_replies(replica: NewReplica) -> None:
    first, _, _ = replica()
    await first.grade(TASKS)
    await written(first)
    second, backend, _ = replica("must not be asked")
    for round_number in range(30):
        second._memory._entries.clear()
        second._memory._values = 0
        calls = [asyncio.create_task(second.grade([TASKS[(round_number + i) % 20]])) for i in range(12)]
        for _ in range(round_number % 9):
            await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        for i, result in enumerate(results):
            if not isinstance(result, asyncio.CancelledError):
                assert not isinstance(result, BaseException)
                assert result[0].answers == right_grades(TASKS[(round_number + i) % 20])
    assert backend.calls == []


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_cancellations_over_two_replicas_mixes_nothing_up(replica: NewReplica, seed: int) -> None:
    """What lands while another call asks Redis is not asked again: each replica computes a grade once at most."""
    replicas = [replica(), replica()]
    for _, backend, _ in replicas:
        backend.delay_seconds = 0.002
    survivors = await asyncio.gather(
        *(cancellation_storm(grader, random.Random(10 * seed + i)) for i, (grader, _, _) in enumerate(replicas))
    )
    assert min(survivors) > 20
    for grader, backend, events in replicas:
        assert max(backend.asked.values()) == 1
        assert not events.of(CacheDamaged)
        assert not events.of(CacheBypassed)
        await until(lambda grader=grader: grader.stats.waiting_writes == 0)
        assert (grader.stats.flights, grader.stats.queued_tokens) == (0, 0)


async def test_a_huge_batch_passes_through_redis(replica: NewReplica) -> None:
    tasks = [task(f"text {i}") for i in range(4096)]
    first, backend, _ = replica()
    backend.limits = type(backend.limits)(10_000, 2, 0.0, 10)
    await first.grade(tasks)
    await first.aclose()
    second, backend, _ = replica()
    graded = await second.grade(tasks)
    assert backend.calls == []
    assert graded[4095].answers == right_grades(tasks[4095])
