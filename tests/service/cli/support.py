"""Runs the `rbr` command as a person does: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RBR = str(Path(sys.executable).with_name("rbr"))


def rbr(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [RBR, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=110, env={**os.environ, **environment}
    )
