"""``BACKEND[:WHERE]`` to a backend. Imports a backend when it is asked for, so that none needs another's libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

from grader.backends.base import Backend
from grader.errors import BackendSpecError


class Entry(NamedTuple):
    """A kind of backend: what builds it from WHERE and options, the options it takes, and how its spec is written."""

    build: Callable[[str, Mapping[str, Any]], Backend]
    options: frozenset[str]
    examples: tuple[str, ...]


def create_backend(spec: str, **options: Any) -> Backend:
    """The backend that ``spec`` names, not yet started.

    Options that are None count as not given. Raises `BackendSpecError`, which lists what exists, for an unknown name, a
    WHERE that is missing or wrong, or an option that this backend does not have.
    """
    name, _, where = spec.strip().partition(":")
    entry = _entry(spec)
    given = {key: value for key, value in options.items() if value is not None}
    if unknown := sorted(set(given) - entry.options):
        raise BackendSpecError(f"the {name} grader has no option {', '.join(unknown)}", unknown[0])
    return entry.build(where.strip(), given)


def options_of(spec: str) -> frozenset[str]:
    """The options that the backend takes. Raises `BackendSpecError` where ``spec`` names none."""
    return _entry(spec).options


def available() -> str:
    """What a person can write, for messages and help."""
    return "there are " + ", ".join(example for entry in _BACKENDS.values() for example in entry.examples)


def _entry(spec: str) -> Entry:
    name = spec.strip().partition(":")[0]
    if name not in _BACKENDS:
        raise BackendSpecError(f"no grader backend is called {name!r}; {available()}{_hint(spec)}", "grader")
    return _BACKENDS[name]


def _hint(spec: str) -> str:
    return f"; did you mean http:{spec.strip()} ?" if spec.strip().startswith("https://") else ""


def _embedded(where: str, options: Mapping[str, Any]) -> Backend:
    artifact_dir = Path(where).expanduser() if where else None
    if artifact_dir is not None and not artifact_dir.is_dir():
        raise BackendSpecError(
            f"embedded:{where} names no directory; give one that `rbr distill --out` wrote", "grader"
        )
    return _construct("grader.backends.embedded", "EmbeddedBackend", artifact_dir, **options)


def _http(where: str, options: Mapping[str, Any]) -> Backend:
    if not where:
        raise BackendSpecError(f"the http grader needs a URL: {_BACKENDS['http'].examples[0]}", "grader")
    if where.startswith("//"):
        raise BackendSpecError(f"write the grader as http:http:{where} (the backend's name, then its URL)", "grader")
    return _construct("grader.backends.http", "HttpBackend", where, **options)


def _construct(module: str, attribute: str, *arguments: Any, **options: Any) -> Backend:
    return cast("Backend", getattr(import_module(module), attribute)(*arguments, **options))


_BACKENDS: Mapping[str, Entry] = {
    "embedded": Entry(_embedded, frozenset(), ("embedded", "embedded:ARTIFACT_DIR")),
    "http": Entry(
        _http,
        frozenset(
            {
                "api_key",
                "extra_body",
                "label_mass_floor",
                "max_concurrency",
                "max_queued_tokens",
                "model",
                "retries",
                "timeout_seconds",
                "top_logprobs",
            }
        ),
        ("http:http://127.0.0.1:8000/v1",),
    ),
}
