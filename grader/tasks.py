"""A grade task: one conversation and the propositions asked about it."""

from __future__ import annotations

from dataclasses import dataclass

from models.conversations import Conversation
from models.policy import Proposition, Template


@dataclass(frozen=True, slots=True)
class GradeTask:
    """``conversation`` is the prompt followed by the completion, already in the view that the propositions ask for.

    Its last ``completion_messages`` messages are the completion; 0 where the propositions are about the prompt.
    All propositions of a task share subject and view.
    """

    conversation: Conversation
    completion_messages: int
    template: Template
    propositions: tuple[Proposition, ...]

    @property
    def prompt(self) -> Conversation:
        return self.conversation[: len(self.conversation) - self.completion_messages]

    @property
    def completion(self) -> Conversation:
        return self.conversation[len(self.conversation) - self.completion_messages :]
