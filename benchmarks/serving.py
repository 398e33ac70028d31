"""Completions a second over HTTP at batch 64 with 3 KB completions, beside limits measured in the same run.

    make bench            # or: python -m benchmarks.serving [--requests 200]

Each server has one core, the load generator the other. Rounds of all servers alternate, and the best round of each
counts, so that a busy moment of the machine does not fall on one of them alone. Writes benchmarks/results/serving.json.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.loads import BATCH, batch_body, run
from benchmarks.machine import describe, use_core
from tests.redis_server import RedisServer

RESULTS = Path(__file__).parent / "results" / "serving.json"
REWARDS = "/v1/rewards"
PROPOSITIONS = 17  # of safe_refuse_2, which the load asks for
SERVER_CORE, CLIENT_CORE = 0, 1
ROUNDS = 5
WARM_BODIES = 16
COLD_REQUESTS = 40

WARM_OVER_BARE = 0.3
COLD_PROPOSITIONS_PER_SECOND = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200, help="requests of a warm round")
    options = parser.parse_args()
    use_core(CLIENT_CORE)
    with ExitStack() as stack:
        ports = {kind: stack.enter_context(server(kind)) for kind in ("echo", "parse", "bare", "service")}
        redis = RedisServer()
        stack.callback(redis.stop)
        redis.start()
        ports["service with Redis"] = stack.enter_context(server("service", {"RBR_REDIS_URL": redis.url}))
        figures = measure(ports, options.requests)
    report = {"machine": describe(), "batch": BATCH, "completion_bytes": 3072, "propositions": PROPOSITIONS, **figures}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print_table(report)


def measure(ports: Mapping[str, int], requests: int) -> dict[str, Any]:
    warm_bodies = [batch_body(seed) for seed in range(WARM_BODIES)]
    for port in ports.values():
        run(port, REWARDS, warm_bodies, WARM_BODIES)
    warm: dict[str, float] = dict.fromkeys(ports, 0.0)
    cold = {name: 0.0 for name in ports if name.startswith("service")}
    for round_ in range(ROUNDS):
        for name, port in ports.items():
            warm[name] = max(warm[name], BATCH * run(port, REWARDS, warm_bodies, requests).per_second)
        first = 1000 * (round_ + 1)
        fresh_bodies = [batch_body(seed) for seed in range(first, first + COLD_REQUESTS)]
        for name, best in cold.items():
            cold[name] = max(best, BATCH * run(ports[name], REWARDS, fresh_bodies, COLD_REQUESTS).per_second)
    return {
        "completions_per_second": {"warm": rounded(warm), "cold": rounded(cold)},
        "warm_over_bare": round(warm["service"] / warm["bare"], 3),
        "warm_over_parse": round(warm["service"] / warm["parse"], 3),
        "cold_propositions_per_second": rounded({name: PROPOSITIONS * figure for name, figure in cold.items()}),
    }


def rounded(figures: Mapping[str, float]) -> dict[str, int]:
    return {name: round(figure) for name, figure in figures.items()}


def print_table(report: Mapping[str, Any]) -> None:
    console, rates = Console(), report["completions_per_second"]
    console.print(report["machine"])
    table = Table("completions a second", "warm", "share of bare route", "cold", "propositions a second", box=None)
    for name, warm in rates["warm"].items():
        cold = rates["cold"].get(name)
        share = f"{warm / rates['warm']['bare']:.2f}"
        rest = ("-", "-") if cold is None else (f"{cold:,}", f"{PROPOSITIONS * cold:,}")
        table.add_row(name, f"{warm:,}", share, *rest)
    console.print(table)
    console.print(f"wanted: warm service at least {WARM_OVER_BARE} of the bare route, got {report['warm_over_bare']}")
    cold_rate = report["cold_propositions_per_second"]["service"]
    console.print(f"wanted: at least {COLD_PROPOSITIONS_PER_SECOND:,} propositions a second cold, got {cold_rate:,}")


@contextmanager
def server(kind: str, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """A server process on a free port, ready."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.servers", kind, str(port), str(SERVER_CORE)]
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})})
    try:
        wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up, answer = time.monotonic() + 60, "no answer"
    while time.monotonic() < give_up and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/ready")
            response = connection.getresponse()
            if response.status == 200:
                return
            answer = response.read().decode()
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server on port {port} did not become ready: {answer}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
