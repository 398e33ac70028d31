"""What is asked of a server besides grades: its models, its version, whether it lives; what to say when it fails."""

from __future__ import annotations

import logging

from grader.backends.http.addresses import server_root
from grader.backends.http.client import Client
from grader.backends.http.failures import RefusalError, RequestError, UnreachableError
from grader.errors import BackendMisconfigured, BackendUnavailable

logger = logging.getLogger(__name__)

_PROBE_SECONDS = 2.0
_UNAUTHORISED = (401, 403)
_NOT_FOUND = 404
_CLIENT_ERRORS = range(400, 500)


async def find_model(client: Client, base: str) -> str:
    """The first model that the server lists; raises `BackendUnavailable` where it lists none, or `RequestError`."""
    reply = await client.get(f"{base}/models")
    listed = reply.get("data") if isinstance(reply, dict) else None
    items = listed if isinstance(listed, list) else []
    names = [item["id"] for item in items if isinstance(item, dict) and isinstance(item.get("id"), str)]
    if not names:
        raise BackendUnavailable(f"{base}/models lists no model; name the grader's model", "model")
    if len(names) > 1:
        logger.warning("the grader's server lists %d models; taking the first, %s", len(names), names[0])
    return str(names[0])


async def ask_version(client: Client, base: str) -> str:
    """The engine's version as vLLM tells it; empty for the many servers that have no such page, which is no fault."""
    try:
        reply = await client.get(f"{server_root(base)}/version", _PROBE_SECONDS)
    except RequestError:
        return ""
    version = reply.get("version") if isinstance(reply, dict) else None
    return version if isinstance(version, str) else ""


async def answers_at_all(client: Client, base: str) -> bool:
    """Whether the server answers within two seconds and accepts the key; never raises."""
    try:
        await client.get(f"{base}/models", _PROBE_SECONDS)
    except RefusalError as error:
        # Some gateways serve no list of models: they answer, and that is what was asked.
        return error.status not in _UNAUTHORISED and not error.retried
    except RequestError:
        return False
    return True


def start_failure(error: RequestError, base: str, model: str | None) -> BackendUnavailable:
    """What `HttpBackend.start` raises for a first request that failed.

    `BackendMisconfigured` where the server refuses the request itself (its key, its model, its fields), which it
    would do again.
    """
    message = remedy(error, base, model)
    if isinstance(error, RefusalError) and error.status in _CLIENT_ERRORS and not error.retried:
        return BackendMisconfigured(message)
    return BackendUnavailable(message)


def remedy(error: RequestError, base: str, model: str | None) -> str:
    """The failure of a first request in words, with what a person can do about it."""
    said = f"the grader at {base}: {error}"
    if isinstance(error, UnreachableError):
        return f"{said}; is the server running, and is this its address?"
    if not isinstance(error, RefusalError):
        return f"{said}; is this the address of an OpenAI-compatible API?"
    if error.status in _UNAUTHORISED:
        return f"{said}; give a valid API key for this server"
    if error.retried:
        return f"{said}; the server is busy or failing, try again later"
    remark = f" ({error.remark})" if error.remark else ""
    check = "check the URL" if error.status == _NOT_FOUND else "check that the server supports top_logprobs"
    return f"{said}{remark}; {check}, and the model's name ({model or 'not given'})"
