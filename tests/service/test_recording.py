"""Recording behind the real service, and replays that equal scoring again."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from binascii import crc32
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.grades import Answer, Grade
from models.policy import Policy, read_policy
from models.records import read_records
from models.replay import rescore
from models.reward import Calibration, Line, LineNoise, RewardWeights, Snapshot
from models.rows import read_rows
from service.bootstrap import assemble
from service.service import Service
from service.settings import Settings
from tests.service.live import live
from tests.service.parts import POLICY_TEXT, TextBackend, batch, make_service, one, running, tiny_policy, weights_of


class HashedBackend(TextBackend):
    """Any logit, the same for the same text and question."""

    def _answer(self, text: str, name: str) -> Answer:
        if f"UNSURE-{name}" in text:
            return super()._answer(text, name)
        return Grade((crc32(f"{text}/{name}".encode()) % 10_007) / 1000 - 5, 0.9)


def service_of(policy: Policy, weights: RewardWeights, **settings_: Any) -> Service:
    return assemble(Settings(**settings_), policy, weights, HashedBackend())


def same_questions(text: str) -> str:
    """Rules edited, questions left alone."""
    return text.replace("apology: true, disallowed: false}", "scheming: false, disallowed: false}")


def edited_weights(policy: Policy, seed: int) -> RewardWeights:
    weights = weights_of(policy)
    values = {
        name: {feature: (crc32(f"{seed}{name}{feature}".encode()) % 801) / 100 - 4 for feature in each}
        for name, each in weights.values.items()
    }
    return replace(weights, values=values, offsets=dict.fromkeys(weights.offsets, seed / 7))


def samples(count: int = 24) -> list[dict[str, Any]]:
    kinds = ["refuse", "comply", None]
    texts = [
        one(f"prompt {i // 4}", f"completion {i}", id=str(i), base_reward=i / 10, group=f"g{i // 4}")
        for i in range(count)
    ]
    return [text if kinds[i % 3] is None else {**text, "response_type": kinds[i % 3]} for i, text in enumerate(texts)]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(seed=st.integers(0, 10_000), rules=st.booleans())
def test_a_replay_equals_scoring_again(tmp_path: Path, seed: int, rules: bool) -> None:
    """Recorded through the service under one policy; scored again by the service under another: the same to 1e-9."""
    file = tmp_path / f"{seed}{rules}.jsonl"
    file.unlink(missing_ok=True)
    asyncio.run(_recorded_and_scored_again(file, seed, rules=rules))


async def _recorded_and_scored_again(file: Path, seed: int, *, rules: bool) -> None:
    policy = tiny_policy()
    async with running(service_of(policy, weights_of(policy), record=file)) as client:
        document = batch(*samples(), explain=True)
        assert (await client.post("/v1/rewards", json=document)).status_code == 200
        other = read_policy(same_questions(POLICY_TEXT)) if rules else policy
        weights = edited_weights(other, seed)
    async with running(service_of(other, weights)) as client:
        again = (await client.post("/v1/rewards", json=document)).json()
    records = read_records(file)
    replayed = rescore(records, Snapshot(other, weights))
    assert replayed.reward_S.tolist() == pytest.approx(again["rewards"], abs=1e-9)
    classes = [replayed.classes[code] for code in replayed.class_S]
    assert classes == [result["completion_class"] for result in again["results"]]
    assert replayed.left_out_S.sum() == 0


async def test_a_record_holds_what_was_graded_and_by_what_it_was_scored(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    service = make_service(record=file)
    async with running(service) as client:
        given_ = one("P", "APOLOGY UNSURE-DISALLOWED", response_type="refuse", id="a", group="g", costs={"harm": 1})
        sent = batch(given_, one(completion=""), one(completion="fine", base_reward=2), run="r1")
        reply = (await client.post("/v1/rewards", json=sent)).json()
        metrics = await scraped(client, service)
    unsure, empty, fine = (json.loads(line) for line in file.read_text().splitlines())
    assert unsure["logits"] == {"apology": 2.0, "scheming": -2.0}
    assert unsure["unscorable"] == {"disallowed": "label_mass_low"}
    assert (unsure["reason"], empty["reason"]) == ("label_mass_low", "empty_completion")
    assert (unsure["id"], unsure["group"], unsure["costs"], unsure["run"]) == ("a", "g", {"harm": 1.0}, "r1")
    assert fine["reward"] == reply["rewards"][2]
    assert fine["label_mass"] == {"disallowed": 0.75}
    assert reply["policy"].startswith(fine["policy"])
    assert reply["weights"].startswith(fine["weights"])
    assert (fine["grader"], fine["grader_identity"]) == (reply["models"]["grader"], "text:1")
    assert "prompt" not in fine
    assert 'rbr_records_total{outcome="written"} 3.0' in metrics
    assert [row.grades is not None for row in read_rows(file)] == [True, True, True]


async def scraped(client: httpx.AsyncClient, service: Service) -> str:
    assert service.recorder is not None
    await service.recorder.flush()
    return (await client.get("/metrics")).text


async def test_a_service_without_records_has_no_metrics_of_them() -> None:
    async with running(make_service()) as client:
        assert "rbr_records" not in (await client.get("/metrics")).text


async def test_streams_and_dropped_groups_are_recorded_as_they_were_answered(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    policy = tiny_policy("on_unscorable: drop_group\n")
    service = make_service(policy, weights=weights_of(policy), record=file)
    async with running(service) as client:
        sent = batch(one("P", "UNSURE-DISALLOWED"), one("P", "b"), one("Q", "c"))
        await client.post("/v1/rewards", json=sent, headers={"Accept": "application/x-ndjson"})
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(record.get("reason", "") for record in records) == ["", "group_dropped", "label_mass_low"]
    dropped = next(record for record in records if record.get("reason") == "group_dropped")
    assert dropped["logits"] == {"disallowed": -2.0}


async def test_nothing_is_lost_under_load_on_a_socket(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    service = make_service(port=0, record=file, log_level="error")
    async with live(service) as (_, client):

        async def send(number: int) -> int:
            texts = [one("P", f"{number}/{i}", response_type="comply", id=f"{number}/{i}") for i in range(8)]
            reply = await client.post("/v1/rewards", json=batch(*texts))
            return len(reply.json()["rewards"])

        answered = sum(await asyncio.gather(*map(send, range(60))))
    records = read_records(file)
    assert answered == len(records) == 480
    assert len(set(records.ids)) == 480
    assert records.damaged == 0


async def test_a_full_disk_fails_no_request() -> None:
    service = make_service(record=Path("/dev/full"))
    async with running(service) as client:
        replies = [await client.post("/v1/rewards", json=batch(one())) for _ in range(5)]
        metrics = await scraped(client, service)
    assert all(reply.status_code == 200 for reply in replies)
    assert 'rbr_records_total{outcome="dropped"} 5.0' in metrics
    assert 'rbr_records_total{outcome="written"} 0.0' in metrics


def test_sigterm_loses_no_record_and_sighup_opens_the_file_anew(tmp_path: Path) -> None:
    """A real process, told by real signals."""
    file = tmp_path / "r.jsonl"
    rbr = str(Path(sys.executable).with_name("rbr"))
    environment = {**os.environ, "RBR_RECORD": str(file), "RBR_LOG_FORMAT": "json"}
    command = [rbr, "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        url = _address(server)
        with httpx.Client(base_url=url, timeout=30) as client:
            while not client.get("/ready").is_success:
                pass
            rewarded = [_reward(client, number) for number in range(10)]
            while not file.exists() or file.read_bytes().count(b"\n") < 10 * 16:
                pass
            file.rename(tmp_path / "old.jsonl")
            server.send_signal(signal.SIGHUP)
            while not file.exists():
                pass
            rewarded += [_reward(client, number) for number in range(10, 30)]
            server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    assert sum(rewarded) == 30 * 16
    assert len(read_records(tmp_path / "old.jsonl")) == 10 * 16
    assert len(read_records(file)) == 20 * 16


def _reward(client: httpx.Client, number: int) -> int:
    texts = [one(f"Question {number}?", f"Answer {i}.", response_type="comply") for i in range(16)]
    return len(client.post("/v1/rewards", json=batch(*texts)).json()["rewards"])


def _address(server: subprocess.Popen[bytes]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(rb"http://[\d.]+:\d+", line):
            return found[0].decode()
    pytest.fail("the server never said where it listens")


# Standard errors in replies


async def test_a_reply_has_standard_errors_where_the_calibration_knows_its_own() -> None:
    policy = tiny_policy()
    noise = {name: LineNoise(0.0, 0.1, 0.0) for name in ("apology", "disallowed", "scheming")}
    lines = {name: Line() for name in noise}
    with_noise = assemble(
        Settings(), policy, weights_of(policy), TextBackend(), Calibration(lines, "text:1", noise=noise)
    )
    async with running(with_noise) as client:
        sent = batch(one(response_type="refuse"), one("Hi", "", response_type="refuse"), one("A CRIME", "x"))
        results = (await client.post("/v1/rewards", json=sent)).json()["results"]
    assert [result.get("stderr") is not None for result in results] == [True, False, True]
    assert results[0]["stderr"] > 0
    async with running(make_service()) as client:
        (plain,) = (await client.post("/v1/rewards", json=batch(one()))).json()["results"]
    assert "stderr" not in plain
