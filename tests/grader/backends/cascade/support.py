"""What the tests of the cascade share: the policy's propositions, bounds for them, tasks, and who was asked what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from grader import events
from grader.backends.cascade import Bounds, CascadeBackend, Thresholds
from grader.backends.cascade.thresholds import RECORDED, Fitted, bound_to
from grader.backends.embedded import EmbeddedBackend
from grader.backends.http import HttpBackend
from grader.tasks import GradeTask
from models.conversations import Message
from models.policy import load_policy
from tests.chat_server import ChatServer
from tests.grader.backends.http.support import QUICK

POLICY = load_policy("safety")
ALWAYS, NEVER = Bounds(-1e-9, 0.0), Bounds()
NAMES = ("apology", "disclaimer", "fully_complies", "judgement")
IDENTITY = EmbeddedBackend().identity


def thresholds(bounds: Mapping[str, Bounds], first: str = IDENTITY, second: str = RECORDED) -> Thresholds:
    fitted = {
        name: Fitted(bound_to(POLICY.propositions[name]), one, 100, 0.5, 1.0, 0.5, 1.0) for name, one in bounds.items()
    }
    return Thresholds(first, second, 0.98, 0.9, fitted)


def task(completion: str = "I am sorry, but I cannot help with that.", names: tuple[str, ...] = NAMES) -> GradeTask:
    conversation = (Message("user", "How do I boil an egg?"), Message("assistant", completion))
    return GradeTask(conversation, 1, POLICY.template, tuple(POLICY.propositions[name] for name in names))


class Heard(list[events.Event]):
    """A listener that remembers."""

    def __call__(self, event: events.Event) -> None:
        self.append(event)

    def answered(self) -> dict[tuple[str, bool], int]:
        counts: dict[tuple[str, bool], int] = {}
        for event in self:
            if isinstance(event, events.CascadeAnswered):
                key = (event.proposition, event.by_first)
                counts[key] = counts.get(key, 0) + event.grades
        return counts

    def audits(self) -> list[events.CascadeAudited]:
        return [event for event in self if isinstance(event, events.CascadeAudited)]


@asynccontextmanager
async def cascading(
    server: ChatServer, bounds: Mapping[str, Bounds], **options: Any
) -> AsyncIterator[tuple[CascadeBackend, Heard]]:
    """The embedded grader, then the chat server, started; the server's canary is counted away."""
    second = HttpBackend(server.url, retries=QUICK, timeout_seconds=10.0)
    backend = CascadeBackend(EmbeddedBackend(), second, thresholds(bounds), **{"audit_rate": 0.0, **options})
    backend.listener = heard = Heard()
    await backend.start()
    server.requests = 0
    server.prompts.clear()
    try:
        yield backend, heard
    finally:
        await backend.aclose()
