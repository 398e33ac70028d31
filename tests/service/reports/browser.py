"""A real browser for tests of pages: headless Chromium, spoken to over its own debugging protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is on PATH: deploy/install-chromium.sh installs one where it can"
)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_SECONDS = 30.0


class Tab:
    """One page. ``events``: everything that the browser told of it, in order."""

    def __init__(self, connection: ClientConnection, session: str) -> None:
        self._connection = connection
        self._session = session
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, "sessionId": self._session}
        self._connection.send(json.dumps(message))
        while (reply := self._next()).get("id") != self._number:
            self.events.append(reply)
        assert "error" not in reply, reply
        result: dict[str, Any] = reply["result"]
        return result

    def open(self, page: Path, *, width: int, dark: bool, height: int = 900) -> None:
        """Load the file as it looks at that width, and wait until it has."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.send("Page.navigate", url=page.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def of(self, method: str) -> list[dict[str, Any]]:
        """What the browser told by that name."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(timeout=_SECONDS))
        return message


@contextmanager
def chromium(folder: Path) -> Iterator[ClientConnection]:
    """A browser with a new profile in ``folder``, and the connection to it."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            port, path = _address(folder)
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, open_timeout=_SECONDS) as connection:
                yield connection
        finally:
            process.terminate()


@contextmanager
def tab(connection: ClientConnection) -> Iterator[Tab]:
    """A new page in the browser."""
    target = _of_browser(connection, "Target.createTarget", url="about:blank")["targetId"]
    session = _of_browser(connection, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    root = Tab(connection, session)
    try:
        yield root
    finally:
        _of_browser(connection, "Target.closeTarget", targetId=target)


def _of_browser(connection: ClientConnection, method: str, **parameters: Any) -> dict[str, Any]:
    connection.send(json.dumps({"id": 1_000_000, "method": method, "params": parameters}))
    while (reply := json.loads(connection.recv(timeout=_SECONDS))).get("id") != 1_000_000:
        pass
    result: dict[str, Any] = reply["result"]
    return result


def _address(folder: Path) -> tuple[str, str]:
    """Where the browser listens, as soon as it says so."""
    file = folder / "DevToolsActivePort"
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        if len(lines) == 2:
            return lines[0], lines[1]
        time.sleep(0.05)
    raise TimeoutError("Chromium did not start")
