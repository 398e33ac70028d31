"""Request bodies and a load generator that costs little itself: keep-alive HTTP/1.1 over a few blocking sockets."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

BATCH = 64
COMPLETION_BYTES = 3072
JSON_HEADERS = {"Content-Type": "application/json"}

WORDS = (  # noqa: SIM905 - prose, not a list
    "the kettle could help you consider a careful answer because people often ask how this works and "
    "sorry cannot should might remember please water garden history number simple reason example before after"
).split()


@dataclass(frozen=True)
class Load:
    """What a run measured: requests answered and seconds it took."""

    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def batch_body(seed: int, response_type: str = "safe_refuse_2", prompts: int = 8) -> bytes:
    """One request: 64 completions of 3 KB, 8 to a prompt, all different from those of any other seed."""
    rng = random.Random(seed)
    samples = []
    for index in range(BATCH):
        words = rng.choices(WORDS, k=COMPLETION_BYTES // 4)
        text = " ".join(words)[: COMPLETION_BYTES - 12] + f" {seed}-{index}."
        prompt = f"Question {seed}-{index % prompts}: how does this work?"
        samples.append({"prompt": prompt, "completion": text, "response_type": response_type})
    return json.dumps({"samples": samples}).encode()


def run(port: int, path: str, bodies: Sequence[bytes], requests: int, clients: int = 4) -> Load:
    """POST the bodies in turn until ``requests`` were answered; every answer has to be a 200."""
    take = _counter(requests)
    failures: list[str] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (number := take()) is not None:
            connection.request("POST", path, bodies[number % len(bodies)], JSON_HEADERS)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                failures.append(f"{response.status}: {answer[:200]!r}")
                return
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if failures:
        raise RuntimeError(failures[0])
    return Load(requests, seconds)


def _counter(limit: int) -> Callable[[], int | None]:
    lock = threading.Lock()
    numbers = iter(range(limit))

    def take() -> int | None:
        with lock:
            return next(numbers, None)

    return take
