"""What machine a figure was measured on, and how a server is kept on one core of it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe() -> dict[str, str | int]:
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count() or 0,
        "python": platform.python_version(),
        **{name: version(name) for name in ("fastapi", "uvicorn", "pydantic", "numpy", "orjson", "redis")},
    }


def use_core(number: int) -> None:
    """Keep this process, and what it starts, on one core."""
    os.sched_setaffinity(0, {number})


def _cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
