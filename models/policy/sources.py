"""Where a policy's text comes from: a packaged name such as ``safety``, or a file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

from models.errors import PolicyError, Problem
from models.policy.problems import suggestion
from models.policy.yaml_loading import MAX_BYTES

_PACKAGE = "models.policy"
_SUFFIX = ".yaml"


class Source(NamedTuple):
    """``name`` is what the policy is called where its file does not say."""

    text: str
    name: str


def packaged_policies() -> tuple[str, ...]:
    files = (entry.name for entry in resources.files(_PACKAGE).iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX)))


def read_source(where: str | Path) -> Source:
    """A packaged name comes first; write ``./safety`` for a file of that name. Raises PolicyError."""
    packaged = packaged_policies()
    if isinstance(where, str) and where in packaged:
        return Source((resources.files(_PACKAGE) / f"{where}{_SUFFIX}").read_text(encoding="utf-8"), where)
    path = Path(where)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _error(where, f"is neither a file nor a packaged policy{suggestion(str(where), packaged)}") from None
    except IsADirectoryError:
        raise _error(where, "is a directory; name the policy's YAML file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _error(where, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise _error(where, f"is larger than {MAX_BYTES:,} bytes; a policy is not")
    return Source(_decoded(content, where), path.stem)


def _decoded(content: bytes, where: str | Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"is not UTF-8: byte 0x{content[error.start]:02x} on line {line}; save the file as UTF-8"
        raise _error(where, message) from None


def _error(where: str | Path, message: str) -> PolicyError:
    return PolicyError(f"policy {where} {message}", (Problem("", f"{where} {message}"),))
