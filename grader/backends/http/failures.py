"""What a request to a grader's server can end in other than an answer, and whether asking again can help.

    RequestError
    ├── UnreachableError    refused, reset, cut off, or silent for too long
    ├── RefusalError        an HTTP status that is not 200
    └── NotAnAnswerError    a 200 that is not the JSON of a chat completion

Messages are for a person and hold neither the request's text, nor the server's, nor the key: they are logged with every
retry. A server's own words appear only in `RefusalError.remark`, which only `HttpBackend.start` shows.
"""

from __future__ import annotations

from http import HTTPStatus

from grader.grades import BACKEND_ERROR, BACKEND_UNAVAILABLE, MALFORMED_ANSWER, TOO_LONG, Unscorable

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 529})
# These judge the text that was sent; any other status can be gone when the same text is sent again.
_PERMANENT_STATUSES = frozenset({400, 413, 422})


class RequestError(Exception):
    """Base; ``retried`` says whether another attempt is worth it, ``retry_after_seconds`` what the server asked for."""

    retried = True
    retry_after_seconds: float | None = None

    def unscorable(self) -> Unscorable:
        """What the proposition gets when no attempt succeeded."""
        return Unscorable(BACKEND_UNAVAILABLE, str(self), transient=True)


class UnreachableError(RequestError):
    """No complete HTTP response arrived."""

    def __init__(self, message: str, *, retried: bool = True) -> None:
        super().__init__(message)
        self.retried = retried


class RefusalError(RequestError):
    """The server answered with a status that is not 200."""

    def __init__(
        self, status: int, *, remark: str = "", too_long: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(f"HTTP {status} {_phrase(status)}".strip())
        self.status = status
        self.remark = remark
        self.too_long = too_long
        self.retried = status in RETRIED_STATUSES
        self.retry_after_seconds = retry_after_seconds

    def unscorable(self) -> Unscorable:
        if self.too_long:
            return Unscorable(TOO_LONG, "the prompt is longer than the grader's context")
        return Unscorable(BACKEND_ERROR, str(self), transient=self.status not in _PERMANENT_STATUSES)


class NotAnAnswerError(RequestError):
    """Status 200, but a proxy's page or JSON that was cut off."""

    def unscorable(self) -> Unscorable:
        return Unscorable(MALFORMED_ANSWER, str(self), transient=True)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
