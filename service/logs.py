"""Logging: JSON lines (or a person's console) on stderr, for our loggers, uvicorn's and every library's alike.

Never holds text of prompts or completions, keys, or headers: lines are made of fields that this project chose, and an
exception is logged by its type and the places in the code, not by its message, which may quote the input.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import IO, Any, Final, Literal

import orjson
import structlog
from structlog.contextvars import merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

LogFormat = Literal["json", "console"]

# These have a line for every request of ours or theirs, which the access line says better.
_QUIET: Final = ("uvicorn.access", "httpx", "httpcore")


def configure_logging(level: str = "info", log_format: LogFormat = "json", stream: IO[str] | None = None) -> None:
    """Set up logging for the process; may be called again."""
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_message,
    ]
    target = stream or sys.stderr
    console = structlog.dev.ConsoleRenderer(colors=target.isatty())
    renderer: Processor = console if log_format == "console" else _to_json
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=shared, processors=[ProcessorFormatter.remove_processors_meta, _plain, renderer]
        )
    )
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if getattr(handler, "rbr", False)]:
        root.removeHandler(old)
    handler.rbr = True  # type: ignore[attr-defined]  # a mark, so that a second call replaces the first one's handler
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def logger(name: str) -> Any:
    """A structlog logger."""
    return structlog.stdlib.get_logger(name)


def _without_message(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The exception as its type and the lines of code that it came through; its message may quote user text."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else (given[1] if isinstance(given, tuple) else sys.exc_info()[1])
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = type(error).__name__
        event["places"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _plain(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """uvicorn repeats its messages with colour codes."""
    event.pop("color_message", None)
    return event


def _to_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(dict(event), default=repr).decode()
