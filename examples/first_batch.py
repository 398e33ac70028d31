"""Start the service on the embedded grader, score `batch.json` over HTTP as a trainer would, and print what came back.

The service keeps running until interrupted; `--once` stops it after the table.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

BATCH = Path(__file__).with_name("batch.json")
START_TIMEOUT_SECONDS = 60

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the table")
    parser.add_argument("--port", type=int, default=int(os.environ.get("RBR_PORT", "8080")))
    options = parser.parse_args()
    batch = json.loads(BATCH.read_text(encoding="utf-8"))
    with running_service(free_port(options.port)) as (url, process):
        reply = httpx.post(f"{url}/v1/rewards", json=batch, timeout=60).raise_for_status().json()
        console.print(as_table(batch["samples"], reply))
        if not options.once:
            console.print(f"Serving on {url} (try {url}/docs; interrupt to stop).")
            process.wait()


def as_table(samples: list[dict[str, Any]], reply: dict[str, Any]) -> Table:
    """One line a completion, best reward first within each prompt."""
    table = Table(title=f"policy {reply['policy'][:12]}, weights {reply['weights'][:12]}", title_justify="left")
    table.add_column("prompt and completion", ratio=1)
    for heading in ("reward", "completion class"):
        table.add_column(heading, justify="right" if heading == "reward" else "left", no_wrap=True)
    pairs = zip(samples, reply["results"], strict=True)
    for _, group in groupby(pairs, key=lambda pair: pair[0]["group"]):
        scored = list(group)
        sample, result = scored[0]
        given = "" if "response_type" in sample else " (inferred)"
        table.add_row(f"[bold]{sample['prompt']}[/bold]", "", f"[bold]{result['response_type']}{given}[/bold]")
        for sample, result in sorted(scored, key=lambda pair: -(pair[1]["reward"] or 0.0)):
            table.add_row("  " + shortened(sample["completion"]), *verdict(result))
        table.add_section()
    return table


def shortened(text: str, width: int = 70) -> str:
    line = " ".join(text.split()).replace("[", r"\[")
    return line if len(line) <= width else line[: width - 3] + "..."


def verdict(result: dict[str, Any]) -> tuple[str, str]:
    if not result["valid"]:
        return "-", f"invalid: {result['reason']}"
    return f"{result['reward']:+.2f}", str(result["completion_class"])


@contextmanager
def running_service(port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A `rbr serve` process that is ready; stopped when the block ends."""
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).with_name("rbr")), "serve", "--port", str(port)]
    environment = {"RBR_LOG_LEVEL": "warning"} | dict(os.environ)
    process = subprocess.Popen(command, env=environment)
    try:
        wait_until_ready(url, process)
        yield url, process
    except KeyboardInterrupt:
        pass
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < give_up:
        if process.poll() is not None:
            sys.exit(f"the service stopped while starting (exit status {process.returncode})")
        try:
            if httpx.get(f"{url}/ready", timeout=2).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    sys.exit(f"the service was not ready after {START_TIMEOUT_SECONDS} s")


def free_port(preferred: int) -> int:
    """The preferred port, or any free one where it is taken."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    sys.exit("no free port on 127.0.0.1")


if __name__ == "__main__":
    main()
