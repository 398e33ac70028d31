from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from grader.flights import Flight, Flights, Waiter


@pytest.fixture
def abandoned() -> list[Flight[str]]:
    return []


@pytest.fixture
def flights(abandoned: list[Flight[str]]) -> Flights[str]:
    return Flights(abandoned.append)


def joined(flights: Flights[str], flight: Flight[str], *who: str) -> Waiter[str, str]:
    waiter: Waiter[str, str] = flights.waiter()
    for one in who:
        waiter.join(flight, one)
    return waiter


async def test_a_flight_is_found_by_each_of_its_fields_until_it_lands(flights: Flights[str]) -> None:
    flight = flights.start(b"key", [b"a", b"b"])
    assert flights.find(b"key", b"a") is flights.find(b"key", b"b") is flight
    assert flights.find(b"key", b"c") is flights.find(b"other", b"a") is None
    assert len(flights) == 2
    flights.land(flight, {b"a": "1", b"b": "2"})
    assert flights.find(b"key", b"a") is None
    assert len(flights) == 0


async def test_everyone_who_joined_gets_the_answers(flights: Flights[str]) -> None:
    flight = flights.start(b"key", [b"a"])
    first, second = joined(flights, flight, "x", "y"), joined(flights, flight, "z")
    both = asyncio.gather(first.landed(None), second.landed(None))
    await asyncio.sleep(0)
    flights.land(flight, {b"a": "answer"})
    assert await both == [[(flight, ["x", "y"])], [(flight, ["z"])]]
    assert flight.answers == {b"a": "answer"}
    assert not first.waiting
    assert not second.waiting


async def test_what_landed_before_anyone_looked_is_handed_over_at_once(flights: Flights[str]) -> None:
    several = [flights.start(bytes([i]), [b"a"]) for i in range(3)]
    waiter: Waiter[str, str] = flights.waiter()
    for flight in several:
        waiter.join(flight, "x")
    flights.land(several[0], {b"a": "1"})
    flights.land(several[2], {b"a": "3"})
    assert [flight for flight, _ in await waiter.landed(None)] == [several[0], several[2]]
    assert waiter.waiting


async def test_a_cancelled_waiter_leaves_the_others_and_the_flight_alone(
    flights: Flights[str], abandoned: list[Any]
) -> None:
    flight = flights.start(b"key", [b"a"])
    first, second = joined(flights, flight, "x"), joined(flights, flight, "y")
    leaving, staying = asyncio.create_task(first.landed(None)), asyncio.create_task(second.landed(None))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert first.leave() == ["x"]
    assert not abandoned
    flights.land(flight, {b"a": "answer"})
    assert await staying == [(flight, ["y"])]


async def test_the_last_one_to_leave_abandons_the_flight_which_may_be_joined_again(
    flights: Flights[str], abandoned: list[Any]
) -> None:
    flight = flights.start(b"key", [b"a"])
    first, second = joined(flights, flight, "x"), joined(flights, flight, "y")
    first.leave()
    assert not abandoned
    second.leave()
    assert abandoned == [flight]
    assert not flight.wanted
    late = joined(flights, flight, "z")
    assert flight.wanted
    flights.land(flight, {b"a": "answer"})
    assert await late.landed(None) == [(flight, ["z"])]


async def test_leaving_twice_abandons_once(flights: Flights[str], abandoned: list[Any]) -> None:
    waiter = joined(flights, flights.start(b"key", [b"a"]), "x")
    waiter.leave()
    assert waiter.leave() == []
    assert len(abandoned) == 1


async def test_past_its_deadline_a_waiter_gets_nothing_and_another_still_waits(flights: Flights[str]) -> None:
    flight = flights.start(b"key", [b"a"])
    hurried, patient = joined(flights, flight, "x"), joined(flights, flight, "y")
    assert await hurried.landed(time.monotonic() + 0.01) == []
    assert hurried.leave() == ["x"]
    flights.land(flight, {b"a": "answer"})
    assert await patient.landed(time.monotonic() + 60) == [(flight, ["y"])]


async def test_an_answer_that_is_there_counts_even_if_the_deadline_has_passed(flights: Flights[str]) -> None:
    flight = flights.start(b"key", [b"a"])
    waiter = joined(flights, flight, "x")
    flights.land(flight, {b"a": "answer"})
    assert await waiter.landed(time.monotonic() - 1) == [(flight, ["x"])]


async def test_a_forgotten_flight_gives_way_to_a_new_one(flights: Flights[str]) -> None:
    old = flights.start(b"key", [b"a", b"b"])
    flights.forget(old)
    new = flights.start(b"key", [b"a"])
    flights.forget(old)
    assert flights.find(b"key", b"a") is new
    assert flights.find(b"key", b"b") is None
