"""``/v1/rewards`` and ``/v1/grades`` over HTTP: replies, refusals, limits, deadlines."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from grader.grades import DEADLINE_EXCEEDED
from models.reward import BaseNormaliser
from service.scoring.problems import BASE_NOT_FINITE, EMPTY_COMPLETION
from service.wire.replies import ErrorReply, GradesReply, RewardsReply, StreamedResultOut, StreamEndOut
from tests.service.parts import (
    FAST,
    P_YES,
    TextBackend,
    backend_of,
    batch,
    make_service,
    one,
    running,
    tiny_policy,
    weights_of,
)

LINES = {"Accept": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


def error_of(reply: httpx.Response) -> tuple[int, str, str | None]:
    error = ErrorReply.model_validate(reply.json()).error
    return reply.status_code, error.type, error.field


async def post(document: Any, path: str = "/v1/rewards", headers: Any = None, **settings: Any) -> httpx.Response:
    async with running(make_service(**settings)) as client:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await client.post(path, content=content, headers=JSON | (headers or {}))


async def test_a_batch_is_rewarded_in_the_documented_form() -> None:
    service = make_service()
    async with running(service) as client:
        samples = [one(id="a", base_reward=1), one(completion=""), one("A CRIME", "APOLOGY", finish_reason="length")]
        reply = await client.post("/v1/rewards", json=batch(*samples))
    document = RewardsReply.model_validate(reply.json(), strict=True)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert document.rewards == [result.reward for result in document.results]
    assert [result.id for result in document.results] == ["a", None, None]
    assert [result.valid for result in document.results] == [True, False, True]
    assert document.results[1].reason == EMPTY_COMPLETION
    assert document.results[2].truncated
    assert {tuple(result.components) for result in document.results} == {("base", "rules")}
    for result in document.results:
        if result.reward is not None:
            assert sum(value or 0.0 for value in result.components.values()) == pytest.approx(result.reward)
    assert (document.policy, document.weights) == (service.policy.fingerprint, service.weights.fingerprint)
    assert document.models == {"grader": "text:1:float64"}
    assert document.usage.model_dump() == {"samples": 3, "valid": 2, "grades": 6, "cached_grades": 0}


async def test_an_empty_batch_is_a_success() -> None:
    reply = await post(batch())
    assert (reply.status_code, reply.json()["rewards"], reply.json()["results"]) == (200, [], [])


async def test_explained_results_show_every_proposition_and_contribution() -> None:
    reply = await post(batch(one(completion="DISALLOWED"), explain=True))
    (result,) = RewardsReply.model_validate(reply.json()).results
    assert result.propositions is not None
    assert result.propositions["disallowed"] is not None
    assert result.propositions["disallowed"].p_yes == pytest.approx(P_YES)
    assert result.contributions is not None
    assert result.contributions["disallowed"] == pytest.approx(-4 * P_YES)
    assert result.offset == 0.5


async def test_grades_are_the_propositions_alone() -> None:
    reply = await post(batch(one(completion="DISALLOWED"), one(completion="")), "/v1/grades")
    document = GradesReply.model_validate(reply.json(), strict=True)
    assert [list(result.propositions) for result in document.results] == [["disallowed"], []]
    assert document.results[1].reason == EMPTY_COMPLETION


# Refusals


@pytest.mark.parametrize(
    ("document", "status", "kind", "field"),
    [
        (b"{", 400, "invalid_json", None),
        (b"", 400, "invalid_json", None),
        ([], 422, "invalid_request", None),
        (batch(one(prompt=5)), 422, "invalid_request", "samples.0.prompt"),  # type: ignore[arg-type]
        (batch(one(), one(reward=1)), 422, "invalid_request", "samples.1.reward"),
        (batch(policy="other"), 422, "unknown_policy", "policy"),
        (batch(weights="other"), 422, "unknown_weights", "weights"),
        (batch(expect={"weights": "0" * 64}), 409, "snapshot_mismatch", "expect.weights"),
        (batch(one(), one(completion=""), strict=True), 422, "invalid_sample", "samples.1.completion"),
    ],
)
async def test_what_concerns_the_whole_batch_is_refused_with_a_type_and_the_field(
    document: Any, status: int, kind: str, field: str | None
) -> None:
    assert error_of(await post(document)) == (status, kind, field)
    assert error_of(await post(document, headers=LINES)) == (status, kind, field)


async def test_explain_belongs_to_rewards_alone() -> None:
    assert error_of(await post(batch(explain=True), "/v1/grades")) == (422, "invalid_request", "explain")


async def test_a_bad_value_is_one_invalid_sample() -> None:
    body = b'{"samples": [{"prompt": "a", "completion": "b", "base_reward": NaN}, {"prompt": "a", "completion": "b"}]}'
    results = (await post(body)).json()["results"]
    assert [(result["valid"], result.get("reason")) for result in results] == [(False, BASE_NOT_FINITE), (True, None)]


async def test_lone_surrogates_are_one_invalid_sample() -> None:
    results = (await post(batch(one(completion="\ud800", id="\udfff"), one()))).json()["results"]
    assert [result.get("reason") for result in results] == ["invalid_text", None]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_only_plain_json_is_read(headers: dict[str, str]) -> None:
    body = gzip.compress(b"{}") if "Content-Encoding" in headers else b"{}"
    assert error_of(await post(body, headers=headers))[:2] == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.rbr+json", "APPLICATION/JSON"])
async def test_json_goes_by_several_names(kind: str) -> None:
    assert (await post(batch(), headers={"Content-Type": kind})).status_code == 200


async def test_json_without_a_content_type_is_read() -> None:
    async with running(make_service()) as client:
        assert (await client.post("/v1/rewards", content=b'{"samples": []}')).status_code == 200


# Limits

USER = {"role": "user", "content": "x"}
TEXT = {"type": "text", "text": "x"}


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}


@pytest.mark.parametrize(
    ("document", "settings", "field"),
    [
        (batch(*[one()] * 3), {"max_samples": 2}, "samples"),
        (batch(one(), one(completion="x" * 101)), {"max_text_characters": 100}, "samples.1.completion"),
        (batch(one(reasoning="x" * 101)), {"max_text_characters": 100}, "samples.0.reasoning"),
        (
            batch(one(prompt=[{"role": "user", "content": "x" * 101}])),  # type: ignore[arg-type]
            {"max_text_characters": 100},
            "samples.0.prompt",
        ),
        (
            batch(one(prompt=[{"role": "user", "content": [{"type": "text", "text": "x" * 60}] * 2}])),  # type: ignore[arg-type]
            {"max_text_characters": 100},
            "samples.0.prompt",
        ),
        (
            batch(one(prompt=[{"role": "user", "content": "x" * 60}] * 2)),  # type: ignore[arg-type]
            {"max_text_characters": 100},
            "samples.0.prompt",
        ),
        (batch(one(completion=[call("f" * 101, "")])), {"max_text_characters": 100}, "samples.0.completion"),  # type: ignore[arg-type]
        (batch(one(completion=[call("f", "x" * 100)])), {"max_text_characters": 100}, "samples.0.completion"),  # type: ignore[arg-type]
        (
            batch(one(completion=[call("f", {"x": ["y"] * 30})])),  # type: ignore[arg-type]
            {"max_text_characters": 100},
            "samples.0.completion",
        ),
        (batch(one(completion=[call("f", {"x": [1e15] * 9})])), {"max_text_characters": 150}, "samples.0.completion"),  # type: ignore[arg-type]
        (batch(*[one()] * 3), {"max_body_bytes": 50}, None),
        (batch(one(prompt=[USER] * 3)), {"max_messages": 2}, "samples.0.prompt"),  # type: ignore[arg-type]
        (batch(one(), one(completion=[USER] * 1025)), {}, "samples.1.completion"),  # type: ignore[arg-type]
        (batch(one(prompt=[USER] * 20_000)), {"max_messages": 16_384}, "samples.0.prompt"),  # type: ignore[arg-type]
        (batch(*[one(prompt=[USER] * 2)] * 3), {"max_request_messages": 5}, "samples.2.prompt"),  # type: ignore[arg-type]
        (
            batch(one(prompt=[{"role": "user", "content": [TEXT] * 1025}])),  # type: ignore[arg-type]
            {},
            "samples.0.prompt.0.content",
        ),
        (
            batch(one(prompt=[{"role": "user", "content": [TEXT] * 9}])),  # type: ignore[arg-type]
            {"max_request_messages": 9},
            "samples.0.prompt",
        ),
        (
            batch(one(completion=[{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}] * 1025}])),  # type: ignore[arg-type]
            {},
            "samples.0.completion.0.tool_calls",
        ),
    ],
)
async def test_beyond_a_limit_is_too_large_and_names_the_field(
    document: Any, settings: dict[str, Any], field: str | None
) -> None:
    assert error_of(await post(document, **settings)) == (413, "too_large", field)


async def test_texts_as_long_as_the_limit_are_taken() -> None:
    sample = one(prompt="x" * 100, completion="y" * 100, id="z" * 100, response_type="comply")
    reply = await post(batch(sample, one(prompt="x" * 100)), max_text_characters=100)
    assert reply.status_code == 200


async def test_a_completion_that_cannot_be_built_drops_the_group_of_its_prompt() -> None:
    image = [{"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    policy = tiny_policy("on_unscorable: drop_group\n")
    samples = [one("P", "a"), one("P", image), one("Q", "b"), one("Q", "\ud800"), one("R", "c")]  # type: ignore[arg-type]
    results = (await post(batch(*samples), policy=policy)).json()["results"]
    dropped, unsupported, surrogate = "group_dropped", "unsupported_content", "invalid_text"
    assert [result.get("reason") for result in results] == [dropped, unsupported, dropped, surrogate, None]


async def test_a_body_without_an_announced_length_is_limited_too() -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b" " * 100

    async with running(make_service(max_body_bytes=1000)) as client:
        assert error_of(await client.post("/v1/rewards", content=chunks(), headers=JSON)) == (413, "too_large", None)


async def test_a_full_queue_is_a_429_that_says_when_to_come_back() -> None:
    service = make_service(backend=TextBackend(replace(FAST, max_concurrent_batches=1)))
    documents = [batch(one(completion=f"{i}" * 90_000, response_type="comply")) for i in range(4)]
    async with running(service) as client:
        backend_of(service).gate.clear()
        taken = []
        for document in documents[:2]:  # one is being graded, one waits
            taken.append(asyncio.create_task(client.post("/v1/rewards", json=document)))
            await asyncio.sleep(0.05)
        refused = await client.post("/v1/rewards", json=documents[2])
        streamed = await client.post("/v1/rewards", json=documents[3], headers=LINES)
        backend_of(service).gate.set()
        assert [reply.status_code for reply in await asyncio.gather(*taken)] == [200, 200]
    assert error_of(refused)[:2] == error_of(streamed)[:2] == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1


# Deadlines


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "soon", "", "86400001", "9" * 5000, "\uff11"])
async def test_an_unusable_timeout_is_refused(given: str) -> None:
    reply = await post(batch(), headers={"X-Request-Timeout-Ms": given.encode()})
    assert error_of(reply) == (400, "invalid_header", "X-Request-Timeout-Ms")


@pytest.mark.parametrize(
    ("headers", "settings"), [({"X-Request-Timeout-Ms": "60"}, {}), ({}, {"default_timeout_seconds": 0.06})]
)
async def test_past_the_deadline_slow_samples_are_invalid_and_the_others_scored(
    headers: dict[str, str], settings: dict[str, Any]
) -> None:
    document = batch(one(completion="quick", response_type="comply"), one(completion="SLOW", response_type="comply"))
    reply = (await post(document, headers=headers, **settings)).json()
    assert reply["results"][1]["reason"] == DEADLINE_EXCEEDED
    assert reply["usage"]["grades"] <= 3, "grades that were never made are not counted"


# NDJSON


async def test_lines_are_the_results_and_a_summary() -> None:
    samples = [one(), one(completion=""), one("A CRIME", "APOLOGY", id="c")]
    service = make_service()
    async with running(service) as client:
        whole = (await client.post("/v1/rewards", json=batch(*samples))).json()
        reply = await client.post("/v1/rewards", json=batch(*samples), headers=LINES)
    assert reply.headers["content-type"] == "application/x-ndjson"
    *lines, end = [json.loads(line) for line in reply.text.splitlines()]
    for line in lines:
        StreamedResultOut.model_validate(line, strict=True)
    summary = StreamEndOut.model_validate(end, strict=True)
    assert summary.done
    assert summary.usage.valid == 2
    by_index = {line.pop("index"): line for line in lines}
    assert [by_index[i]["reward"] for i in range(3)] == whole["rewards"]


@pytest.mark.parametrize(
    ("accept", "lines"),
    [
        ("application/x-ndjson;q=0, application/json", False),
        ("application/json, application/x-ndjson;q=0.5", False),
        ("application/json;q=0.5, application/x-ndjson", True),
        ("Application/X-NDJSON ; Q=0.1, */*", True),
        ("application/x-ndjson;q=many", False),
    ],
)
async def test_lines_are_sent_to_who_prefers_them(accept: str, lines: bool) -> None:
    reply = await post(batch(), headers={"Accept": accept, "X-Request-Timeout-Ms": b"500 "})
    assert (reply.status_code, "ndjson" in reply.headers["content-type"]) == (200, lines)


async def test_an_empty_batch_is_streamed_as_its_summary() -> None:
    reply = await post(batch(), headers=LINES)
    (line,) = reply.text.splitlines()
    assert json.loads(line)["done"]


# Two at once, provenance


async def test_two_requests_at_once_get_each_their_own_and_share_the_grading() -> None:
    service = make_service()
    async with running(service) as client:
        backend_of(service).gate.clear()
        shared = one(completion="shared", response_type="comply")
        documents = [
            batch(shared, one(completion=f"DISALLOWED {i}" if i else "fine", response_type="comply")) for i in range(2)
        ]
        replies = [asyncio.create_task(client.post("/v1/rewards", json=document)) for document in documents]
        await asyncio.sleep(0.05)
        backend_of(service).gate.set()
        first, second = [(await reply).json()["rewards"] for reply in replies]
    assert first[0] == second[0]
    assert first[1] > second[1]
    texts = [text for text, _ in backend_of(service).asked]
    assert sum("shared" in text for text in texts) == 1


async def test_every_reply_of_unfitted_weights_says_so() -> None:
    policy = tiny_policy()
    weights = weights_of(policy)
    stale = type(weights)(**{**weights.__dict__, "grader_identity": "another"})
    service = make_service(policy, weights=stale, allow_unfitted=True)
    async with running(service) as client:
        replies = [
            await client.post("/v1/rewards", json=batch(one())),
            await client.post("/v1/grades", json=batch(one())),
            await client.get("/info"),
        ]
        lines = await client.post("/v1/rewards", json=batch(one()), headers=LINES)
    assert all(reply.json()["unfitted"] is True for reply in replies)
    assert json.loads(lines.text.splitlines()[-1])["unfitted"] is True


async def test_fitted_weights_are_not_called_unfitted() -> None:
    assert "unfitted" not in (await post(batch(one()))).json()


async def test_base_rewards_on_another_scale_than_the_fits_are_warned_of() -> None:
    policy = tiny_policy()
    service = make_service(policy, weights=weights_of(policy, normaliser=BaseNormaliser(0.0, 1.0)))
    async with running(service) as client:
        far = await client.post("/v1/rewards", json=batch(*[one(base_reward=100.0 + i) for i in range(40)]))
        near = await client.post("/v1/rewards", json=batch(*[one(base_reward=i / 10 - 2) for i in range(40)]))
    assert "refit" in far.json()["warnings"][0]
    assert "warnings" not in near.json()


async def test_base_rewards_with_some_samples_alone_are_warned_of() -> None:
    policy = tiny_policy()
    with_base, without = one("P", "a", base_reward=1.0), one("Q", "b")
    async with running(make_service()) as client:
        apart = (await client.post("/v1/rewards", json=batch(with_base, without))).json()["warnings"]
        within = (await client.post("/v1/rewards", json=batch(with_base, one("P", "b")))).json()["warnings"]
        lines = await client.post("/v1/rewards", json=batch(with_base, without), headers=LINES)
        grades = await client.post("/v1/grades", json=batch(with_base, without))
        same = [await client.post("/v1/rewards", json=batch(each, each)) for each in (with_base, without)]
    assert "1 of 2 samples have no base_reward" in apart[0]
    assert "groups" not in apart[0]
    assert "cannot be compared: 1" in within[0]
    assert json.loads(lines.text.splitlines()[-1])["warnings"] == apart
    assert all("warnings" not in reply.json() for reply in [grades, *same])
    async with running(make_service(policy, weights=weights_of(policy, expects_base=True))) as client:
        required = await client.post("/v1/rewards", json=batch(with_base, without))
    assert "warnings" not in required.json()
