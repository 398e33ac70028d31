from __future__ import annotations

import pytest

from grader.cache.breaker import Breaker


class Bench:
    """A breaker of 3 failures and 10 seconds, its clock and what it announced."""

    def __init__(self) -> None:
        self.now = 100.0
        self.announced: list[bool] = []
        self.breaker = Breaker(3, 10.0, changed=self.announced.append, clock=lambda: self.now)

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            permit = self.breaker.enter()
            assert permit is not None
            self.breaker.failed(permit)

    def succeed(self) -> None:
        permit = self.breaker.enter()
        assert permit is not None
        self.breaker.succeeded(permit)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_failures_in_a_row_open_it_and_nobody_enters(bench: Bench) -> None:
    bench.fail(3)
    assert bench.breaker.state == "open"
    assert bench.announced == [False]
    bench.now += 9.9
    assert bench.breaker.enter() is None


def test_a_success_between_failures_keeps_it_closed(bench: Bench) -> None:
    for _ in range(5):
        bench.fail(2)
        bench.succeed()
    assert bench.breaker.state == "closed"
    assert bench.announced == []


def test_past_the_cooldown_one_probe_enters_and_its_success_closes(bench: Bench) -> None:
    bench.fail(3)
    bench.now += 10
    probe = bench.breaker.enter()
    assert probe is not None
    assert bench.breaker.state == "half_open"
    assert bench.breaker.enter() is None
    bench.breaker.succeeded(probe)
    assert bench.breaker.state == "closed"
    assert bench.announced == [False, True]
    bench.fail(2)
    assert bench.breaker.state == "closed"


def test_a_failed_probe_opens_it_for_another_cooldown_without_announcing_it_again(bench: Bench) -> None:
    bench.fail(3)
    for _ in range(3):
        bench.now += 10
        bench.fail()
        assert bench.breaker.state == "open"
        assert bench.breaker.enter() is None
    assert bench.announced == [False]


def test_a_cancelled_probe_leaves_its_place_to_the_next(bench: Bench) -> None:
    """Otherwise the breaker would stay half open for ever."""
    bench.fail(3)
    bench.now += 10
    probe = bench.breaker.enter()
    assert probe is not None
    bench.breaker.released(probe)
    bench.succeed()
    assert bench.breaker.state == "closed"


def test_a_cancelled_attempt_counts_neither_way(bench: Bench) -> None:
    bench.fail(2)
    permit = bench.breaker.enter()
    assert permit is not None
    bench.breaker.released(permit)
    bench.fail()
    assert bench.breaker.state == "open"


def test_reports_from_an_earlier_period_are_ignored(bench: Bench) -> None:
    late = [bench.breaker.enter() for _ in range(4)]
    bench.fail(3)
    bench.breaker.succeeded(late[0])  # type: ignore[arg-type]
    assert bench.breaker.state == "open"
    bench.now += 10
    probe = bench.breaker.enter()
    assert probe is not None
    bench.breaker.succeeded(late[1])  # type: ignore[arg-type]
    bench.breaker.failed(late[2])  # type: ignore[arg-type]
    bench.breaker.released(late[3])  # type: ignore[arg-type]
    assert bench.breaker.state == "half_open"
    bench.breaker.succeeded(probe)
    bench.breaker.failed(late[2])  # type: ignore[arg-type]
    bench.fail(2)
    assert bench.breaker.state == "closed"
