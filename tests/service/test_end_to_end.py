"""The default service, whole: packaged policy, packaged weights, embedded grader, a real Redis between two of them."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import httpx
import pytest

from grader.backends.registry import create_backend
from models.policy import load_policy
from models.reward import check_fitted, load_weights
from service.bootstrap import build_service
from service.settings import Settings
from tests.redis_server import RedisServer
from tests.service.parts import running
from tests.support import ROOT

BATCH: dict[str, Any] = json.loads((ROOT / "examples" / "batch.json").read_text(encoding="utf-8"))


async def rewards_of(client: httpx.AsyncClient, document: dict[str, Any]) -> dict[str, Any]:
    reply = await client.post("/v1/rewards", json=document)
    assert reply.status_code == 200, reply.text
    parsed: dict[str, Any] = reply.json()
    return parsed


def test_the_packaged_weights_belong_to_the_packaged_policy_and_grader() -> None:
    identity = create_backend("embedded").identity
    assert check_fitted(load_weights("safety-embedded"), load_policy("safety"), identity) == []


async def test_in_the_example_batch_every_ideal_completion_outscores_the_others_of_its_prompt() -> None:
    async with running(build_service(Settings())) as client:
        reply = await rewards_of(client, BATCH)
    scored = zip(BATCH["samples"], reply["results"], strict=True)
    for _, group in groupby(scored, key=lambda pair: pair[0]["group"]):
        (_, ideal), *worse = group
        assert all(ideal["reward"] > result["reward"] for _, result in worse)


async def test_a_second_service_at_the_same_redis_grades_nothing(redis_server: RedisServer) -> None:
    settings = Settings(redis_url=redis_server.url, redis_timeout_seconds=2.0)  # type: ignore[arg-type]
    async with running(build_service(settings)) as client:
        first = await rewards_of(client, BATCH)
        again = await rewards_of(client, BATCH)
    async with running(build_service(settings)) as client:  # the first one has drained its writes
        second = await rewards_of(client, BATCH)
        metrics = (await client.get("/metrics")).text
    assert first["rewards"] == again["rewards"] == second["rewards"]
    for reply in (again, second):
        assert reply["usage"]["cached_grades"] == reply["usage"]["grades"] > 0
        assert all(result["cached"] for result in reply["results"])
    assert "rbr_grader_propositions_total 0.0" in metrics


async def test_a_redis_that_dies_costs_no_request(own_redis_server: RedisServer) -> None:
    service = build_service(Settings(redis_url=own_redis_server.url))  # type: ignore[arg-type]
    async with running(service) as client:
        first = await rewards_of(client, BATCH)
        own_redis_server.kill()
        for i in range(10):
            changed = {
                "samples": [{**sample, "completion": f"{sample['completion']} {i}"} for sample in BATCH["samples"]]
            }
            assert (await rewards_of(client, changed))["usage"]["valid"] == len(BATCH["samples"])
        assert (await rewards_of(client, BATCH))["rewards"] == first["rewards"]
        metrics = (await client.get("/metrics")).text
    assert 'rbr_cache_bypassed_grades_total{operation="read"' in metrics
    assert "rbr_cache_breaker_closed 0.0" in metrics


async def test_the_embedded_grader_says_that_it_is_not_for_training() -> None:
    async with running(build_service(Settings())) as client:
        info = (await client.get("/info")).json()
    assert "not for training" in info["grader"]["notice"]
    assert info["policies"]["safety"] == load_policy("safety").fingerprint


@pytest.mark.parametrize("kind", ["hard_refuse", "safe_refuse_1", "safe_refuse_2", "comply"])
async def test_every_response_type_has_classes_that_sum_to_one_and_components_that_sum_to_the_reward(kind: str) -> None:
    sample = {"prompt": "Hello?", "completion": "Hi. Ask me anything.", "response_type": kind, "base_reward": 0.5}
    async with running(build_service(Settings())) as client:
        reply = await rewards_of(client, {"samples": [sample], "explain": True})
    (result,) = reply["results"]
    assert sum(result["class_probabilities"].values()) == pytest.approx(1.0, abs=1e-9)
    assert sum(result["components"].values()) == pytest.approx(result["reward"])
    assert None not in result["propositions"].values()
