"""Where a command writes its result: a file, or the process's own stdout (``-``).

Knows no format. With the result on stdout, whatever else a command would print there has to go to stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from models.errors import RBRError
from models.files import check_writable

_STDOUT: Final = frozenset({"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})


def is_stdout(out: Path) -> bool:
    """The stream itself is meant: opening such a path anew would cut off what it is redirected to."""
    return str(out) in _STDOUT


def prepare_output(out: Path, *inputs: Path) -> None:
    """Refuses, before any work, an output that cannot be written or would destroy an input; makes its folder."""
    if is_stdout(out):
        return
    check_writable(out)
    for file in inputs:
        if out.exists() and file.exists() and out.samefile(file):
            raise RBRError(f"--out {out}: is the input itself, which it would destroy; name another file")
    out.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def open_output(out: Path) -> Iterator[BinaryIO]:
    """The file, emptied; or stdout, flushed and left open."""
    if is_stdout(out):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with out.open("wb") as stream:
            yield stream
