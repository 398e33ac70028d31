"""The embedded grader: linear heads, a fraction of a millisecond a completion, no model to download.

It answers by the proposition's name and ignores its question. It is for trying the service, for CI and for cheap first
passes; a policy model that trains against it learns its few thousand words by heart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from grader.backends.base import Limits
from grader.backends.embedded.heads import Artifact, Heads, read_artifact
from grader.backends.embedded.texts import completion_text, prompt_text
from grader.errors import BackendUnavailable
from grader.grades import UNKNOWN_PROPOSITION, Answer, Grade, Unscorable
from grader.tasks import GradeTask
from models.policy import Subject

PACKAGED: Final = Path(__file__).parent / "artifact"
NOTICE: Final = "for trying, CI and cheap first passes; not for training a model against"

_LIMITS: Final = Limits(
    max_batch_tokens=65_536, max_concurrent_batches=2, max_wait_seconds=0.0, max_queued_tokens=8_000_000
)
_CHUNK_TASKS: Final = 16
_CHUNK_CHARACTERS: Final = 200_000
_CHARACTERS_PER_TOKEN: Final = 4

_log = logging.getLogger(__name__)


class EmbeddedBackend:
    """Implements `grader.backends.base.Backend` on an artifact of `rbr distill`; None is the one in the package."""

    def __init__(self, artifact_dir: Path | None = None) -> None:
        self._folder = artifact_dir or PACKAGED
        self._artifact: Artifact | None = None
        self._warned = False

    @property
    def identity(self) -> str:
        return f"embedded:{self._loaded().content_hash[:12]}"

    @property
    def fingerprint(self) -> str:
        return self.identity

    @property
    def limits(self) -> Limits:
        return _LIMITS

    @property
    def description(self) -> Mapping[str, Any]:
        artifact = self._loaded()
        return {
            "kind": "embedded",
            "identity": self.identity,
            "notice": NOTICE,
            "propositions": list(artifact.completion.names),
            "categories": list(artifact.prompt.names),
            "held_out": artifact.report.get("cross_validated"),
        }

    async def start(self) -> None:
        await asyncio.to_thread(self._loaded)
        if not self._warned:
            self._warned = True
            _log.warning("the embedded grader (%s) is %s", self.identity, NOTICE)

    async def aclose(self) -> None:
        """Nothing is held open."""

    async def healthy(self) -> bool:
        return self._artifact is not None

    def tokens(self, task: GradeTask) -> int:
        return max(1, sum(len(message.content) for message in task.conversation) // _CHARACTERS_PER_TOKEN)

    async def grade(self, tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
        """Works in a thread, chunk by chunk, so that a cancelled call stops after the chunk it is in."""
        artifact = self._loaded()
        answers: list[tuple[Answer, ...]] = [()] * len(tasks)
        for subject in (Subject.COMPLETION, Subject.PROMPT):
            chosen = [
                i for i, task in enumerate(tasks) if task.propositions and task.propositions[0].subject is subject
            ]
            for chunk in _chunks(chosen, tasks):
                graded = await asyncio.to_thread(_grade, artifact, subject, [tasks[i] for i in chunk])
                for i, found in zip(chunk, graded, strict=True):
                    answers[i] = found
        return answers

    def _loaded(self) -> Artifact:
        if self._artifact is None:
            self._artifact = read_artifact(self._folder)
        return self._artifact


def _chunks(chosen: Sequence[int], tasks: Sequence[GradeTask]) -> list[list[int]]:
    """Indices in chunks of bounded number and length, so that a thread is never busy for long."""
    chunks: list[list[int]] = []
    length = 0
    for index in chosen:
        characters = sum(len(message.content) for message in tasks[index].conversation)
        if not chunks or len(chunks[-1]) == _CHUNK_TASKS or length + characters > _CHUNK_CHARACTERS:
            chunks.append([])
            length = 0
        chunks[-1].append(index)
        length += characters
    return chunks


def _grade(artifact: Artifact, subject: Subject, tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
    about_prompt = subject is Subject.PROMPT
    heads = artifact.prompt if about_prompt else artifact.completion
    try:
        texts = [prompt_text(t.prompt) if about_prompt else completion_text(t.prompt, t.completion) for t in tasks]
        logits_S_H = heads.logits(texts).tolist()
    except MemoryError as error:
        raise BackendUnavailable("embedded grader: not enough memory for this batch") from error
    columns = {name: column for column, name in enumerate(heads.names)}
    return [
        tuple(_answer(columns, proposition.name, row, heads) for proposition in task.propositions)
        for task, row in zip(tasks, logits_S_H, strict=True)
    ]


def _answer(columns: Mapping[str, int], name: str, row: Sequence[float], heads: Heads) -> Answer:
    column = columns.get(name)
    if column is None:
        detail = f"the embedded grader has no head for it (it has {len(heads.names)}); train one with `rbr distill`"
        return Unscorable(UNKNOWN_PROPOSITION, detail)
    return Grade(row[column])
