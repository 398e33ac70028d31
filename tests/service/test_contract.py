"""The API does what its OpenAPI document says, whatever is sent: at least 2,000 cases made from the document itself.

Two kinds of cases: schemathesis' systematic ones (boundary values, missing and wrong fields, other methods) for every
operation, and random ones, right and wrong, for those that take input. Each is validated by all of schemathesis'
checks: no 5xx, documented statuses, content types, headers and bodies, wrong data refused, right data accepted.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode

from tests.service.live import LiveServer
from tests.service.parts import make_service

CASES = 2000
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
RANDOM = [
    ("POST", "/v1/rewards", POSITIVE, 600),
    ("POST", "/v1/grades", POSITIVE, 200),
    ("POST", "/v1/rewards", NEGATIVE, 120),
    ("POST", "/v1/grades", NEGATIVE, 30),
    ("POST", "/v1/replay", POSITIVE, 100),
    ("POST", "/v1/replay", NEGATIVE, 30),
    ("POST", "/v1/jobs", POSITIVE, 100),
    ("POST", "/v1/jobs", NEGATIVE, 30),
    ("GET", "/v1/jobs/{job_id}", POSITIVE, 60),
    ("DELETE", "/v1/jobs/{job_id}", POSITIVE, 30),
    ("GET", "/v1/policies/{name}", POSITIVE, 300),
    ("PUT", "/v1/policies/{name}", POSITIVE, 60),
    ("PUT", "/v1/weights", POSITIVE, 60),
    ("POST", "/get_reward", POSITIVE, 60),
    ("POST", "/rm", POSITIVE, 60),
    ("POST", "/verify", POSITIVE, 60),
    ("POST", "/verify", NEGATIVE, 30),
    ("POST", "/score_messages", POSITIVE, 30),
    ("POST", "/submit_task", POSITIVE, 30),
    ("POST", "/p/{policy}/rm", POSITIVE, 30),
]
# A schema cannot say which policies are served, which values `strict` refuses, nor what the settings limit: 404, 409,
# 413 and 422 are right answers to data of the right shape.
ACCEPTED = ["2xx", "404", "409", "413", "422"]
# What is wrong and too large besides may be refused for its size, which is looked at first.
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server in a thread of its own, because schemathesis calls from ordinary functions."""
    server = LiveServer(make_service(port=0, log_level="error", admin=True, failure_value=-5.0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve_service()))
    thread.start()
    give_up = time.monotonic() + 20
    while not server.started and time.monotonic() < give_up:
        time.sleep(0.01)
    yield server.url
    server.should_exit = True
    thread.join(timeout=20)


@pytest.mark.timeout(600)
def test_no_case_made_from_the_document_is_answered_against_it(url: str, tmp_path: Path) -> None:
    while not httpx.get(f"{url}/ready").is_success:
        time.sleep(0.01)
    cases = systematic_cases(url, tmp_path) + sum(random_cases(url, *kind) for kind in RANDOM)
    assert cases >= CASES
    statuses = re.findall(r'rbr_requests_total\{.*status="(\d+)"', httpx.get(f"{url}/metrics").text)
    assert statuses
    assert not [status for status in statuses if status >= "500"]


def systematic_cases(url: str, folder: Path) -> int:
    (folder / "schemathesis.toml").write_text(
        f"[checks.positive_data_acceptance]\nexpected-statuses = {ACCEPTED!r}\n"
        f"[checks.negative_data_rejection]\nexpected-statuses = {REFUSED!r}\n",
        encoding="utf-8",
    )
    command = [str(Path(sys.executable).with_name("st")), "run", f"{url}/openapi.json", "--phases", "coverage"]
    command += ["--exclude-path-regex", "^/p/"]  # the same operations once more, under the name of a policy
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-9000:] + finished.stderr[-1000:]
    generated = re.search(r"(\d+) generated", finished.stdout)
    assert generated, finished.stdout[-2000:]
    return int(generated[1])


def random_cases(url: str, method: str, path: str, mode: GenerationMode, count: int) -> int:
    expected = {"positive_data_acceptance": ACCEPTED, "negative_data_rejection": REFUSED}
    checks = {name: {"expected-statuses": statuses} for name, statuses in expected.items()}
    config = schemathesis.Config.from_dict({"checks": checks})
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json", config=config)[path][method]
    made = 0

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answer(case: Case) -> None:
        nonlocal made
        made += 1
        case.call_and_validate(session=session)

    with requests.Session() as session:
        answer()
    return made
