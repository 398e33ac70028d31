"""Writes a file whole or not at all: a reader never sees half of it, and a failure leaves what stood there.

Knows no format. What is no regular file (a device, a pipe) cannot be replaced and is written into.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from stat import S_ISREG

from models.errors import RBRError


def check_writable(path: str | Path) -> None:
    """Raises `RBRError` where no file can be: on a directory. For who works long before writing."""
    place = Path(path)
    if place.is_dir():
        raise RBRError(f"{place}: is a directory; give the path of a file in it, such as {place / 'out'}")


def write_whole(path: str | Path, content: bytes) -> None:
    """``content`` becomes the file at ``path``; a symlink stays and its target is written.

    Raises `RBRError` for a directory and `OSError` as the file system does; then nothing of it stays behind.
    """
    place = Path(path)
    check_writable(place)
    if _replaceable(place):
        _replace(Path(os.path.realpath(place)), content)
    else:
        with place.open("wb") as stream:
            stream.write(content)


def _replaceable(place: Path) -> bool:
    """A regular file, or nothing yet. The path itself is asked: /dev/stdout leads to names that are no paths."""
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return True
    return S_ISREG(mode)


def _replace(target: Path, content: bytes) -> None:
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
