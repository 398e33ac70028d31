"""The servers that `benchmarks.serving` compares, each in a process of its own, kept on one core.

    python -m benchmarks.servers echo|bare|service PORT CORE

``echo``: an ASGI function that sends the body back. ``bare``: the service's own app, whose scorer answers every batch
with the results of the first: body, parsing, samples, reply and middleware are real, scoring is free. ``service``: all.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from benchmarks.machine import use_core
from service.app import create_app
from service.bootstrap import build_service
from service.logs import configure_logging
from service.scorer import ScoredBatch, ScoreOptions, Scorer
from service.scoring.batches import Given
from service.settings import load_settings


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    chunks, more = [], True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"".join(chunks)})


class FreeScorer(Scorer):
    """Scores the first batch, and answers every other with that."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._first: ScoredBatch | None = None

    async def score(self, samples: Sequence[Given], options: ScoreOptions) -> ScoredBatch:
        if self._first is None:
            self._first = await self._scorer.score(samples, options)
        return self._first


def bare() -> Any:
    service = build_service(load_settings())
    return create_app(replace(service, scorer=FreeScorer(service.scorer)))


def main(kind: str, port: str, core: str) -> None:
    use_core(int(core))
    configure_logging("error")
    app = {"echo": lambda: echo, "bare": bare, "service": lambda: create_app(build_service(load_settings()))}[kind]()
    config = uvicorn.Config(app, port=int(port), access_log=False, timeout_keep_alive=75, log_config=None)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main(*sys.argv[1:])
