"""The ``http`` grader: each proposition is one chat completion of one token, read from its top log-probabilities.

Owns what is asked and how a server is found fit; `client` sends, `answers` reads. Works with anything that speaks the
chat completions API and returns ``top_logprobs``. Not here: several URLs, token-id completions, other servers' score
endpoints.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from grader.backends.base import Limits
from grader.backends.http.addresses import base_url
from grader.backends.http.answers import NO_LOGPROBS, read_answer
from grader.backends.http.client import Client, Retries
from grader.backends.http.failures import RequestError
from grader.backends.http.probing import answers_at_all, ask_version, find_model, start_failure
from grader.errors import BackendMisconfigured, BackendSpecError, BackendUnavailable
from grader.grades import BACKEND_ERROR, BACKEND_UNAVAILABLE, Answer, Unscorable
from grader.prompts.labels import DEFAULT_LABEL_MASS_FLOOR, LABELS_VERSION
from grader.prompts.markers import defuse
from grader.prompts.template import PREAMBLE, PROMPTS_VERSION, Prompts
from grader.tasks import GradeTask
from models.conversations import Conversation
from models.digests import fingerprint
from models.policy import Proposition

logger = logging.getLogger(__name__)

_CANARY = 'Is water wet? Answer with one word, "yes" or "no".'
_CHARACTERS_PER_TOKEN = 4
_FENCE_CHARACTERS = 50
# About a millisecond of rendering; a thread costs a tenth of that.
_LARGE_CHARACTERS = 30_000
_HEALTH_FRESH_SECONDS = 2.0


class HttpBackend:
    """A grader model behind an OpenAI-compatible server.

    ``url``: with or without ``/v1``. ``model``: None takes the first that the server lists. ``api_key``: sent as a
    bearer token, shown nowhere. ``timeout_seconds``: for one attempt; raising it waits longer for a busy server
    before giving up. ``max_concurrency``: requests in flight; raising it fills the server's batches and lengthens its
    queue. ``label_mass_floor``: see `grader.prompts.labels`. ``top_logprobs``: how many to ask for; 20 is the most
    that servers allow, fewer censor more grades. ``extra_body``: merged into every request, for example
    ``{"chat_template_kwargs": {"enable_thinking": False}}``; a None takes a field out (``{"max_tokens": None,
    "max_completion_tokens": 1}``). ``max_queued_tokens``: estimated tokens waiting before
    new work is refused.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 60.0,
        max_concurrency: int = 64,
        label_mass_floor: float = DEFAULT_LABEL_MASS_FLOOR,
        top_logprobs: int = 20,
        extra_body: Mapping[str, Any] | None = None,
        retries: Retries | None = None,
        max_queued_tokens: int = 16_000_000,
    ) -> None:
        self._url = base_url(url)
        self._model = model
        self._floor = label_mass_floor
        self._top_logprobs = top_logprobs
        self._extra_body = dict(extra_body or {})
        self._extra_digest = _digest(self._extra_body)
        self._client = Client(
            self._url,
            api_key=api_key,
            timeout_seconds=timeout_seconds,
            max_concurrency=max_concurrency,
            retries=retries or Retries(),
        )
        # One task a batch: the server's scheduler forms better batches than we could, and each conversation returns
        # when done.
        self._limits = Limits(
            max_batch_tokens=1,
            # Each task has a question to ask, so that so many fill the slots; more would only hold text.
            max_concurrent_batches=max_concurrency,
            max_wait_seconds=0.0,
            max_queued_tokens=max_queued_tokens,
        )
        self._server_version = ""
        self._fingerprint = self._make_fingerprint()
        self._canary = "not asked yet"
        self._last_success = float("-inf")
        self._last_probe: tuple[float, bool] = (float("-inf"), False)

    def __repr__(self) -> str:
        return f"HttpBackend({self._url!r}, model={self._model!r})"

    @property
    def identity(self) -> str:
        """``http:MODEL:p1l1``, with a digest of ``extra_body`` where there is one: it can change every grade.

        Before `start` an unnamed model is ``?``; no grade is ever made, and so none stored, under that name.
        """
        return f"http:{self._model or '?'}:p{PROMPTS_VERSION}l{LABELS_VERSION}{self._extra_digest}"

    @property
    def fingerprint(self) -> str:
        """Identity, what the reading of answers depends on, and the engine's version where ``/version`` tells it.

        A chat server does not tell its dtype or quantisation: give servers that differ in them different model names.
        """
        return self._fingerprint

    def _make_fingerprint(self) -> str:
        return fingerprint(self.identity, self._top_logprobs, self._floor, self._server_version)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def description(self) -> Mapping[str, Any]:
        return {
            "kind": "http",
            "identity": self.identity,
            "url": self._url,
            "model": self._model,
            "server_version": self._server_version or None,
            "top_logprobs": self._top_logprobs,
            "label_mass_floor": self._floor,
            "extra_body": sorted(self._extra_body),
            "canary": self._canary,
        }

    async def start(self) -> None:
        """Find the model, and see that the server answers with log-probabilities."""
        self._client.open()
        try:
            if self._model is None:
                self._model = await find_model(self._client, self._url)
            await self._ask_canary()
            self._server_version = await ask_version(self._client, self._url)
            self._fingerprint = self._make_fingerprint()
        except RequestError as error:
            await self._client.aclose()
            raise start_failure(error, self._url, self._model) from None
        except BaseException:
            await self._client.aclose()
            raise

    async def aclose(self) -> None:
        await self._client.aclose()

    async def healthy(self) -> bool:
        """True just after a grade; else whether ``/models`` answers within two seconds, remembered for two."""
        now = time.monotonic()
        if now - self._last_success < _HEALTH_FRESH_SECONDS:
            return True
        if now - self._last_probe[0] >= _HEALTH_FRESH_SECONDS:
            self._last_probe = (now, await answers_at_all(self._client, self._url))
        return self._last_probe[1]

    def tokens(self, task: GradeTask) -> int:
        """Conversation once, as the server's prefix cache has it, and each question with its template; 4 characters
        each.
        """
        asked = len(task.template.text)
        if "{response}" in task.template.text:
            asked += _characters(task.completion)
        shared = len(PREAMBLE) + _characters(task.conversation)
        characters = shared + sum(asked + len(proposition.question) for proposition in task.propositions)
        return max(1, characters // _CHARACTERS_PER_TOKEN)

    async def grade(self, tasks: Sequence[GradeTask]) -> list[tuple[Answer, ...]]:
        """Questions of one conversation leave one after another, so that the server computes their prefix once."""
        async with asyncio.TaskGroup() as group:
            asked = [
                [group.create_task(self._ask(prompts, proposition, large)) for proposition in task.propositions]
                for task, prompts, large in ((task, Prompts(task, defuse), _is_large(task)) for task in tasks)
            ]
        answers = [tuple(request.result() for request in requests) for requests in asked]
        flat = [answer for row in answers for answer in row]
        down = [answer for answer in flat if isinstance(answer, Unscorable) and answer.reason == BACKEND_UNAVAILABLE]
        if down and len(down) == len(flat):
            raise BackendUnavailable(f"the grader at {self._url}: {down[0].detail}")
        return answers

    async def _ask(self, prompts: Prompts, proposition: Proposition, large: bool) -> Answer:
        try:
            reply = await self._client.post(
                "/chat/completions", lambda: self._content(prompts.render(proposition)), large=large
            )
        except RequestError as error:
            return error.unscorable()
        except TypeError:
            return Unscorable(BACKEND_ERROR, "the text is not valid Unicode (lone surrogates) and cannot be sent")
        self._last_success = time.monotonic()
        return read_answer(reply, self._top_logprobs, self._floor)

    def _content(self, prompt: str) -> bytes:
        """The body of a request; raises TypeError where the prompt is no Unicode."""
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": True,
            "top_logprobs": self._top_logprobs,
        }
        fields = {**body, **self._extra_body}
        return orjson.dumps({key: value for key, value in fields.items() if value is not None})

    async def _ask_canary(self) -> None:
        """A server without log-probabilities is refused; a model that answers something else is only reported.

        It may do better on the real prompts, and a model that never does shows in the unscorable share.
        """
        reply = await self._client.post("/chat/completions", lambda: self._content(_CANARY))
        answer = read_answer(reply, self._top_logprobs, self._floor)
        if not isinstance(answer, Unscorable):
            self._canary = "answered"
            return
        if answer.detail == NO_LOGPROBS:
            raise BackendMisconfigured(
                f"{self._url} returns no top_logprobs, without which there is no probability to read; serve the model "
                "with an engine that reports them (vLLM, SGLang, llama.cpp) or choose a model that does"
            )
        self._canary = f"{answer.reason}: {answer.detail}"
        logger.warning("the grader did not answer a plain yes/no question: %s", self._canary)


def _is_large(task: GradeTask) -> bool:
    """Whether a prompt takes so long to render that the event loop should not wait for it."""
    return _characters(task.conversation) > _LARGE_CHARACTERS


def _characters(messages: Conversation) -> int:
    calls = sum(len(call.name) + len(call.arguments) for message in messages for call in message.tool_calls)
    return calls + sum(len(message.content) + _FENCE_CHARACTERS for message in messages)


def _digest(extra_body: Mapping[str, Any]) -> str:
    if not extra_body:
        return ""
    try:
        return ":" + fingerprint(orjson.dumps(extra_body, option=orjson.OPT_SORT_KEYS))[:8]
    except TypeError as error:
        raise BackendSpecError(f"extra_body cannot be sent as JSON: {error}", "extra_body") from None
