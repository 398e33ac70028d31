"""The README is true: its request is answered as it says, its commands exist, its tree is the tree."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import Any

import httpx
import pytest

from examples.first_batch import free_port, running_service
from tests.service.cli.support import rbr
from tests.support import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def shape(value: Any) -> Any:
    """Keys all the way down; numbers and strings as their types."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return float if isinstance(value, int | float) and not isinstance(value, bool) else type(value)


def test_the_request_is_answered_as_shown() -> None:
    curl = next(block for block in blocks("sh") if block.startswith("curl"))
    request = json.loads(re.search(r"-d '(.*)'", curl, flags=re.DOTALL).group(1))
    shown = json.loads(blocks("json")[0])
    with running_service(free_port(0)) as (url, _):
        reply = httpx.post(f"{url}/v1/rewards", json=request, timeout=60).raise_for_status().json()
    assert shape(reply) == shape(shown)
    assert reply["rewards"] == pytest.approx(shown["rewards"], abs=0.01)
    assert reply["usage"] == shown["usage"]


@pytest.mark.parametrize("command", re.findall(r"^\| `rbr ([a-z ]+?)(?: [A-Z-].*?)?` \|", README, flags=re.MULTILINE))
def test_every_command_in_the_table_exists(command: str) -> None:
    assert rbr(*command.split(), "--help").returncode == 0


def test_every_option_in_the_examples_exists() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("rbr ")]
    assert lines
    for line in lines:
        words = shlex.split(line)
        offered = rbr(words[1], "--help", COLUMNS="200").stdout
        assert all(word in offered for word in words if word.startswith("--")), line


def test_every_make_target_in_the_text_exists() -> None:
    for target in set(re.findall(r"`?make ([a-z]+)", README)) - {"it"}:
        made = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=False)
        assert made.returncode == 0, target


def test_every_place_in_the_tree_exists() -> None:
    tree = README.split("## Where things are")[1].split("```")[1]
    folder = ""
    for line in tree.strip().splitlines():
        names = [
            name
            for name in line.split("  ")[0 if not line.startswith(" ") else 1].split()
            if "." in name or name.endswith("/")
        ]
        for name in names:
            place = ROOT / name if not line.startswith(" ") else ROOT / folder / name
            assert place.exists(), place
        if not line.startswith(" ") and names:
            folder = names[0]
